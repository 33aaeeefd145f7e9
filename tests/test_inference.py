"""The path from texts to probabilities: repeats, reading ahead, order, the same bits."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from ctclassify.decoding import names_of_rows
from ctclassify.inference import SentenceScorer, map_ahead
from ctclassify.tokenization import TextEncoder
from tests.conftest import WORDS

NAMES = ("attack", "casualties", "policy")


class CountingEngine:
    """Gives each window the sum of its ids as probability; counts windows and tokens."""

    name, precision, device, version = "counting", "fp32", "none", "0"
    token_budget = 64

    def __init__(self) -> None:
        self.n_windows = 0
        self.largest = 0

    def probabilities(self, input_ids, n_tokens):
        self.n_windows += int((n_tokens > 1).sum())  # padding: one token a row
        self.largest = max(self.largest, input_ids.size)
        assert (n_tokens >= 1).all()
        inside = np.arange(input_ids.shape[1]) < n_tokens[:, None]
        assert not input_ids[~inside].any()
        return np.tile((input_ids.sum(1) / 1e4).astype(np.float32)[:, None], 3)


@pytest.fixture
def engine() -> CountingEngine:
    return CountingEngine()


@pytest.fixture
def scorer(engine, tiny_folder) -> SentenceScorer:
    return SentenceScorer(TextEncoder(tiny_folder / "tokenizer.json", 32), engine, 3)


def random_texts(n: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=rng.integers(1, 60))) for _ in range(n)]


def test_a_repeated_text_is_computed_once(scorer, engine):
    scores, _ = scorer.score(["a bomb", "", "rain", "a bomb", "  ", "rain", "a bomb"])
    assert engine.n_windows == 2
    assert scores[0, 0] == scores[3, 0] == scores[6, 0] != scores[2, 0]
    assert not scores[[1, 4]].any()


def test_rows_keep_the_order_of_the_texts_over_many_chunks(scorer, monkeypatch):
    monkeypatch.setattr("ctclassify.inference.TEXTS_AT_ONCE", 7)
    texts = random_texts(60)
    together, is_windowed = scorer.score(texts)
    alone = [scorer.score([text]) for text in texts]
    assert np.array_equal(together, np.concatenate([scores for scores, _ in alone]))
    assert np.array_equal(is_windowed, np.concatenate([its for _, its in alone]))
    assert is_windowed.any()
    assert not is_windowed.all()


def test_an_engines_own_token_budget_bounds_its_batches(scorer, engine):
    scorer.score(random_texts(100))
    assert 32 <= engine.largest <= 64


def test_grouping_and_order_change_no_clear_decision(shipped_or_tiny):
    texts = random_texts(300, seed=1)
    order = np.random.default_rng(2).permutation(len(texts))
    scores = shipped_or_tiny.predict_proba(texts)
    permuted = np.empty_like(scores)
    permuted[order] = shipped_or_tiny.predict_proba([texts[i] for i in order])
    regrouped = np.concatenate([shipped_or_tiny.predict_proba(texts[i : i + 17]) for i in range(0, len(texts), 17)])
    limits = np.array(list(shipped_or_tiny.thresholds.values()))
    is_clear = np.abs(scores - limits) > 0.002
    assert is_clear.mean() > 0.9
    for other in (permuted, regrouped):
        assert np.array_equal((other >= limits)[is_clear], (scores >= limits)[is_clear])
    assert np.array_equal(scores, shipped_or_tiny.predict_proba(texts)), "the same input must give the same bits"


@pytest.fixture(params=["tiny", pytest.param("shipped", marks=pytest.mark.model)])
def shipped_or_tiny(request):
    return request.getfixturevalue(request.param)


def test_items_are_mapped_in_order_and_one_ahead():
    started = []
    results = map_ahead(lambda item: started.append(item) or -item, range(6))
    assert started == []
    assert next(results) == 0
    assert next(results) == -1
    assert len(started) <= 3
    assert list(results) == [-2, -3, -4, -5]
    assert list(map_ahead(str, [])) == []


def test_one_item_needs_no_thread():
    assert list(map_ahead(lambda _: threading.current_thread(), [0])) == [threading.main_thread()]


@pytest.mark.parametrize("n_before", [0, 1, 2, 5])
def test_results_come_before_an_error_of_the_source(n_before):
    def source():
        yield from range(n_before)
        raise OSError("the disk is gone")

    results = map_ahead(str, source())
    assert [next(results) for _ in range(n_before)] == [str(i) for i in range(n_before)]
    with pytest.raises(OSError, match="the disk is gone"):
        next(results)


def test_an_error_of_the_function_comes_after_the_results_before_it():
    results = map_ahead(lambda item: 1 // item, [1, 1, 0, 1])
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_the_source_is_read_in_the_callers_thread():
    def source():
        for _ in range(4):
            yield threading.current_thread()

    assert set(map_ahead(lambda thread: thread, source())) == {threading.main_thread()}


def test_names_of_rows():
    indicators = np.array([[1, 0, 1], [0, 0, 0], [1, 0, 1]], dtype=bool)
    assert names_of_rows(indicators, NAMES) == [("attack", "policy"), (), ("attack", "policy")]
    assert names_of_rows(indicators[:0], NAMES) == []
    many = np.eye(20, dtype=bool)
    assert names_of_rows(many, [str(i) for i in range(20)]) == [(str(i),) for i in range(20)]


class RoundedEngine(CountingEngine):
    """Puts every probability 0.004 too high, and knows that it may err."""

    margin = 0.05

    def __init__(self) -> None:
        super().__init__()
        self.finer_engine = CountingEngine()
        self.n_asked = 0

    def probabilities(self, input_ids, n_tokens):
        return super().probabilities(input_ids, n_tokens) + np.float32(0.004)

    def finer(self):
        self.n_asked += 1
        return self.finer_engine


def scored_by(engine, tiny_folder, borders):
    texts = [" ".join(words) for words in zip(WORDS, WORDS[1:], WORDS[2:], strict=False)]
    scorer = SentenceScorer(TextEncoder(tiny_folder / "tokenizer.json", 32), engine, 3)
    return scorer.score(texts, borders)[0]


def test_what_lies_near_a_threshold_is_scored_again_and_nothing_else(tiny_folder):
    exact = scored_by(CountingEngine(), tiny_folder, None)
    engine = RoundedEngine()
    border = np.median(exact[:, 0])
    found = scored_by(engine, tiny_folder, np.array([np.log(border / (1 - border)), 9.0, -9.0]))
    was_exact = (found == exact).all(axis=1)
    near = np.abs(exact[:, 0] + 0.004 - border) < 0.05 * border * (1 - border)
    assert 0 < near.sum() < len(near)
    np.testing.assert_array_equal(was_exact, near)
    np.testing.assert_allclose(found[~near], exact[~near] + 0.004, atol=1e-6)
    assert engine.n_asked == 1


def test_the_exact_engine_is_not_made_where_nothing_is_near(tiny_folder):
    engine = RoundedEngine()
    scored_by(engine, tiny_folder, np.full(3, 9.0))
    assert engine.n_asked == 0


@pytest.mark.parametrize(("margin", "borders"), [(0.0, np.full(3, -3.0)), (0.05, None)])
def test_without_margin_or_borders_nothing_is_scored_again(margin, borders, tiny_folder):
    engine = RoundedEngine()
    engine.margin = margin
    scored_by(engine, tiny_folder, borders)
    assert engine.n_asked == 0


def test_what_a_finer_engine_leaves_in_doubt_is_scored_by_the_next(tiny_folder):
    exact = scored_by(CountingEngine(), tiny_folder, None)
    engine = RoundedEngine()
    engine.finer_engine = RoundedEngine()
    border = np.median(exact[:, 0])
    found = scored_by(engine, tiny_folder, np.array([np.log(border / (1 - border)), 9.0, -9.0]))
    near = np.abs(exact[:, 0] + 0.004 - border) < 0.05 * border * (1 - border)
    np.testing.assert_array_equal((found == exact).all(axis=1), near)
    assert engine.n_asked == engine.finer_engine.n_asked == 1
