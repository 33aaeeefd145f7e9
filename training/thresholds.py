"""Per-label decision thresholds, tuned on validation data."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["tune_thresholds"]

_GRID = np.linspace(0.05, 0.95, 181)
_SHRINKAGE = 20.0
"""Positives at which a label's own best threshold and the common one weigh the same."""


def tune_thresholds(y_true: npt.NDArray[np.int8], y_score: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Choose the threshold of each label for the best F1, held back for rare labels.

    Parameters
    ----------
    y_true : ndarray of int8, shape (n_texts, n_labels)
        Indicator matrix.
    y_score : ndarray of float32, shape (n_texts, n_labels)
        Probabilities.

    Returns
    -------
    ndarray of float64, shape (n_labels,)
        Three decimals. With n positives of a label, ``(n * own + 20 * common) / (n + 20)``: ``own`` is the label's
        best threshold (the middle of the best run on a grid of 0.005), ``common`` the single one with the best
        micro-F1. A label without positives gets ``common``.
    """
    true = y_true.astype(bool)
    true_positives = np.zeros((len(_GRID), true.shape[1]), dtype=np.int64)
    n_predicted = np.zeros_like(true_positives)
    for j in range(true.shape[1]):  # one label at a time: the whole array would be 181 times the scores
        predicted = y_score[:, j] >= _GRID[:, None]
        true_positives[:, j] = (predicted & true[:, j]).sum(1)
        n_predicted[:, j] = predicted.sum(1)
    n_positive = true.sum(0)
    f1 = 2 * true_positives / np.maximum(n_predicted + n_positive, 1)
    micro = 2 * true_positives.sum(1) / np.maximum(n_predicted.sum(1) + n_positive.sum(), 1)
    common = _middle_of_best(micro)
    own = np.array([_middle_of_best(column) for column in f1.T])
    shrunk = (n_positive * own + _SHRINKAGE * common) / (n_positive + _SHRINKAGE)
    return np.asarray(np.round(shrunk, 3), dtype=np.float64)


def _middle_of_best(scores: npt.NDArray[np.float64]) -> float:
    """Return the grid point in the middle of those within 0.001 of the best score, around the best."""
    best = int(scores.argmax())
    good = scores >= scores[best] - 1e-3
    first = last = best
    while first > 0 and good[first - 1]:
        first -= 1
    while last < len(scores) - 1 and good[last + 1]:
        last += 1
    return float(_GRID[(first + last) // 2])
