"""The evaluation suite against hand-worked tables, and the script that reports it."""

from __future__ import annotations

import json
import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import ctclassify
from ctclassify.errors import DataError, LabelError
from tests.conftest import LABELS
from training import evaluate
from training.data import LabelledSentences, read_labelled
from training.evaluation import bootstrap
from training.evaluation.analysis import Predictions, analyse, read_sliceable
from training.evaluation.bootstrap import (
    MIN_DOCUMENTS,
    N_RESAMPLES,
    document_intervals,
    paired_bootstrap,
    resample_weights,
)
from training.evaluation.confusion import confusion
from training.evaluation.curves import MAX_POINTS, precision_recall_curves
from training.evaluation.metrics import evaluate_predictions
from training.evaluation.model_scores import compare_models, describe_model, score_model, short_name
from training.evaluation.reliability import expected_calibration_error, reliability
from training.evaluation.review_figures import review_figures
from training.evaluation.slices import NO_VALUE, field_values, length_values, slice_figures
from training.evaluation.spread import spread, spread_of_reports

NAMES = ("a", "b", "c")
Y_TRUE = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]], dtype=np.int8)
Y_SCORE = np.array(
    [[0.9, 0.1, 0.0], [0.4, 0.8, 0.0], [0.6, 0.7, 0.9], [0.1, 0.1, 0.0], [0.8, 0.6, 0.0]], dtype=np.float32
)
Y_PRED = Y_SCORE >= 0.5
DOCUMENTS = ("x", "x", "y", "y", "z")


# --- bootstrap


def repeated(*matrices, n=4):
    """Return the rows n times, each time in documents of their own, with these: enough for a test."""
    documents = [f"{document}{i}" for i in range(n) for document in DOCUMENTS]
    return *(np.tile(matrix, (n, 1)) for matrix in matrices), documents


def right_but_in(n_wrong, n_documents):
    """Return a truth of one label and one sentence a document, with a model that is right and one that misses some."""
    y_true = np.ones((n_documents, 1), dtype=np.int8)
    return y_true, y_true == 1, np.arange(n_documents)[:, None] >= n_wrong, [str(i) for i in range(n_documents)]


def test_the_paired_difference_is_the_difference_of_the_figures():
    better = Y_TRUE.astype(bool)
    found = paired_bootstrap(*repeated(Y_TRUE, better, Y_PRED))
    # The second model: tp 4, fp 3, fn 1, so micro-F1 2/3; macro-F1 of the labels that occur (2/3 + 4/5) / 2.
    assert found["micro_f1"]["difference"] == pytest.approx(1 - 2 / 3, abs=1e-4)
    assert found["macro_f1"]["difference"] == pytest.approx(1 - (2 / 3 + 0.8) / 2, abs=1e-4)
    turned = paired_bootstrap(*repeated(Y_TRUE, Y_PRED, better))
    assert turned["micro_f1"]["difference"] == -found["micro_f1"]["difference"]
    assert turned["micro_f1"]["interval"] == [-end for end in reversed(found["micro_f1"]["interval"])]
    assert turned["micro_f1"]["p_value"] == found["micro_f1"]["p_value"]


def test_equal_models_do_not_differ():
    found = paired_bootstrap(*repeated(Y_TRUE, Y_PRED, Y_PRED))
    assert found["micro_f1"] == {"difference": 0.0, "interval": [0.0, 0.0], "p_value": 1.0}


def test_the_smallest_p_value_is_not_zero():
    # All 40 that differ must be swapped, or none, for the difference to be as large: 2 / 2^40.
    found = paired_bootstrap(*right_but_in(40, 50))
    assert found["micro_f1"]["p_value"] == round(1 / (N_RESAMPLES + 1), 4)


@pytest.mark.parametrize(("n_wrong", "chance"), [(1, 1.0), (2, 0.5), (4, 0.125)])
def test_the_p_value_is_the_chance_that_coins_give_the_difference(n_wrong, chance):
    # Of 12 documents the second model misses some: the difference stays where these are swapped together, and is
    # smaller where they are not. One alone always keeps it.
    found = paired_bootstrap(*right_but_in(n_wrong, 12))
    assert found["micro_f1"]["difference"] == round(1 - 2 * (12 - n_wrong) / (24 - n_wrong), 4)
    assert found["micro_f1"]["p_value"] == pytest.approx(chance, abs=0.04)
    assert found["macro_f1"] == found["micro_f1"]


def test_a_p_value_by_hand(monkeypatch):
    # Ten documents, the second model misses the first two. Swapped are: none, both, the first, the second.
    coins = np.zeros((4, 10))
    coins[1, :2] = coins[2, 0] = coins[3, 1] = 1
    monkeypatch.setattr(bootstrap, "_coins", lambda n_groups, seed: iter([coins]))
    # F1 is 1 and 16/18; the differences are 2/18, -2/18, 0, 0: two of four are as large.
    found = paired_bootstrap(*right_but_in(2, 10))["micro_f1"]
    assert found["difference"] == round(2 / 18, 4)
    assert found["p_value"] == (1 + 2) / (1 + 4)


def test_a_swap_without_a_figure_counts_against_significance():
    # No label is true, each model gives one: with both at one model the other has no F1, and else both have 0.
    y_true = np.zeros((10, 1), dtype=np.int8)
    first, second = (np.arange(10)[:, None] == place for place in (0, 1))
    found = paired_bootstrap(y_true, first, second, [str(i) for i in range(10)])
    assert found["micro_f1"]["difference"] == 0.0
    assert found["micro_f1"]["p_value"] == 1.0
    assert found["macro_f1"] == {"difference": None, "interval": [None, None], "p_value": None}


@pytest.mark.parametrize("n_documents", [1, 2, MIN_DOCUMENTS - 1])
def test_few_documents_have_a_difference_but_no_interval_and_no_p_value(n_documents):
    y_true, right, worse, _ = right_but_in(30, 60)
    found = paired_bootstrap(y_true, right, worse, [str(i % n_documents) for i in range(60)])
    expected = {"difference": 0.3333, "interval": [None, None], "p_value": None}
    assert found == {"n_documents": n_documents, "micro_f1": expected, "macro_f1": expected}


def test_both_models_are_scored_on_the_same_resamples():
    # Each document has one hit by either model: their F1 is equal on every resample that is drawn once for both.
    y_true = np.tile([[1, 1]], (24, 1)).astype(np.int8)
    first, second = (np.tile([row], (24, 1)) for row in ([True, False], [False, True]))
    found = paired_bootstrap(y_true, first, second, list("abcdefghijkl") * 2)
    assert found["n_documents"] == 12
    assert found["micro_f1"]["interval"] == [0.0, 0.0]


def test_documents_are_drawn_whole():
    # Ten documents of ten sentences, half of them all right and half all wrong, vary as ten coins do, not as a hundred.
    y_true = np.ones((100, 1), dtype=np.int8)
    y_pred = np.repeat([[True], [False]], 50, axis=0)
    whole = document_intervals(y_true, y_pred, [str(i // 10) for i in range(100)], seed=1)["exact_match"]
    assert whole == [0.2, 0.8]
    apart = document_intervals(y_true, y_pred, [str(i) for i in range(100)], seed=1)["exact_match"]
    assert 0.38 < apart[0] < 0.45 < 0.55 < apart[1] < 0.62


@pytest.mark.parametrize("n_documents", [0, 1, MIN_DOCUMENTS - 1])
def test_few_documents_have_no_interval(n_documents):
    y_true, _, worse, _ = right_but_in(30, 60 if n_documents else 0)
    documents = [str(i % n_documents) for i in range(len(y_true))] if n_documents else []
    found = document_intervals(y_true, worse, documents, seed=1)
    assert found == {name: [None, None] for name in ("micro_f1", "macro_f1", "exact_match")}


def test_no_documents_have_no_difference():
    nothing = np.zeros((0, 3), dtype=bool)
    found = paired_bootstrap(nothing.astype(np.int8), nothing, nothing, [])
    assert found["macro_f1"] == {"difference": None, "interval": [None, None], "p_value": None}
    assert found["n_documents"] == 0


def test_as_many_resamples_are_drawn_as_are_reported():
    assert sum(len(part) for part in resample_weights(3, 0)) == N_RESAMPLES


# --- calibration


def test_calibration_error_by_hand():
    # Bins of 1/15: 0.30 is in (4/15, 5/15], 0.90 in (13/15, 14/15].
    # |1/4 - 0.3| * 4/6 + |2/2 - 0.9| * 2/6 = 0.0667
    p = np.array([0.3, 0.3, 0.3, 0.3, 0.9, 0.9])
    y = np.array([1.0, 0, 0, 0, 1, 1])
    assert expected_calibration_error(y, p) == pytest.approx(0.05 * 4 / 6 + 0.1 * 2 / 6)


def test_errors_of_two_labels_that_cancel_show_in_the_mean_only():
    # Label a is said too often, b too seldom, in the same bin: pooled 0.5 of 0.5.
    y_true = np.array([[0, 1]] * 4, dtype=np.int8)
    found = reliability(y_true, np.full((4, 2), 0.5, dtype=np.float32), ("a", "b"))
    assert found["pooled"]["ece"] == 0.0
    assert found["mean_ece"] == 0.5
    assert found["labels"]["a"]["brier"] == 0.25


def test_brier_score_by_hand():
    found = reliability(np.array([[1], [0]], dtype=np.int8), np.array([[0.75], [0.5]], dtype=np.float32), ("a",))
    assert found["pooled"]["brier"] == found["labels"]["a"]["brier"] == round((0.25**2 + 0.5**2) / 2, 4)


def test_bins_hold_their_upper_end_and_both_ends_of_the_range():
    found = reliability(np.array([[0], [1], [1]], dtype=np.int8), np.array([[0.0], [1.0], [0.2]]), ("a",))
    bins = found["pooled"]["bins"]
    assert len(bins) == 15
    assert [i for i, each in enumerate(bins) if each["count"]] == [0, 2, 14]  # 0.2 is 3/15
    assert bins[14] == {"mean_probability": 1.0, "observed_frequency": 1.0, "count": 1}
    assert bins[7] == {"mean_probability": None, "observed_frequency": None, "count": 0}


def test_calibration_of_nothing_is_undefined():
    found = reliability(np.zeros((0, 2), dtype=np.int8), np.zeros((0, 2), dtype=np.float32), ("a", "b"))
    assert found["pooled"]["ece"] is found["pooled"]["brier"] is found["mean_ece"] is None


# --- review


def test_review_by_hand():
    # One label, ten texts; nine are sure and right, one is unsure and wrong.
    y_true = np.ones((10, 1), dtype=np.int8)
    y_score = np.full((10, 1), 0.9, dtype=np.float32)
    y_score[3] = 0.45
    found = review_figures(y_true, y_score, y_score >= 0.5, needs_review=np.arange(10) < 5)
    # All: tp 9, fn 1, F1 18/19. Without text 3: F1 1.
    assert found["least_certain"] == {
        "percent": 10,
        "n_reviewed": 1,
        "share": 0.1,
        "micro_precision": 1.0,
        "micro_f1": 1.0,
        "gain_points": round(100 * (1 - 18 / 19), 4),
    }
    assert found["band"] == {"n_reviewed": 5, "share": 0.5, "micro_precision": 1.0, "micro_f1": 1.0}
    curve = found["risk_coverage"]
    assert [point["percent"] for point in curve] == list(range(0, 51, 5))
    assert [point["n_reviewed"] for point in curve] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert [point["micro_f1"] for point in curve] == [round(18 / 19, 4)] * 2 + [1.0] * 9


def test_the_band_scores_what_it_leaves():
    y_true = np.array([[1], [0], [1], [1]], dtype=np.int8)
    y_pred = np.array([[True], [True], [True], [False]])
    band = review_figures(
        y_true, y_pred.astype(np.float32), y_pred, needs_review=np.array([True, False, False, False])
    )["band"]
    assert band == {"n_reviewed": 1, "share": 0.25, "micro_precision": 0.5, "micro_f1": 0.5}


def test_no_band_is_no_figure():
    assert review_figures(Y_TRUE, Y_SCORE, Y_PRED, needs_review=None)["band"] is None


# --- slices


def test_slices_by_hand():
    found = slice_figures(Y_TRUE, Y_PRED, ["u", "u", "v", "v", "v"], DOCUMENTS)
    # u: tp 2 (a, b), fn 1 (a). v: tp 2, fp 3; a: tp 1 fp 1; b: tp 1 fp 1.
    assert found["u"] == {
        "n_texts": 2,
        "n_documents": 1,
        "n_positive": 3,
        "n_false_positive": 0,
        "micro_f1": 0.8,
        "macro_f1": round((2 / 3 + 1) / 2, 4),
    }
    assert found["v"] == {
        "n_texts": 3,
        "n_documents": 2,
        "n_positive": 2,
        "n_false_positive": 3,
        "micro_f1": round(4 / 7, 4),
        "macro_f1": round(2 / 3, 4),
    }


def test_a_slice_without_a_true_label_has_false_positives_and_no_f1():
    y_pred = np.zeros((5, 3), dtype=bool)
    y_pred[3, [0, 2]] = True
    found = slice_figures(Y_TRUE, y_pred, ["u", "u", "u", "quiet", "u"], DOCUMENTS)["quiet"]
    assert (found["n_positive"], found["n_false_positive"]) == (0, 2)
    assert found["micro_f1"] is found["macro_f1"] is None


def test_lengths_fall_into_their_slices():
    values, order = length_values(["w " * n for n in (1, 9, 10, 19, 20, 39, 40, 100)])
    assert values == ["1-9", "1-9", "10-19", "10-19", "20-29", "30-39", "40+", "40+"]
    found = slice_figures(Y_TRUE, Y_PRED, ["1-9"] * 5, DOCUMENTS, order=order)
    assert list(found) == order
    counts = ("n_texts", "n_documents", "n_positive", "n_false_positive")
    assert found["40+"] == {**dict.fromkeys(counts, 0), "micro_f1": None, "macro_f1": None}


def test_a_date_is_sliced_by_year_and_a_missing_value_shows():
    assert field_values("date", ["2001-06-15", None]) == ["2001", NO_VALUE]
    dates = ["Sun, 27 Feb 2022 13:27:02 +0000", "20220227T132702Z", "27/02/1999", "Tue, 1 Mar 2011 20:12:00 +2030"]
    assert field_values("date", dates) == ["2022", "2022", "1999", "2011"]
    assert field_values("date", ["yesterday", "1645968422", ""]) == ["yesterday", "1645968422", ""]
    assert field_values("source", ["wcep"]) == ["wcep"]


@pytest.fixture
def mixed(tmp_path):
    """A sentence with a source, and an article of two sentences with a genre."""
    path = tmp_path / "mixed.jsonl"
    rows = [
        {"text": "A bomb in the bank.", "labels": ["attack"], "key": "d1#0", "source": "wcep", "date": "2020-01-02"},
        {
            "id": "a1",
            "genre": "wire <b>",
            "text": "Rain. The court and the law.",
            "sentences": [
                {"start": 0, "end": 5, "labels": []},
                {"start": 6, "end": 28, "labels": ["policy"]},
            ],
        },
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_fields_are_kept_when_asked_for(mixed):
    assert read_labelled([mixed], LABELS).fields == {}
    kept = read_labelled([mixed], LABELS, keep_fields=["source", "genre"]).fields
    assert kept == {"source": ("wcep", None, None), "genre": (None, "wire <b>", "wire <b>")}


def test_a_field_that_is_no_string_is_refused(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": "a", "labels": [], "source": ["x"]}\n')
    with pytest.raises(DataError, match=r'line 1: expected "source" as a string, got \[\'x\'\]'):
        read_labelled([path], LABELS, keep_fields=["source"])
    assert len(read_labelled([path], LABELS)) == 1


def test_a_usual_field_that_is_no_text_is_dropped_unless_asked_for(tmp_path):
    path = tmp_path / "data.jsonl"
    rows = [{"source": "wcep", "genre": "wire"}, {"source": ["x"]}, {"source": None}]
    path.write_text("".join(json.dumps({"text": "a", "labels": [], **row}) + "\n" for row in rows))
    assert read_sliceable([path], LABELS, None).fields == {"genre": ("wire", None, None)}
    with pytest.raises(DataError, match='line 2: expected "source" as a string'):
        read_sliceable([path], LABELS, ["source"])
    path.write_text("{\n")
    with pytest.raises(DataError, match="line 1: not JSON"):
        read_sliceable([path], LABELS, None)
    with pytest.raises(DataError, match="no such file"):
        read_sliceable([tmp_path / "absent.jsonl"], LABELS, None)


def test_usual_fields_are_sliced_where_present_and_named_ones_must_be(mixed):
    assert set(read_sliceable([mixed], LABELS, None).fields) == {"source", "genre"}
    assert set(read_sliceable([mixed], LABELS, ["date"]).fields) == {"date"}
    with pytest.raises(DataError, match='no row has the field "region"'):
        read_sliceable([mixed], LABELS, ["date", "region"])


# --- confusion


def test_confusion_by_hand():
    # Text 0 misses a, gives b. Text 1 misses a and b, gives c. Text 2 misses a. Text 3 gives c. Text 4 is right.
    y_true = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 0]], dtype=np.int8)
    y_pred = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 1], [1, 1, 0]], dtype=bool)
    found = confusion(y_true, y_pred, NAMES)
    assert found["missed_given"] == [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
    assert found["labels"]["a"] == {
        "n_false_negative": 3,
        "n_false_negative_alone": 1,
        "n_false_positive": 0,
        "n_false_positive_alone": 0,
    }
    assert found["labels"]["c"] == {
        "n_false_negative": 0,
        "n_false_negative_alone": 0,
        "n_false_positive": 2,
        "n_false_positive_alone": 1,
    }
    assert found["true_together"] == [[4, 2, 0], [2, 2, 0], [0, 0, 0]]
    assert found["predicted_together"] == [[1, 1, 0], [1, 2, 0], [0, 0, 2]]
    assert found["top"] == [
        {"missed": "a", "given": "b", "count": 1},
        {"missed": "a", "given": "c", "count": 1},
        {"missed": "b", "given": "c", "count": 1},
    ]


def test_the_largest_confusion_comes_first():
    y_true = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 1]], dtype=np.int8)
    y_pred = np.array([[0, 1, 0], [0, 1, 0], [0, 1, 0]], dtype=bool)
    assert confusion(y_true, y_pred, NAMES)["top"][0] == {"missed": "c", "given": "b", "count": 2}


def test_counts_beyond_a_byte_do_not_wrap():
    y_true = np.ones((300, 1), dtype=np.int8)
    assert confusion(y_true, y_true.astype(bool), ("a",))["true_together"] == [[300]]


# --- curves


def test_a_curve_by_hand():
    # Label a by score: 0.9 yes, 0.8 yes, 0.6 no, 0.4 yes, 0.1 no.
    curve = precision_recall_curves(Y_TRUE, Y_SCORE, NAMES)["a"]
    points = dict(zip(curve["threshold"], zip(curve["precision"], curve["recall"], strict=True), strict=True))
    assert points[0.8] == (1.0, 0.6667)
    assert points[0.4] == (0.75, 1.0)
    assert points[None] == (1.0, 0.0)


def test_a_label_that_does_not_occur_has_no_curve():
    assert precision_recall_curves(Y_TRUE, Y_SCORE, NAMES)["c"] is None


def test_a_long_curve_is_thinned_to_its_ends():
    rng = np.random.default_rng(0)
    y_true = (rng.random((5000, 1)) < 0.3).astype(np.int8)
    curve = precision_recall_curves(y_true, rng.random((5000, 1)).astype(np.float32), ("a",))["a"]
    assert len(curve["recall"]) == len(curve["precision"]) == len(curve["threshold"]) == MAX_POINTS
    assert (curve["recall"][0], curve["recall"][-1]) == (1.0, 0.0)
    assert max(a - b for a, b in zip(curve["recall"], curve["recall"][1:], strict=False)) < 0.02


# --- spread


def test_spread_by_hand():
    assert spread([0.5, None, 0.7]) == {"n": 2, "mean": 0.6, "sd": 0.1414, "min": 0.5, "max": 0.7}
    assert spread([0.5]) == {"n": 1, "mean": 0.5, "sd": None, "min": 0.5, "max": 0.5}
    assert spread([None]) == {"n": 0, "mean": None, "sd": None, "min": None, "max": None}


def test_the_spread_of_each_label():
    reports = [
        evaluate_predictions(Y_TRUE, Y_SCORE, [t] * 3, label_names=NAMES, documents=DOCUMENTS) for t in (0.5, 0.65)
    ]
    found = spread_of_reports(reports)
    assert (found["labels"]["b"]["min"], found["labels"]["b"]["max"]) == (0.8, 1.0)
    assert found["micro_f1"]["mean"] == pytest.approx(np.mean([each["micro"]["f1"] for each in reports]), abs=1e-4)


# --- all of it


def test_thresholds_may_differ_by_text():
    limits = np.full((5, 3), 0.5)
    limits[0] = 0.95
    found = evaluate_predictions(Y_TRUE, Y_SCORE, limits, label_names=NAMES, documents=DOCUMENTS)
    assert found["labels"]["a"]["recall"] == 0.3333


def test_an_analysis_of_nothing_is_json():
    nothing = Predictions(
        sentences=LabelledSentences(texts=(), labels=(), documents=()),
        label_names=NAMES,
        y_score=np.zeros((0, 3), dtype=np.float32),
        thresholds=np.full(3, 0.5),
    )
    assert json.loads(json.dumps(analyse(nothing), allow_nan=False))["review"]["band"] is None


def altered(folder, target, **changes):
    """Copy a model folder with another manifest."""
    shutil.copytree(folder, target)
    path = target / "ctclassify.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return target


@pytest.fixture
def other_folder(tiny_folder, tmp_path):
    """The tiny model with thresholds that give no label."""
    return altered(tiny_folder, tmp_path / "other", thresholds=dict.fromkeys(LABELS, 1.0))


def test_each_model_is_compared_at_its_own_thresholds(tiny, other_folder, mixed):
    sentences = read_labelled([mixed], LABELS)
    predictions = score_model(tiny, sentences)
    found = compare_models(predictions, ctclassify.load(other_folder, engine="openvino-fp32"))
    assert found["micro_f1"]["other"] == 0.0
    expected = evaluate_predictions(
        predictions.y_true, predictions.y_score, [0.5, 0.4, 0.6], label_names=LABELS, documents=sentences.documents
    )
    assert found["micro_f1"]["difference"] == expected["micro"]["f1"]


def test_columns_follow_the_asked_order(tiny, mixed):
    sentences = read_labelled([mixed], LABELS)
    turned = score_model(tiny, sentences, label_names=LABELS[::-1])
    own = score_model(tiny, sentences)
    assert (turned.y_pred[:, ::-1] == own.y_pred).all()
    assert (turned.y_true[:, ::-1] == own.y_true).all()


def test_models_of_other_labels_are_not_compared(tiny, mixed):
    with pytest.raises(LabelError, match="the labels differ from the first model's in arson, policy"):
        score_model(tiny, read_labelled([mixed], LABELS), label_names=("attack", "casualties", "arson"))


def run(tiny_folder, mixed, output, *more):
    """Run the script, return the report."""
    models = [str(tiny_folder)] if not isinstance(tiny_folder, list) else [str(each) for each in tiny_folder]
    arguments = ["--model", *models, "--engine", "openvino-fp32", "--data", str(mixed), "--output", str(output)]
    assert evaluate.main([*arguments, *map(str, more)]) == 0
    return json.loads(output.read_text(), parse_constant=pytest.fail)["mixed"]


def test_the_report_has_every_part(tiny_folder, mixed, tmp_path, capsys):
    report = run(tiny_folder, mixed, tmp_path / "metrics.json")
    assert {"data", "engine", "model", "model_folder", "reliability", "review", "slices", "confusion"} == set(report)
    assert report["slices"]["source"]["wcep"]["n_texts"] == 1
    assert report["slices"]["genre"]["wire <b>"]["n_texts"] == 2
    assert report["slices"]["length in words"]["1-9"]["n_texts"] == 3
    assert len(report["model_folder"]["sha256"]["model.safetensors"]) == 64
    printed = capsys.readouterr().out
    wrong = report["slices"]["length in words"]["1-9"]["n_false_positive"]
    row = next(line for line in printed.splitlines() if "1-9" in line)
    assert [cell.strip() for cell in row.split("│")[2:6]] == ["3", "2", "2", str(wrong)]
    assert "wire <b>" in printed
    assert "calibration error: pooled 0." in printed
    assert "10% least certain" in printed
    assert "micro_f1: no 95% interval (undefined, or fewer than 10 articles), bootstrap by article" in printed


def test_a_field_that_no_row_has_is_an_error(tiny_folder, mixed, tmp_path, capsys):
    arguments = ["--model", str(tiny_folder), "--data", str(mixed), "--output", str(tmp_path / "m.json")]
    assert evaluate.main([*arguments, "--slice-by", "region"]) == 2
    assert 'mixed.jsonl: no row has the field "region"' in capsys.readouterr().err


def test_a_comparison_is_printed_and_stored(tiny_folder, other_folder, mixed, tmp_path, capsys):
    report = run(tiny_folder, mixed, tmp_path / "metrics.json", "--compare", other_folder)
    found = report["comparison"]["micro_f1"]
    assert found["difference"] == report["model"]["micro"]["f1"]
    assert report["comparison"]["model_folder"]["name"] == "other"
    assert report["comparison"]["n_documents"] == 2
    printed = capsys.readouterr().out
    assert "micro-F1 less that of other (0.000): " in printed
    assert "no 95% interval (undefined, or fewer than 10 articles), p = - (paired" in printed
    assert "randomisation test by article; 2 articles)" in printed


def test_a_report_of_other_data_is_not_replaced(tiny_folder, mixed, tmp_path, monkeypatch, capsys):
    output = tmp_path / "metrics.json"
    run(tiny_folder, mixed, output)
    run(tiny_folder, mixed, output)  # the same data: scored anew
    before = output.read_bytes()
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / mixed.name
    other.write_text('{"text": "A raid.", "labels": []}\n')
    arguments = ["--model", str(tiny_folder), "--engine", "openvino-fp32", "--data", str(other)]
    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "evaluate", lambda *_, **__: pytest.fail("scored"))
        assert evaluate.main([*arguments, "--output", str(output)]) == 2
        # Two files of one name are other data, too, if one of them is that of the report.
        assert evaluate.main([*arguments, str(mixed), "--output", str(output)]) == 2
    error = capsys.readouterr().err
    assert f"its report 'mixed' is of {mixed.name} (SHA-256 " in error
    assert "give this one another --name, or another file as --output" in error
    assert output.read_bytes() == before
    assert evaluate.main([*arguments, "--output", str(output), "--name", "other"]) == 0
    assert set(json.loads(output.read_text())) == {"mixed", "other"}


def test_several_models_are_seeds_and_leave_no_file_in_a_folder(tiny_folder, other_folder, mixed, tmp_path):
    first = shutil.copytree(tiny_folder, tmp_path / "first")
    report = run([first, other_folder], mixed, tmp_path / "metrics.json")
    seeds = report["seeds"]
    assert [each["name"] for each in seeds["models"]] == ["first", "other"]
    own = report["model"]["micro"]["f1"]
    assert own > 0
    assert seeds["models"][1]["micro"]["f1"] == 0.0
    assert seeds["micro_f1"]["mean"] == pytest.approx(own / 2, abs=1e-4)
    assert evaluate.main(["--model", str(first), str(other_folder), "--data", str(mixed)]) == 0
    assert not (first / "metrics.json").exists()


def test_a_model_is_named_by_its_run_and_told_by_its_thresholds(tiny_folder, tmp_path):
    described = []
    for seed, threshold in ((13, 0.5), (14, 0.6)):
        target = tmp_path / f"mine-seed{seed}" / "model"
        folder = altered(tiny_folder, target, thresholds=dict.fromkeys(LABELS, threshold))
        described.append(describe_model(ctclassify.load(folder, engine="openvino-fp32")))
    assert [each["name"] for each in described] == ["mine-seed13", "mine-seed14"]
    first, second = (each["sha256"] for each in described)
    assert {name for name in first if first[name] != second[name]} == {"ctclassify.json"}
    assert set(first) == {"config.json", "ctclassify.json", "model.safetensors", "tokenizer.json"}


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("all-MiniLM-L6-v2", "all-MiniLM-L6-v2"),
        ("answerdotai/ModernBERT-base", "ModernBERT-base"),
        ("/data/training/runs/minilm/model", "minilm"),
        ("models/ctclassify-minilm", "ctclassify-minilm"),
        ("my encoder", "my-encoder"),
        ("model", "model"),
    ],
)
def test_short_names_of_models(model, name):
    assert short_name(model) == name


def test_a_stored_band_is_reported(tiny_folder, mixed, tmp_path):
    band = {"limit": 0.0, "target_precision": 0.9, "share": 1.0}
    folder = altered(tiny_folder, tmp_path / "banded", review=band)
    report = run(folder, mixed, tmp_path / "metrics.json")
    assert report["review"]["band"] == {"n_reviewed": 3, "share": 1.0, "micro_precision": None, "micro_f1": None}


def test_data_is_needed(capsys):
    with pytest.raises(SystemExit):
        evaluate.main([])
    assert "--data is needed" in capsys.readouterr().err


def test_lists_of_numbers_stand_on_one_line_and_strings_stay():
    reports = {"x": {"curve": [1, None, 0.5], "names": ["a [ 1 ]", "b"], "empty": [], "bins": [{"n": [1, 2]}]}}
    text = evaluate._dumped(reports)
    assert json.loads(text) == reports
    assert '"curve": [1, null, 0.5]' in text


# --- the page


@pytest.fixture(scope="module")
def page_of(tiny_folder, tmp_path_factory):
    """Return the page of a data file, with everything that a report may have."""
    pytest.importorskip("matplotlib")
    other = altered(tiny_folder, tmp_path_factory.mktemp("page") / "other", thresholds=dict.fromkeys(LABELS, 1.0))

    def make(data, folder):
        run([tiny_folder, other], data, folder / "metrics.json", "--compare", other, "--html", folder / "page.html")
        return (folder / "page.html").read_text(encoding="utf-8")

    return make


def test_the_page_is_whole_and_needs_nothing_else(page_of, mixed, tmp_path):
    page = page_of(mixed, tmp_path)
    report = json.loads((tmp_path / "metrics.json").read_text())["mixed"]
    for text in ("Comparison", "Seeds", "By genre", "Largest confusions", "What stays with the model", "TF-IDF"):
        assert (text in page) == (text != "TF-IDF")
    assert "Fewer than 10 articles give no interval." in page
    wrong = report["slices"]["source"]["wcep"]["n_false_positive"]
    assert re.search(rf'<th scope="row">wcep</th><td>1</td><td>1</td><td>1</td><td>{wrong}</td>', page)
    assert report["data"][0]["sha256"] in page
    assert report["model_folder"]["sha256"]["model.safetensors"] in page
    assert page.count("<svg") == 3
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!#)', page)
    assert "url(http" not in page
    assert "@import" not in page
    for element in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        ET.fromstring(element)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", page)) | set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_the_page_escapes_and_shows_no_sentence(page_of, mixed, tmp_path):
    page = page_of(mixed, tmp_path)
    assert "wire &lt;b&gt;" in page
    assert "<b>" not in page
    for sentences in (read_labelled([mixed], LABELS).texts, ("bomb", "court")):
        for text in sentences:
            assert text not in page
            assert text not in (tmp_path / "metrics.json").read_text()


def test_the_same_report_gives_the_same_page(page_of, mixed, tmp_path):
    (tmp_path / "again").mkdir()
    assert page_of(mixed, tmp_path) == page_of(mixed, tmp_path / "again")


def test_data_without_a_sentence_is_refused(tiny_folder, mixed, tmp_path, capsys):
    mixed.write_text("\n")
    assert evaluate.main(["--model", str(tiny_folder), "--data", str(mixed), "--output", str(tmp_path / "m.json")]) == 2
    assert "mixed.jsonl: no sentence in the data to score" in capsys.readouterr().err


def test_files_that_stand_for_two_things_are_refused_before_scoring(tiny_folder, mixed, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evaluate, "evaluate", lambda *_, **__: pytest.fail("scored"))
    arguments = ["--model", str(tiny_folder), "--output", str(tmp_path / "m.json"), "--data", str(mixed)]
    assert evaluate.main([*arguments, str(tmp_path / "." / "mixed.jsonl")]) == 2
    assert "mixed.jsonl: given twice with --data" in capsys.readouterr().err
    assert evaluate.main([*arguments, "--html", str(tmp_path / "m.json")]) == 2
    assert "m.json: metrics.json and the page of --html would be the same file" in capsys.readouterr().err


def test_a_page_that_cannot_be_written_is_refused_before_scoring(tiny_folder, mixed, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evaluate, "evaluate", lambda *_, **__: pytest.fail("scored"))
    arguments = ["--model", str(tiny_folder), "--data", str(mixed), "--output", str(tmp_path / "m.json")]
    assert evaluate.main([*arguments, "--html", str(tmp_path / "absent" / "page.html")]) == 2
    assert "page.html: cannot be written" in capsys.readouterr().err
    assert evaluate.main([*arguments, "--html", str(tmp_path)]) == 2
    assert f"{tmp_path}: cannot be written: it is a folder" in capsys.readouterr().err


def test_a_file_that_cannot_be_opened_is_named(tiny_folder, mixed, tmp_path, monkeypatch, capsys):
    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(evaluate, "sha256_file", refused)
    output = str(tmp_path / "m.json")
    assert evaluate.main(["--model", str(tiny_folder), "--data", str(mixed), "--output", output]) == 2
    assert "Permission denied" in (error := capsys.readouterr().err)
    assert "mixed.jsonl" in error
    assert not Path(output).exists()
