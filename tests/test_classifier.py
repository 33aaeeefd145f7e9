"""Contract of predict_proba, predict, predict_article and predict_stream, on the tiny model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest

import ctclassify
from ctclassify.errors import EngineError, InputTypeError, LabelError

TEXTS = [
    "The troops raided the town.",
    "Rain in the town, rain on the river.",
    "A bomb killed police in the bank and wounded the envoy.",
    "the bill",
    "Talks to the group by the envoy of the court, on the law and the raid.",
]
ARTICLE = "The bomb killed two. The court\nraided the bank.\n\nRain in the town"


def test_probabilities_are_float32_of_one_row_a_text(tiny):
    scores = tiny.predict_proba(TEXTS)
    assert scores.dtype == np.float32
    assert scores.shape == (5, 3)
    assert np.all((scores > 0) & (scores < 1))


def test_no_texts_give_no_rows(tiny):
    assert tiny.predict_proba([]).shape == (0, 3)
    assert tiny.predict([]) == []


def test_permuting_texts_permutes_rows(tiny):
    order = [3, 0, 4, 1, 2]
    permuted = tiny.predict_proba([TEXTS[i] for i in order])
    np.testing.assert_allclose(permuted, tiny.predict_proba(TEXTS)[order], atol=1e-6)


def test_a_text_scores_the_same_alone_and_in_company(tiny):
    together = tiny.predict_proba(TEXTS)
    alone = np.concatenate([tiny.predict_proba([text]) for text in TEXTS])
    np.testing.assert_allclose(alone, together, atol=1e-6)


def test_same_input_gives_the_same_bits(tiny):
    assert np.array_equal(tiny.predict_proba(TEXTS), tiny.predict_proba(TEXTS))


def test_predict_is_thresholds_applied_to_probabilities(tiny):
    scores = tiny.predict_proba(TEXTS)
    stored = np.array(list(tiny.thresholds.values()))
    expected = [tuple(np.array(tiny.label_names)[row]) for row in scores >= stored]
    assert tiny.predict(TEXTS) == expected


def test_one_threshold_holds_for_all_labels(tiny):
    assert tiny.predict(TEXTS, thresholds=0.0) == [tiny.label_names] * 5
    assert tiny.predict(TEXTS, thresholds=1.0) == [()] * 5


def test_a_mapping_holds_for_the_labels_it_names(tiny):
    predicted = tiny.predict(TEXTS, thresholds={"attack": 0.0})
    expected = tiny.predict(TEXTS)
    assert all("attack" in names for names in predicted)
    without = [tuple(n for n in names if n != "attack") for names in predicted]
    assert without == [tuple(n for n in names if n != "attack") for names in expected]


@pytest.mark.parametrize("bad", [1.5, -0.1, float("nan"), True, {"attack": 2.0}])
def test_a_threshold_outside_0_to_1_is_refused(tiny, bad):
    with pytest.raises(LabelError, match=r"expected a number in \[0, 1\]"):
        tiny.predict(TEXTS, thresholds=bad)


def test_a_threshold_of_an_unknown_label_is_refused(tiny):
    with pytest.raises(LabelError, match="'bombing'; known labels: attack, casualties, policy"):
        tiny.predict(TEXTS, thresholds={"bombing": 0.5})


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
@pytest.mark.parametrize("bad", ["one text", b"one text", 3, None, {"a", "b"}, {"a": "b"}])
def test_anything_but_a_sequence_of_texts_is_refused(tiny, method, bad):
    with pytest.raises(InputTypeError, match=r"for one text pass a list: \[text\]"):
        getattr(tiny, method)(bad)


@pytest.mark.parametrize(("bad", "name"), [(None, "NoneType"), (b"bytes", "bytes"), (1.5, "float")])
def test_an_item_that_is_no_text_is_named(tiny, bad, name):
    with pytest.raises(InputTypeError, match=rf"texts\[1\]: expected str, got {name}"):
        tiny.predict_proba(["fine", bad])


@pytest.mark.parametrize("blank", ["", " ", "\n\t\r\n", "\u00a0\u2003"])
def test_blank_texts_have_probability_zero(tiny, blank):
    scores = tiny.predict_proba(["a bomb", blank])
    assert np.all(scores[1] == 0)
    assert np.all(scores[0] > 0)


@pytest.mark.parametrize(
    "odd", ["😀🔥💣", "\x00", "a\x00bomb", "\ud800", "bomb \udfff town", "هجوم في المدينة", "\u200b"]
)
def test_odd_texts_are_scored(tiny, odd):
    scores = tiny.predict_proba([odd, "a bomb"])
    assert np.all(np.isfinite(scores))
    np.testing.assert_allclose(scores[1], tiny.predict_proba(["a bomb"])[0], atol=1e-6)


def test_a_long_text_is_read_in_windows_with_the_maximum(tiny):
    # 32 tokens a window of which 30 are words, neighbours share 15: starts at 0 and 15.
    words = ["bomb"] * 20 + ["rain"] * 25
    windows = [" ".join(words[:30]), " ".join(words[15:])]
    expected = tiny.predict_proba(windows).max(axis=0)
    np.testing.assert_allclose(tiny.predict_proba([" ".join(words)])[0], expected, atol=1e-6)


def test_only_the_sentence_in_windows_is_marked_truncated(tiny):
    article = tiny.predict_article("A bomb killed police.\n\n" + "bomb " * 100)
    assert [sentence.is_truncated for sentence in article.sentences] == [False, True]


def test_a_megabyte_without_a_full_stop_is_tagged_whole(tiny):
    text = "bomb town " * 100_000
    article = tiny.predict_article(text)
    assert article.sentences[0].start == 0
    assert article.sentences[-1].end == len(text.rstrip())
    assert all(sentence.is_truncated for sentence in article.sentences)


def test_offsets_cut_the_sentences_out_of_the_article(tiny):
    article = tiny.predict_article(ARTICLE)
    assert len(article.sentences) >= 2
    assert all(ARTICLE[s.start : s.end] == s.text for s in article.sentences)


def test_sentences_of_an_article_score_as_texts_do(tiny):
    article = tiny.predict_article(ARTICLE)
    scores = tiny.predict_proba([s.text for s in article.sentences])
    got = [list(s.probabilities.values()) for s in article.sentences]
    np.testing.assert_allclose(got, scores, atol=1e-6)
    assert [s.labels for s in article.sentences] == tiny.predict([s.text for s in article.sentences])


def test_labels_of_an_article_are_those_of_its_sentences_in_model_order(tiny):
    article = tiny.predict_article(ARTICLE, thresholds=0.5)
    found = {name for sentence in article.sentences for name in sentence.labels}
    assert article.labels == tuple(name for name in tiny.label_names if name in found)


@pytest.mark.parametrize("blank", ["", "  \n\t "])
def test_a_blank_article_has_no_sentences(tiny, blank):
    article = tiny.predict_article(blank)
    assert (article.sentences, article.labels, article.text) == ((), (), blank)


@pytest.mark.parametrize("bad", [None, b"bytes", ["a list"], 3])
def test_an_article_that_is_no_str_is_refused(tiny, bad):
    with pytest.raises(InputTypeError, match="expected one article as a str"):
        tiny.predict_article(bad)


def test_to_dict_is_json(tiny):
    article = tiny.predict_article(ARTICLE)
    record = json.loads(json.dumps(article.to_dict()))
    assert record["labels"] == list(article.labels)
    assert record["sentences"][0]["text"] == article.sentences[0].text
    assert set(record["sentences"][0]) == {
        *("start", "end", "text", "labels", "probabilities", "is_truncated", "expected_errors", "needs_review")
    }


def test_a_stream_gives_what_single_articles_give(tiny):
    articles = [ARTICLE, "", "Rain in the town. " * 30, "a bomb"]
    for streamed, text in zip(tiny.predict_stream(iter(articles)), articles, strict=True):
        alone = tiny.predict_article(text)
        assert streamed.text == text
        assert [(s.start, s.end) for s in streamed.sentences] == [(s.start, s.end) for s in alone.sentences]
        for a, b in zip(streamed.sentences, alone.sentences, strict=True):
            np.testing.assert_allclose(list(a.probabilities.values()), list(b.probabilities.values()), atol=1e-6)


def test_a_stream_reads_no_further_than_it_must(tiny):
    n_read = 0

    def articles() -> Iterator[str]:
        nonlocal n_read
        while True:
            n_read += 1
            yield "A bomb killed police in the town. " * 100

    stream = tiny.predict_stream(articles())
    for _ in range(5):
        next(stream)
    assert n_read < 200


def test_a_stream_yields_all_before_a_bad_item_then_names_it(tiny):
    stream = tiny.predict_stream(["a bomb", "the town", None])
    assert [next(stream).text, next(stream).text] == ["a bomb", "the town"]
    with pytest.raises(InputTypeError, match="article 2: expected str, got NoneType"):
        next(stream)


def test_a_stream_yields_all_before_its_source_fails(tiny):
    def failing() -> Iterator[str]:
        yield "a bomb"
        raise OSError("the disk is gone")

    stream = tiny.predict_stream(failing())
    assert next(stream).text == "a bomb"
    with pytest.raises(OSError, match="the disk is gone"):
        next(stream)


def test_a_stream_of_empty_articles_does_not_pile_up(tiny):
    n_read = 0

    def empty() -> Iterator[str]:
        nonlocal n_read
        while True:
            n_read += 1
            yield ""

    next(tiny.predict_stream(empty()))
    assert n_read <= 2000


def test_a_book_is_tagged_in_slices_with_the_same_answers(tiny, monkeypatch):
    book = " ".join(f"Police raid {i} in the town." for i in range(40))
    expected = tiny.predict_article(book)
    held = []
    prepare = tiny._scorer.prepare
    monkeypatch.setattr(tiny._scorer, "prepare", lambda texts: held.append(len(texts)) or prepare(texts))
    monkeypatch.setattr("ctclassify.classifier.TEXTS_AT_ONCE", 16)
    monkeypatch.setattr("ctclassify.inference.TEXTS_AT_ONCE", 16)
    found = tiny.predict_article(book)
    assert held == [16, 16, 8]
    assert [s.text for s in found.sentences] == [s.text for s in expected.sentences]
    for ours, theirs in zip(found.sentences, expected.sentences, strict=True):
        assert list(ours.probabilities.values()) == pytest.approx(list(theirs.probabilities.values()), abs=1e-5)


@pytest.mark.parametrize("bad", ["one article", b"bytes", 3])
def test_a_stream_of_no_iterable_is_refused_at_once(tiny, bad):
    with pytest.raises(InputTypeError, match="call predict_article"):
        tiny.predict_stream(bad)


def test_public_names_are_sorted_and_there():
    assert ctclassify.__all__ == sorted(ctclassify.__all__)
    public = {
        name
        for name, value in vars(ctclassify).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name != "annotations"
    }
    assert public | {"__version__"} == set(ctclassify.__all__)


class Table:
    """What data frames have in common: columns, whose names they iterate over."""

    columns = ("text",)

    def __iter__(self):
        return iter(self.columns)


@pytest.mark.parametrize("texts", [{"a": "A bomb."}, {"A bomb."}, Table()])
def test_what_has_no_order_or_iterates_over_names_is_refused(tiny, texts):
    with pytest.raises(InputTypeError, match="the column of the texts"):
        tiny.predict(texts)
    with pytest.raises(InputTypeError, match="the column of the texts"):
        tiny.predict_stream(texts)


def test_an_error_of_the_callers_keeps_its_cause(tiny):
    def articles():
        yield "A bomb."
        try:
            raise KeyError("id")
        except KeyError as error:
            raise OSError("disk") from error

    with pytest.raises(OSError, match="disk") as caught:
        list(tiny.predict_stream(articles()))
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("threshold", [10**400, -(10**400)])
def test_a_threshold_beyond_float_is_refused(tiny, threshold):
    with pytest.raises(LabelError, match="expected a number in"):
        tiny.predict(["A bomb."], thresholds=threshold)


def test_sentences_and_articles_can_be_members_of_a_set(tiny):
    first, second = tiny.predict_article("A bomb. Rain."), tiny.predict_article("A bomb. Rain.")
    assert len({first, second}) == 1
    assert len({*first.sentences, *second.sentences}) == 2


def test_probabilities_that_are_no_numbers_are_an_error(tiny):
    class Diverged:
        name, precision, device, version = "diverged", "fp32", "cpu", "0"

        def probabilities(self, input_ids, n_tokens):
            return np.full((len(n_tokens), 3), np.nan, dtype=np.float32)

    classifier = ctclassify.SentenceClassifier(tiny.folder, Diverged())
    with pytest.raises(EngineError, match="no numbers"):
        classifier.predict(["A bomb."])


@pytest.mark.parametrize("engine", [None, "gpu"])
def test_an_unknown_engine_is_refused_by_name(tiny_folder, engine):
    with pytest.raises(EngineError, match="unknown engine"):
        ctclassify.load(tiny_folder, engine=engine)


def test_columns_of_tables_are_taken_whatever_their_library(tiny):
    pa = pytest.importorskip("pyarrow")
    pd = pytest.importorskip("pandas")
    texts = ["A bomb.", "Rain."]
    expected = tiny.predict_proba(texts)
    for column in (pa.chunked_array([texts]), pd.Series(texts, index=["columns", "b"]), np.array(texts)):
        np.testing.assert_array_equal(tiny.predict_proba(column), expected)
        assert len(list(tiny.predict_stream(column))) == 2
    for table in (pa.table({"text": texts}), pd.DataFrame({"text": texts})):
        with pytest.raises(InputTypeError, match="the column of the texts"):
            tiny.predict(table)


@pytest.mark.parametrize("probabilities", [[0.1] * 14, [[0.1] * 13], [["much"] * 14], [[0.1], [0.1, 0.2]]])
def test_probabilities_of_another_shape_are_refused(tiny_folder, probabilities):
    classifier = ctclassify.load(tiny_folder)
    with pytest.raises(InputTypeError, match=r"probabilities: .*expected numbers of shape \(n_texts, "):
        classifier.needs_review(probabilities)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 84.0])
def test_probabilities_that_are_none_are_refused(tiny, value):
    probabilities = tiny.predict_proba(TEXTS)
    probabilities[1, 2] = value
    with pytest.raises(InputTypeError, match=r"probabilities\[1, 2\] is .*: expected numbers in \[0, 1\]"):
        tiny.needs_review(probabilities)


class LowEngine:
    """Like the exact engine, but too low by what its margin allows."""

    name, precision, device, version, margin = "low", "bf16", "cpu", "1", 0.05

    def __init__(self, exact):
        self._exact = exact

    def probabilities(self, input_ids, n_tokens):
        return self._exact.probabilities(input_ids, n_tokens) - np.float32(0.004)

    def finer(self):
        return self._exact


def test_near_any_threshold_an_engine_decides_as_the_exact_one(tiny):
    low = ctclassify.SentenceClassifier(tiny.folder, LowEngine(tiny.engine))
    exact = tiny.predict_proba(TEXTS)
    article = " ".join(TEXTS)
    for row in exact:
        thresholds = {name: float(p) - 0.002 for name, p in zip(tiny.label_names, row, strict=True)}
        assert low.predict(TEXTS, thresholds=thresholds) == tiny.predict(TEXTS, thresholds=thresholds)
        found, expected = (each.predict_article(article, thresholds=thresholds) for each in (low, tiny))
        assert [s.labels for s in found.sentences] == [s.labels for s in expected.sentences]
    far_off = tiny.label_names[0]
    limits = {name: 0.0 if name != far_off else float(exact[0, 0]) - 0.002 for name in tiny.label_names}
    assert (low.predict_proba(TEXTS)[:, 0] >= limits[far_off]).tolist() != [
        far_off in labels for labels in low.predict(TEXTS, thresholds=limits)
    ]


def test_probabilities_may_be_lists(tiny_folder):
    classifier = ctclassify.load(tiny_folder)
    probabilities = classifier.predict_proba(TEXTS)
    np.testing.assert_array_equal(
        classifier.expected_errors(probabilities.tolist()), classifier.expected_errors(probabilities)
    )
    assert classifier.needs_review(probabilities.tolist()).dtype == bool
