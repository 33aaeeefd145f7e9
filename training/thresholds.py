"""Per-label decision thresholds, tuned on validation data."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["tune_for_precision", "tune_thresholds"]

_GRID = np.round(np.linspace(0.01, 0.99, 197), 3)
_SHRINKAGE = 20.0
"""Positives at which a label's own best threshold and the common one weigh the same."""

_Floats: TypeAlias = npt.NDArray[np.float64]
_Counts: TypeAlias = npt.NDArray[np.int64]


def tune_thresholds(
    y_true: npt.NDArray[np.int8], y_score: npt.NDArray[np.float32], *, beta: float = 1.0
) -> npt.NDArray[np.float64]:
    """Choose the threshold of each label for the best F-beta, held back for rare labels.

    Parameters
    ----------
    y_true : ndarray of int8, shape (n_texts, n_labels)
        Indicator matrix.
    y_score : ndarray of float32, shape (n_texts, n_labels)
        Probabilities.
    beta : float
        Weight of recall against precision, above 0; 1 weighs them alike.

    Returns
    -------
    ndarray of float64, shape (n_labels,)
        Three decimals. With n positives of a label, ``(n * own + 20 * common) / (n + 20)``: ``own`` is the label's
        best threshold (the middle of the best run on a grid of 0.005), ``common`` the single one with the best
        micro-average. A label without positives gets ``common``.
    """
    true_positives, n_predicted, n_positive = _counts(y_true, y_score)
    own = _f_beta(true_positives, n_predicted, n_positive, beta)
    micro = _f_beta(true_positives.sum(1), n_predicted.sum(1), n_positive.sum(), beta)
    return _shrunk(np.array([_middle_of_best(column) for column in own.T]), _middle_of_best(micro), n_positive)


def tune_for_precision(
    y_true: npt.NDArray[np.int8], y_score: npt.NDArray[np.float32], floor: float
) -> npt.NDArray[np.float64]:
    """Choose the lowest threshold of each label at which precision reaches a floor, held back for rare labels.

    Parameters
    ----------
    y_true : ndarray of int8, shape (n_texts, n_labels)
        Indicator matrix.
    y_score : ndarray of float32, shape (n_texts, n_labels)
        Probabilities.
    floor : float
        Least precision, in (0, 1).

    Returns
    -------
    ndarray of float64, shape (n_labels,)
        Points of a grid of 0.005. A label's own threshold is the lowest at which the precision of its decisions on
        this data is at least the floor: of all such points the one with the highest recall. ``common`` is the same for
        micro-precision. The own one is drawn towards it as in :func:`tune_thresholds`, but upwards only, and then up to
        the next point that keeps the floor; 0.99 for a label that never reaches it, ``common`` for one without
        positives.
    """
    true_positives, n_predicted, n_positive = _counts(y_true, y_score)
    holds = (n_predicted > 0) & (true_positives >= floor * n_predicted)
    n_micro = n_predicted.sum(1)
    common = _first((n_micro > 0) & (true_positives.sum(1) >= floor * n_micro), at_least=0.0)
    own = np.array([_first(column, at_least=0.0) for column in holds.T])
    shrunk = _shrunk(own, common, n_positive)
    drawn = np.array([_first(column, at_least=max(x, y)) for column, x, y in zip(holds.T, own, shrunk, strict=True)])
    # Above the point that it is drawn to, a label may keep the floor nowhere: its own stands then.
    kept = np.where(holds[np.searchsorted(_GRID, drawn), np.arange(len(drawn))], drawn, own)
    return np.where(n_positive > 0, kept, common)


def _counts(y_true: npt.NDArray[np.int8], y_score: npt.NDArray[np.float32]) -> tuple[_Counts, _Counts, _Counts]:
    """Return true positives and predictions, shape (n_points, n_labels), and the positives of each label."""
    true = y_true.astype(bool)
    true_positives = np.zeros((len(_GRID), true.shape[1]), dtype=np.int64)
    n_predicted = np.zeros_like(true_positives)
    for j in range(true.shape[1]):  # one label at a time: the whole array would be 197 times the scores
        predicted = y_score[:, j] >= _GRID[:, None]
        true_positives[:, j] = (predicted & true[:, j]).sum(1)
        n_predicted[:, j] = predicted.sum(1)
    return true_positives, n_predicted, true.sum(0)


def _f_beta(true_positives: _Counts, n_predicted: _Counts, n_positive: _Counts, beta: float) -> _Floats:
    """Return F-beta, 0 where nothing is predicted."""
    weight = beta**2
    return np.asarray((1 + weight) * true_positives / np.maximum(n_predicted + weight * n_positive, 1e-9))


def _first(holds: npt.NDArray[np.bool_], *, at_least: float) -> float:
    """Return the lowest grid point, of those not below ``at_least``, that holds; the highest point if none does."""
    points = np.flatnonzero(holds & (at_least <= _GRID))
    return float(_GRID[points[0] if len(points) else -1])


def _shrunk(own: _Floats, common: float, n_positive: _Counts) -> _Floats:
    """Return each label's own threshold drawn towards the common one where its positives are few."""
    shrunk = (n_positive * own + _SHRINKAGE * common) / (n_positive + _SHRINKAGE)
    return np.asarray(np.round(shrunk, 3), dtype=np.float64)


def _middle_of_best(scores: _Floats) -> float:
    """Return the grid point in the middle of those within 0.001 of the best score, around the best."""
    best = int(scores.argmax())
    good = scores >= scores[best] - 1e-3
    first = last = best
    while first > 0 and good[first - 1]:
        first -= 1
    while last < len(scores) - 1 and good[last + 1]:
        last += 1
    return float(_GRID[(first + last) // 2])
