"""Whether probabilities can be read as frequencies: calibration error, Brier score, reliability bins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.evaluation.counts import ratio, rounded

__all__ = ["N_BINS", "expected_calibration_error", "reliability"]

N_BINS = 15
"""Of equal width, as in Guo et al. 2017."""

_Floats = npt.NDArray[np.float64]


def reliability(
    y_true: npt.NDArray[np.int8], y_score: npt.NDArray[np.float32], label_names: Sequence[str]
) -> dict[str, Any]:
    """Compare probabilities with frequencies, for all decisions pooled and for each label.

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
        ``pooled`` and, under ``labels``, each label: ``ece``, the expected calibration error
        (:func:`expected_calibration_error`), ``brier``, the mean squared difference of probability and outcome [1]_ (in
        its form for one event, in [0, 1]), and ``bins``, from low to high: ``mean_probability``,
        ``observed_frequency``, ``count``. ``mean_ece``: mean over the labels, which a pooled figure hides where one
        label is over- and another underestimated. None where undefined: an empty bin, no texts.

    References
    ----------
    .. [1] Brier, Verification of Forecasts Expressed in Terms of Probability, Monthly Weather Review 78(1), 1950.
    """
    p, y = y_score.astype(np.float64), y_true.astype(np.float64)
    per_label = [expected_calibration_error(y[:, j], p[:, j]) for j in range(len(label_names))]
    return {
        "n_bins": N_BINS,
        "pooled": _described(y.ravel(), p.ravel()),
        "mean_ece": rounded(np.mean(per_label)) if per_label else None,
        "labels": {name: _described(y[:, j], p[:, j]) for j, name in enumerate(label_names)},
    }


def expected_calibration_error(y: _Floats, p: _Floats) -> float:
    """Return the mean distance of probability and frequency over the bins, weighted by their counts.

    Parameters
    ----------
    y : ndarray of float64, shape (n,)
        Outcomes, 0 or 1.
    p : ndarray of float64, shape (n,)
        Probabilities that the outcome is 1.

    Returns
    -------
    float
        In [0, 1], NaN for none: ``sum_b n_b / n * |mean(y in b) - mean(p in b)|`` [1]_ over 15 bins of equal width
        [2]_, on the probability of the label itself, so that a confident no counts as much as a confident yes.

    References
    ----------
    .. [1] Naeini, Cooper and Hauskrecht, Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI 2015.
    .. [2] Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017, equation 3.
    """
    if not len(p):
        return float("nan")
    _, total_p, total_y = _binned(y, p)
    return float(np.abs(total_y - total_p).sum() / len(p))


def _described(y: _Floats, p: _Floats) -> dict[str, Any]:
    """Return calibration error, Brier score and bins of some decisions."""
    counts, total_p, total_y = _binned(y, p)
    means, frequencies = ratio(total_p, counts), ratio(total_y, counts)
    return {
        "ece": rounded(expected_calibration_error(y, p)),
        "brier": rounded(((p - y) ** 2).mean()) if len(p) else None,
        "bins": [
            {"mean_probability": rounded(mean), "observed_frequency": rounded(frequency), "count": int(count)}
            for mean, frequency, count in zip(means, frequencies, counts, strict=True)
        ],
    }


def _binned(y: _Floats, p: _Floats) -> tuple[_Floats, _Floats, _Floats]:
    """Return count, sum of probabilities and sum of outcomes of each bin, which holds its upper end, as Guo's do."""
    bins = np.clip(np.ceil(p * N_BINS) - 1, 0, N_BINS - 1).astype(np.intp)
    weights = (np.ones_like(p), p, y)
    counts, total_p, total_y = (np.bincount(bins, w, N_BINS).astype(np.float64) for w in weights)
    return counts, total_p, total_y
