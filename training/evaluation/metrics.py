"""Metrics of multi-label predictions, with bootstrap intervals by article."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

from training.evaluation.bootstrap import document_intervals
from training.evaluation.counts import Counts, label_counts, ratio, rounded

__all__ = ["Counts", "evaluate_predictions", "label_counts", "rounded"]


def evaluate_predictions(
    y_true: npt.NDArray[np.int8],
    y_score: npt.NDArray[np.float32],
    thresholds: npt.ArrayLike,
    *,
    label_names: Sequence[str],
    documents: Sequence[str],
    seed: int = 13,
) -> dict[str, Any]:
    """Compare probabilities with the truth.

    Parameters
    ----------
    y_true : ndarray of int8, shape (n_texts, n_labels)
        Indicator matrix.
    y_score : ndarray of float32, shape (n_texts, n_labels)
        Probabilities.
    thresholds : array-like of float, shape (n_labels,) or (n_texts, n_labels)
        Decision threshold of each label, or of each label for each text, as where models of several folds answer; a
        probability at the threshold counts as a yes.
    label_names : sequence of str
        Labels in the order of the columns. All of them count, also those that ``y_true`` lacks.
    documents : sequence of str
        Article of each text: the unit that the bootstrap draws.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        JSON types; None where a figure is undefined. ``labels``: for each label precision, recall, f1, support,
        average_precision. ``micro`` and ``macro``: precision, recall, f1 (macro over labels that occur).
        ``samples_f1``: mean F1 of a text's label set, 1 where truth and prediction are both empty. ``exact_match``:
        share of texts with exactly the right set. ``intervals``: see
        :func:`training.evaluation.bootstrap.document_intervals`.
    """
    y_pred = y_score >= np.asarray(thresholds)
    counts = label_counts(y_true, y_pred)
    precision, recall = ratio(counts.tp, counts.tp + counts.fp), ratio(counts.tp, counts.tp + counts.fn)
    occurs = y_true.sum(0) > 0
    exact = (y_true.astype(bool) == y_pred).all(1)
    return {
        "n_texts": len(y_true),
        "n_documents": len(set(documents)),
        "labels": {name: _of_label(counts, y_true, y_score, j) for j, name in enumerate(label_names)},
        "micro": {
            "precision": rounded(counts.micro_precision()),
            "recall": rounded(counts.micro_recall()),
            "f1": rounded(counts.micro_f1()),
        },
        "macro": {
            "precision": rounded(np.nan_to_num(precision[occurs]).mean()) if occurs.any() else None,
            "recall": rounded(recall[occurs].mean()) if occurs.any() else None,
            "f1": rounded(counts.macro_f1()),
        },
        "samples_f1": rounded(_samples_f1(y_true, y_pred).mean()) if len(y_true) else None,
        "exact_match": rounded(exact.mean()) if len(y_true) else None,
        "intervals": document_intervals(y_true, y_pred, documents, seed=seed),
    }


def _of_label(
    counts: Counts, y_true: npt.NDArray[np.int8], y_score: npt.NDArray[np.float32], j: int
) -> dict[str, float | int | None]:
    """Return the figures of the label in column j."""
    tp, fp, fn = counts.tp[j], counts.fp[j], counts.fn[j]
    support = int(y_true[:, j].sum())
    return {
        "precision": rounded(ratio(tp, tp + fp)),
        "recall": rounded(ratio(tp, tp + fn)),
        "f1": rounded(counts.f1()[j]),
        "support": support,
        "average_precision": rounded(average_precision_score(y_true[:, j], y_score[:, j])) if support else None,
    }


def _samples_f1(y_true: npt.NDArray[np.int8], y_pred: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the F1 of each text's label set, 1 where both sets are empty."""
    both = (y_true.astype(bool) & y_pred).sum(1)
    total = y_true.sum(1) + y_pred.sum(1)
    return np.where(total == 0, 1.0, 2 * both / np.maximum(total, 1))
