import itertools

import numpy as np
import pytest

from ctclassify.batching import batch_sizes, iter_batches

SIZES = batch_sizes(2048)


def drawn_lengths(n_items, seed=0):
    """Lengths as sentences of news have them."""
    return np.random.default_rng(seed).gamma(6, 5.5, size=n_items).astype(int).clip(4, 512).tolist()


def checked(lengths, sizes=SIZES, max_tokens=512, **options):
    """The shapes of the batches, each checked against what it holds."""
    shapes, seen = [], []
    for batch, (n_rows, longest) in iter_batches(lengths, sizes, max_tokens=max_tokens, **options):
        its_lengths = [lengths[i] for i in batch]
        assert 0 < len(batch) <= n_rows
        assert max(its_lengths) <= longest <= max_tokens
        assert its_lengths == sorted(its_lengths)
        assert n_rows * longest in sizes or longest == max_tokens
        shapes.append((n_rows, longest))
        seen += batch.tolist()
    assert sorted(seen) == list(range(len(lengths)))
    return shapes


def cost_of(shapes, batch_cost=0):
    return sum(n_rows * longest + batch_cost for n_rows, longest in shapes)


@pytest.mark.parametrize("n_items", [0, 1, 2, 15, 200, 3000, 20_000])
def test_every_item_is_in_one_batch(n_items):
    assert bool(checked(drawn_lengths(n_items))) == (n_items > 0)


@pytest.mark.parametrize("max_tokens", [4, 12, 31, 100, 510, 512, 600])
@pytest.mark.parametrize("token_budget", [1, 20, 64, 256, 2048, 16384])
def test_any_model_and_budget_will_do(max_tokens, token_budget):
    sizes = batch_sizes(token_budget)
    lengths = np.random.default_rng(token_budget).integers(1, max_tokens + 1, size=400).tolist()
    shapes = checked(lengths, sizes, max_tokens)
    assert all(n_rows * longest <= max(token_budget, max_tokens) for n_rows, longest in shapes)


def least_cost(lengths, sizes, batch_cost):
    """The least cost of any split of few ascending lengths, by trying all."""
    best = None
    for cuts in itertools.product([False, True], repeat=len(lengths) - 1):
        ends = [i + 1 for i, cut in enumerate(cuts) if cut] + [len(lengths)]
        runs = [(b - a, lengths[b - 1]) for a, b in itertools.pairwise([0, *ends])]
        cost = sum(run_cost(n_items, longest, sizes) + batch_cost for n_items, longest in runs)
        best = cost if best is None else min(best, cost)
    return best


def run_cost(n_items, longest, sizes):
    """The least size whose rows hold so many items; more than any other if none does."""
    whole = [max(1, size // 512) * 512 for size in sizes if max(1, size // 512) >= n_items]
    fitting = [
        size
        for size in sizes
        if any(size % n == 0 and n >= longest and size // n >= n_items for n in range(4, min(size, 512) + 1))
    ]
    return min(whole + fitting, default=10**6)


@pytest.mark.parametrize("batch_cost", [0, 32, 2048])
def test_batches_are_those_that_cost_least(batch_cost):
    rng = np.random.default_rng(0)
    for _ in range(20):
        lengths = sorted(rng.integers(3, 90, size=rng.integers(1, 11)).tolist())
        found = cost_of(checked(lengths, batch_cost=batch_cost), batch_cost)
        assert found == least_cost(lengths, SIZES, batch_cost)


@pytest.mark.parametrize(
    ("n_items", "most"), [(15, 0.35), (60, 0.18), (300, 0.1), (1000, 0.06), (2000, 0.06), (8192, 0.05)]
)
def test_little_is_padding(n_items, most):
    lengths = drawn_lengths(n_items)
    assert cost_of(checked(lengths)) <= (1 + most) * sum(lengths)


def test_a_corpus_has_few_shapes_of_four_sizes():
    shapes = set()
    for seed in range(40):
        shapes.update(checked(drawn_lengths(2000 + 100 * seed, seed)))
    assert {n_rows * longest for n_rows, longest in shapes} <= {*SIZES[-4:], 512, 1536}
    assert len({longest for _, longest in shapes}) == len(shapes) <= 55


def test_calls_of_any_size_have_few_shapes_of_few_sizes():
    shapes = set()
    for seed in range(300):
        shapes.update(checked(drawn_lengths(1 + 5 * seed, seed)))
    assert len({n_rows * longest for n_rows, longest in shapes}) <= 16
    assert len(shapes) <= 200


def test_batches_depend_on_the_lengths_alone():
    lengths = drawn_lengths(500)
    assert checked(lengths) == checked(sorted(lengths)) == checked(lengths[::-1])


def test_the_longest_items_come_first():
    lengths = drawn_lengths(2000)
    in_turn = [lengths[i] for batch, _ in iter_batches(lengths, SIZES, max_tokens=512) for i in batch[::-1]]
    assert in_turn == sorted(lengths, reverse=True)


@pytest.mark.parametrize(("budget", "sizes"), [(1, (1,)), (23, (23,)), (100, (24, 40, 60, 90))])
def test_a_small_budget_has_what_fits_it(budget, sizes):
    assert batch_sizes(budget) == sizes


def test_a_large_budget_has_sizes_up_to_it():
    sizes = batch_sizes(16384)
    assert max(sizes) == 8 * 2016 <= 16384
    assert list(sizes) == sorted(set(sizes))


@pytest.mark.parametrize(
    ("lengths", "shape"),
    [([1], (6, 4)), ([9], (2, 12)), ([24], (1, 24)), ([25], (1, 40)), ([512], (1, 512)), ([30] * 66, (66, 30))],
)
def test_a_batch_is_padded_to_the_next_shape(lengths, shape):
    assert checked(lengths) == [shape]


def test_longer_rows_mean_fewer_shapes():
    shapes = set()
    for seed in range(200):
        shapes.update(checked(drawn_lengths(1 + seed, seed), (120, 480), shortest=20))
    assert min(longest for _, longest in shapes) >= 20
    assert len(shapes) <= 20


def test_items_of_one_length_keep_their_order():
    seen = [i for batch, _ in iter_batches([30] * 500, SIZES, max_tokens=512) for i in batch[::-1].tolist()]
    assert seen == list(range(500))[::-1]


def test_of_many_items_each_length_has_the_largest_size_it_divides():
    for n_rows, longest in checked(drawn_lengths(6000)):
        assert longest == 512 or n_rows * longest == max(size for size in SIZES if size % longest == 0)


def test_where_a_batch_costs_as_much_as_its_tokens_there_is_one():
    assert len(checked([5, 60, 9, 33, 12, 48, 7, 22, 30, 41], batch_cost=2048)) == 1
