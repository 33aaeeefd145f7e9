"""Precision-recall curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_curve

__all__ = ["MAX_POINTS", "precision_recall_curves"]

MAX_POINTS = 200


def precision_recall_curves(
    y_true: npt.NDArray[np.int8], y_score: npt.NDArray[np.float32], label_names: Sequence[str]
) -> dict[str, dict[str, Any] | None]:
    """Return the precision-recall curve of each label.

    Parameters
    ----------
    y_true : ndarray of int8, shape (n_texts, n_labels)
        Indicator matrix.
    y_score : ndarray of float32, shape (n_texts, n_labels)
        Probabilities.
    label_names : sequence of str
        Labels in the order of the columns.

    Returns
    -------
    dict
        For each label ``threshold`` (rising, None at the last point, which gives no label), ``precision`` and
        ``recall``: lists of one length, at most 200, evenly chosen from the points where the recall changes, the first
        and the last among them. None for a label that does not occur in the truth.
    """
    return {
        name: _curve(y_true[:, j], y_score[:, j]) if y_true[:, j].any() else None for j, name in enumerate(label_names)
    }


def _curve(y: npt.NDArray[np.int8], score: npt.NDArray[np.float32]) -> dict[str, Any]:
    """Return one label's curve."""
    precision, recall, thresholds = precision_recall_curve(y, score, drop_intermediate=True)
    # Not linspace over recall: ends of equal recall would fall together, and the curve lose its last point.
    chosen = np.unique(np.linspace(0, len(recall) - 1, min(MAX_POINTS, len(recall))).round().astype(np.intp))
    return {
        "threshold": [round(float(thresholds[i]), 4) if i < len(thresholds) else None for i in chosen],
        "precision": [round(float(value), 4) for value in precision[chosen]],
        "recall": [round(float(value), 4) for value in recall[chosen]],
    }
