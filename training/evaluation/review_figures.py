"""What review buys: the quality of the sentences that stay with the model when the least certain go to a person."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ctclassify.review import expected_errors
from training.evaluation.counts import label_counts, ratio, rounded

__all__ = ["review_figures"]

_PERCENT_REVIEWED = range(0, 51, 5)


def review_figures(
    y_true: npt.NDArray[np.int8],
    y_score: npt.NDArray[np.float32],
    y_pred: npt.NDArray[np.bool_],
    *,
    needs_review: npt.NDArray[np.bool_] | None,
) -> dict[str, Any]:
    """Score the sentences that are left to the model.

    Parameters
    ----------
    y_true : ndarray of int8, shape (n_texts, n_labels)
        Indicator matrix.
    y_score : ndarray of float32, shape (n_texts, n_labels)
        Calibrated probabilities.
    y_pred : ndarray of bool, shape (n_texts, n_labels)
        The decisions.
    needs_review : ndarray of bool, shape (n_texts,), or None
        Which sentences the stored band hands to a person; None where the model has no band.

    Returns
    -------
    dict
        ``band``: ``n_reviewed``, ``share`` reviewed, ``micro_precision`` and ``micro_f1`` of the rest; None without a
        band. ``least_certain``: the same with the 10% of sentences of most expected errors set aside, and
        ``gain_points``, 100 times the micro-F1 of the rest less that of all. ``risk_coverage``: ``percent``,
        ``n_reviewed``, ``micro_f1`` of the rest at 0, 5, ..., 50% reviewed [1]_. The number reviewed is rounded down;
        equal ones are reviewed in the order of the data. None where undefined.

    References
    ----------
    .. [1] El-Yaniv and Wiener, On the Foundations of Noise-free Selective Classification, JMLR 11, 2010.
    """
    order = np.argsort(-expected_errors(y_score, y_pred), kind="stable")

    def with_percent(percent: int) -> npt.NDArray[np.bool_]:
        is_reviewed = np.zeros(len(y_true), dtype=np.bool_)
        is_reviewed[order[: len(y_true) * percent // 100]] = True
        return is_reviewed

    at_ten = _rest(y_true, y_pred, with_percent(10))
    everything = label_counts(y_true, y_pred).micro_f1()
    rest = label_counts(y_true[~with_percent(10)], y_pred[~with_percent(10)]).micro_f1()
    curve = []
    for percent in _PERCENT_REVIEWED:
        figures = _rest(y_true, y_pred, with_percent(percent))
        curve.append({"percent": percent, "n_reviewed": figures["n_reviewed"], "micro_f1": figures["micro_f1"]})
    return {
        "band": None if needs_review is None else _rest(y_true, y_pred, needs_review),
        "least_certain": {"percent": 10, **at_ten, "gain_points": rounded(100 * (rest - everything))},
        "risk_coverage": curve,
    }


def _rest(
    y_true: npt.NDArray[np.int8], y_pred: npt.NDArray[np.bool_], is_reviewed: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    """Return how much is reviewed and how good the rest is."""
    counts = label_counts(y_true[~is_reviewed], y_pred[~is_reviewed])
    n_reviewed = int(is_reviewed.sum())
    return {
        "n_reviewed": n_reviewed,
        "share": rounded(ratio(n_reviewed, len(y_true))),
        "micro_precision": rounded(counts.micro_precision()),
        "micro_f1": rounded(counts.micro_f1()),
    }
