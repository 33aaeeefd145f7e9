"""Fitting the calibration of probabilities on validation data."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize  # what scikit-learn rests on
from scipy.special import expit

from ctclassify.calibration import Calibration, logits
from training.config import CalibrationMethod
from training.finite import NotFiniteError

__all__ = ["fit_calibration"]

_PRIOR = 4.0
"""Weight of the common line in a label's own, in nats a unit of distance squared: few positives stay near it."""
_COMMON_PRIOR = 1.0
"""The same of the identity, slope 1 and bias 0, in the common line: next to nothing beside thousands of decisions."""
_MIN_SCALE = 1e-2

_Floats = npt.NDArray[np.float64]


def fit_calibration(
    y_true: npt.NDArray[np.int8], y_score: npt.NDArray[np.float32], method: CalibrationMethod
) -> Calibration | None:
    """Fit what maps a model's probabilities to frequencies.

    Parameters
    ----------
    y_true : ndarray of int8, shape (n_texts, n_labels)
        Indicator matrix of the validation data.
    y_score : ndarray of float32, shape (n_texts, n_labels)
        The model's own probabilities of the same texts.
    method : str
        ``temperature``: one slope for all labels. ``platt``: slope and bias of each label, drawn towards the line
        that fits all labels best, so that a label with few positives stays near it. ``none``: no calibration.

    Returns
    -------
    Calibration or None
        None for ``none`` and for data without texts. Slopes are at least 0.01. Fitted by minimising the log loss, in
        nats over all texts, plus a prior; targets are 0 and 1, the prior stands in the place of Platt's smoothed ones:

        - the temperature and the common line: ``(slope - 1)**2 + bias**2``, without which they would grow without end
          on few texts that the model tells apart;
        - the line of a label: ``4 * ((slope - common slope)**2 + (bias - common bias)**2)``.

    Raises
    ------
    NotFiniteError
        If a probability is NaN or infinite.
    """
    if method == "none" or not len(y_true):
        return None
    n_bad = int((~np.isfinite(y_score)).sum())
    if n_bad:
        raise NotFiniteError(
            f"{n_bad} of {y_score.size} probabilities to calibrate are NaN or infinite; the model's weights are no "
            "numbers, or too large: train it anew with a lower learning rate"
        )
    x, y = logits(y_score), y_true.astype(np.float64)
    n_labels = y.shape[1]
    if method == "temperature":
        scale = _fit(x.ravel(), y.ravel(), start=(1.0, 0.0), prior=_COMMON_PRIOR, has_bias=False)[0]
        return Calibration(scale=(scale,) * n_labels, bias=(0.0,) * n_labels)
    common = _fit(x.ravel(), y.ravel(), start=(1.0, 0.0), prior=_COMMON_PRIOR)
    lines = [_fit(x[:, j], y[:, j], start=common, prior=_PRIOR) for j in range(n_labels)]
    return Calibration(scale=tuple(line[0] for line in lines), bias=tuple(line[1] for line in lines))


def _fit(
    x: _Floats, y: _Floats, *, start: tuple[float, float], prior: float, has_bias: bool = True
) -> tuple[float, float]:
    """Return slope and bias with the least log loss plus ``prior`` times the squared distance from ``start``."""
    origin = np.asarray(start)

    def loss(line: _Floats) -> tuple[float, _Floats]:
        z = line[0] * x + line[1]
        residual = expit(z) - y
        away = line - origin
        value = (np.logaddexp(0, z) - y * z).sum() + prior * (away**2).sum()
        gradient = np.array([residual @ x, residual.sum() if has_bias else 0.0]) + 2 * prior * away
        return float(value), gradient

    found = minimize(loss, origin, jac=True, method="L-BFGS-B", bounds=[(_MIN_SCALE, None), (None, None)])
    if not np.isfinite(found.x).all():
        raise RuntimeError(f"the calibration did not converge: {found.message}")
    return round(float(found.x[0]), 6), round(float(found.x[1]), 6)
