"""Metrics against hand-worked tables."""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluation.bootstrap import resample_weights
from training.evaluation.metrics import evaluate_predictions, label_counts
from training.thresholds import tune_thresholds

# Three labels, five texts in three articles; the third label never occurs in the truth but is predicted once.
Y_TRUE = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]], dtype=np.int8)
Y_SCORE = np.array(
    [[0.9, 0.1, 0.0], [0.4, 0.8, 0.0], [0.6, 0.7, 0.9], [0.1, 0.1, 0.0], [0.8, 0.6, 0.0]], dtype=np.float32
)
NAMES = ("a", "b", "c")
DOCUMENTS = ("x", "x", "y", "y", "z")


@pytest.fixture
def report():
    return evaluate_predictions(Y_TRUE, Y_SCORE, [0.5, 0.5, 0.5], label_names=NAMES, documents=DOCUMENTS)


def test_counts():
    counts = label_counts(Y_TRUE, Y_SCORE >= 0.5)
    assert counts.tp.tolist() == [2, 2, 0]
    assert counts.fp.tolist() == [1, 1, 1]
    assert counts.fn.tolist() == [1, 0, 0]


def test_per_label(report):
    assert report["labels"]["a"] == {
        "precision": 0.6667,
        "recall": 0.6667,
        "f1": 0.6667,
        "support": 3,
        "average_precision": pytest.approx(0.9167, abs=1e-4),
    }
    assert report["labels"]["b"]["f1"] == 0.8


def test_a_label_without_positives_is_undefined_not_zero(report):
    assert report["labels"]["c"]["recall"] is None
    assert report["labels"]["c"]["average_precision"] is None
    assert report["labels"]["c"]["support"] == 0
    assert report["labels"]["c"]["precision"] == 0.0


def test_micro_counts_false_positives_of_labels_that_never_occur(report):
    # tp 4, fp 3, fn 1
    assert report["micro"] == {"precision": 0.5714, "recall": 0.8, "f1": 0.6667}


def test_macro_averages_the_labels_that_occur(report):
    assert report["macro"]["f1"] == pytest.approx((2 / 3 + 0.8) / 2, abs=1e-4)


def test_samples_and_exact_match(report):
    # per text: 1, 2/3, 2*1/(1+3), 1 (both empty), 2*1/(1+2)
    assert report["samples_f1"] == pytest.approx((1 + 2 / 3 + 0.5 + 1 + 2 / 3) / 5, abs=1e-4)
    assert report["exact_match"] == 0.4


def test_intervals_hold_the_figure_and_follow_the_seed(report):
    tiled = np.tile(Y_TRUE, (4, 1)), np.tile(Y_SCORE, (4, 1)), [0.5] * 3
    documents = [f"{name}{i}" for i in range(4) for name in DOCUMENTS]
    first, again = (evaluate_predictions(*tiled, label_names=NAMES, documents=documents) for _ in range(2))
    low, high = first["intervals"]["micro_f1"]
    assert low < first["micro"]["f1"] == report["micro"]["f1"] < high
    assert again["intervals"] == first["intervals"]


def test_no_texts_are_undefined():
    report = evaluate_predictions(Y_TRUE[:0], Y_SCORE[:0], [0.5] * 3, label_names=NAMES, documents=[])
    assert report["micro"]["f1"] is None
    assert report["exact_match"] is None


def test_labels_that_never_occur_nor_are_predicted_are_undefined():
    nothing = np.zeros((12, 2), dtype=np.int8)
    report = evaluate_predictions(
        nothing, nothing.astype(np.float32), [0.5] * 2, label_names=NAMES[:2], documents=list(map(str, range(12)))
    )
    assert report["intervals"] == {"micro_f1": [None, None], "macro_f1": [None, None], "exact_match": [1.0, 1.0]}


def test_resamples_are_drawn_in_parts_of_bounded_size():
    parts = list(resample_weights(50, 13))
    assert {part.shape for part in parts} == {(100, 50)}
    whole = np.random.default_rng(13).multinomial(50, np.full(50, 1 / 50), size=2000)
    assert (np.concatenate(parts) == whole).all()


def test_thresholds_separate_what_can_be_separated():
    rng = np.random.default_rng(0)
    y_true = (rng.random((4000, 2)) < 0.5).astype(np.int8)
    y_score = np.where(y_true == 1, [0.3, 0.9], [0.1, 0.7]).astype(np.float32)
    thresholds = tune_thresholds(y_true, y_score)
    assert 0.1 < thresholds[0] <= 0.3
    assert 0.7 < thresholds[1] <= 0.9


def test_a_rare_label_stays_near_the_common_threshold():
    y_true = np.zeros((1000, 2), dtype=np.int8)
    y_true[:500, 0] = 1
    y_true[0, 1] = 1
    y_score = np.where(y_true == 1, 0.6, 0.4).astype(np.float32)
    y_score[:, 1] = 0.05
    y_score[0, 1] = 0.95
    common, rare = tune_thresholds(y_true, y_score)
    assert abs(rare - common) < 0.05
