"""Which way of calibrating is best on some validation data: each fitted on folds by document, judged on the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression

from training.calibration import fit_calibration
from training.config import CalibrationMethod
from training.data import LabelledSentences, indicator_matrix
from training.evaluation.metrics import rounded
from training.evaluation.reliability import reliability
from training.folds import assign_folds

__all__ = ["METHODS", "compare_methods"]

METHODS = ("none", "temperature", "platt", "isotonic")
"""``isotonic`` is here to be compared only: with few positives its steps tie texts that differ."""

_EDGE = 1e-3
"""Isotonic regression's 0 and 1, whose log loss would be infinite, are held this far off."""


def compare_methods(
    sentences: LabelledSentences,
    y_score: npt.NDArray[np.float32],
    label_names: Sequence[str],
    *,
    n_folds: int = 5,
    seed: int = 13,
) -> dict[str, dict[str, Any]]:
    """Compare ways of calibrating by cross-validation.

    Parameters
    ----------
    sentences : LabelledSentences
        Validation data, at least a document a fold.
    y_score : ndarray of float32, shape (n_texts, n_labels)
        The model's own probabilities of them.
    label_names : sequence of str
        The labels, in the order of the columns.
    n_folds : int
        At least 2.
    seed : int
        Of the folds.

    Returns
    -------
    dict
        For each of :data:`METHODS`: ``log_loss`` (nats a decision), ``brier`` and ``ece``, as
        :func:`training.evaluation.reliability.reliability` has them, pooled over all decisions, four decimals.

    Raises
    ------
    ValueError
        If there are fewer documents than folds.
    """
    n_documents = len(set(sentences.documents))
    if n_documents < n_folds:
        raise ValueError(f"{n_documents} documents do not fill {n_folds} folds; give at least a document a fold")
    y_true = indicator_matrix(sentences.labels, label_names)
    folds = assign_folds(sentences, label_names, n_folds, seed=seed)
    found = {}
    for method in METHODS:
        calibrated = np.zeros_like(y_score)
        for fold in range(1, n_folds + 1):
            held_out = folds == fold
            calibrated[held_out] = _calibrated(method, y_true[~held_out], y_score[~held_out], y_score[held_out])
        pooled = reliability(y_true, calibrated, label_names=label_names)["pooled"]
        p = np.clip(calibrated.astype(np.float64), 1e-7, 1 - 1e-7)
        log_loss = -np.where(y_true == 1, np.log(p), np.log1p(-p)).mean()
        found[method] = {"log_loss": rounded(log_loss), "brier": pooled["brier"], "ece": pooled["ece"]}
    return found


def _calibrated(
    method: str, y_true: npt.NDArray[np.int8], y_score: npt.NDArray[np.float32], others: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return probabilities calibrated by what the other folds show."""
    if method == "isotonic":
        regression = IsotonicRegression(out_of_bounds="clip", y_min=_EDGE, y_max=1 - _EDGE)
        columns = [regression.fit(y_score[:, j], y_true[:, j]).predict(others[:, j]) for j in range(y_score.shape[1])]
        return np.stack(columns, axis=1).astype(np.float32)
    known: dict[str, CalibrationMethod] = {"none": "none", "temperature": "temperature", "platt": "platt"}
    calibration = fit_calibration(y_true, y_score, known[method])
    return others if calibration is None else calibration.apply(others)
