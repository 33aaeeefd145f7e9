"""Windows and batches."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ctclassify.errors import ModelFolderError
from ctclassify.tokenization import TextEncoder, iter_batches, iter_fixed_batches


@pytest.fixture
def encoder(tiny_folder) -> TextEncoder:
    """The tiny tokenizer with windows of 12 tokens: 10 words, neighbours share 5."""
    return TextEncoder(tiny_folder / "tokenizer.json", 12)


@pytest.mark.parametrize("n_words", [1, 9, 10, 11, 15, 16, 20, 21, 47])
def test_windows_cover_every_token_and_overlap(encoder, tiny_folder, n_words):
    words = ["bomb", "rain", "court", "bill", "law"] * 10
    windows = encoder.encode([" ".join(words[:n_words])])
    whole = TextEncoder(tiny_folder / "tokenizer.json", 512).encode([" ".join(words[:n_words])]).ids[0]
    first, last = whole[0], whole[-1]
    assert all(ids[0] == first and ids[-1] == last and len(ids) <= 12 for ids in windows.ids)
    rebuilt = windows.ids[0][1:-1]
    for ids in windows.ids[1:]:
        assert ids[1:6] == rebuilt[-5:]
        rebuilt += ids[6:-1]
    assert rebuilt == whole[1:-1]
    assert windows.is_windowed.tolist() == [n_words > 10]


def test_owners_name_the_text_of_each_window(encoder):
    windows = encoder.encode(["bomb", "rain " * 25, "", "law"])
    assert windows.owner.tolist() == [0, 1, 1, 1, 1, 2, 3]
    assert windows.is_windowed.tolist() == [False, True, False, False]


def test_no_texts_give_no_windows(encoder):
    windows = encoder.encode([])
    assert (windows.ids, len(windows.owner), len(windows.is_windowed)) == ([], 0, 0)


def test_a_lone_surrogate_is_read_as_unknown(encoder):
    assert encoder.encode(["bomb \ud800"]).ids == encoder.encode(["bomb \ufffd"]).ids


@pytest.mark.parametrize("content", ["{}", "not json", ""])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(ModelFolderError, match="not a tokenizer"):
        TextEncoder(path, 32)


def test_every_item_is_in_one_batch_within_the_budget():
    lengths = np.random.default_rng(0).integers(1, 60, size=500).tolist()
    batches = [batch for batch, _ in iter_batches(lengths, 256, max_tokens=512)]
    assert sorted(np.concatenate(batches).tolist()) == list(range(500))
    assert all(len(batch) * max(lengths[i] for i in batch) <= 256 for batch in batches)
    assert all(np.diff([lengths[i] for i in batch]).min(initial=0) >= 0 for batch in batches)


def least_cost(lengths, batch_cost):
    """The least cost of any split of few ascending lengths, by trying all."""
    best = None
    for cuts in itertools.product([False, True], repeat=len(lengths) - 1):
        ends = [i + 1 for i, cut in enumerate(cuts) if cut] + [len(lengths)]
        cost = sum(run_cost(lengths[a:b], batch_cost) for a, b in itertools.pairwise([0, *ends]))
        best = cost if best is None else min(best, cost)
    return best


def run_cost(lengths, batch_cost):
    n_rows = next(n for n in (1, 2, 3, 4, 6, 8, 12) if n >= len(lengths))
    step = 2 if max(lengths) <= 64 else 8
    return n_rows * -(-max(lengths) // step) * step + batch_cost


@pytest.mark.parametrize("batch_cost", [0, 32, 2048])
def test_what_fits_one_batch_is_split_where_that_costs_least(batch_cost):
    rng = np.random.default_rng(0)
    for _ in range(20):
        lengths = sorted(rng.integers(3, 90, size=rng.integers(1, 10)).tolist())
        found = list(iter_batches(lengths, 2048, max_tokens=512, batch_cost=batch_cost))
        batches = [batch for batch, _ in found]
        cost = sum(run_cost([lengths[i] for i in batch], batch_cost) for batch in batches)
        assert cost == least_cost(lengths, batch_cost)
        assert cost == sum(n_rows * longest + batch_cost for _, (n_rows, longest) in found)
        assert batch_cost < 2048 or len(batches) == 1
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))


def shapes_of(lengths, token_budget, max_tokens):
    """The shapes of batches, each checked against what it holds."""
    shapes = []
    for batch, (n_rows, longest) in iter_batches(lengths, token_budget, max_tokens=max_tokens):
        assert len(batch) <= n_rows
        assert max(lengths[i] for i in batch) <= longest <= max_tokens
        assert n_rows * longest <= max(token_budget, longest)
        shapes.append((n_rows, longest))
    return shapes


def test_batches_have_few_shapes():
    shapes = set()
    for seed in range(200):
        lengths = np.random.default_rng(seed).integers(4, 60, size=100 + 7 * seed).tolist()
        shapes.update(shapes_of(lengths, 256, 512))
    assert len(shapes) <= 65


def test_a_corpus_has_as_many_shapes_as_lengths():
    shapes = set()
    for seed in range(20):
        lengths = np.random.default_rng(seed).integers(4, 513, size=5000 + 331 * seed).tolist()
        shapes.update(shapes_of(lengths, 2048, 512))
    assert {n for _, n in shapes} <= {*range(4, 65, 2), *range(72, 129, 8), *range(160, 513, 32)}
    for n_rows, n in shapes:  # a whole batch, or what is left in quarters of one
        assert n_rows in {2048 // n, *(k * -(-(2048 // n) // 4) for k in (1, 2, 3))}


def test_what_is_left_after_many_batches_is_hardly_padded():
    for n in range(2000, 2400, 7):
        lengths = [30] * n
        found = list(iter_batches(lengths, 2048, max_tokens=512))
        assert sum(n_rows for _, (n_rows, _) in found) - n <= 17


@pytest.mark.parametrize(
    ("lengths", "max_tokens", "shape"),
    [
        ([1], 512, (1, 2)),
        ([9] * 5, 512, (6, 10)),
        ([9] * 7, 512, (8, 10)),
        ([9] * 13, 512, (16, 10)),
        ([9] * 23, 512, (24, 10)),
        ([31], 31, (1, 31)),
        ([66], 512, (1, 72)),
        ([129], 512, (1, 160)),
        ([300], 512, (1, 320)),
        ([300], 310, (1, 310)),
    ],
)
def test_a_batch_is_padded_to_the_next_shape(lengths, max_tokens, shape):
    assert [its for _, its in iter_batches(lengths, 256, max_tokens=max_tokens)] == [shape]


def test_an_item_over_the_budget_is_a_batch_alone():
    found = [(batch.tolist(), shape) for batch, shape in iter_batches([300, 5], 256, max_tokens=512)]
    assert found == [([0], (1, 320)), ([1], (1, 6))]


def test_no_items_give_no_batches():
    assert list(iter_batches([], 256, max_tokens=512)) == []


def test_the_name_of_a_special_token_in_a_text_is_text(encoder):
    plain, named = (encoder.encode([text]).ids[0] for text in ("bomb", "bomb [SEP] [PAD] [CLS] bomb"))
    first, last = plain[0], plain[-1]
    assert named.count(first) == named.count(last) == 1
    assert 0 not in named[1:-1]


@pytest.mark.parametrize("max_tokens", [31, 100, 512])
def test_fixed_batches_hold_every_item_in_fourteen_shapes(max_tokens):
    shapes = set()
    for seed in range(50):
        lengths = np.random.default_rng(seed).integers(1, max_tokens + 1, size=4 * seed).tolist()
        chosen = []
        for batch, (n_rows, longest) in iter_fixed_batches(lengths, max_tokens):
            assert 0 < len(batch) <= n_rows
            assert max(lengths[i] for i in batch) <= longest <= max_tokens
            shapes.add((n_rows, longest))
            chosen += batch.tolist()
        assert sorted(chosen) == list(range(len(lengths)))
    assert len(shapes) <= 14


def test_few_items_are_padded_to_few_rows():
    assert [(batch.tolist(), shape) for batch, shape in iter_fixed_batches([40, 9], 512)] == [
        ([1], (5, 24)),
        ([0], (2, 48)),
    ]
