"""How far figures lie apart: over the seeds of a training, over the folds of a cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from training.evaluation.counts import rounded

__all__ = ["spread", "spread_of_reports"]


def spread_of_reports(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Summarise the F1 figures of some reports of the same labels.

    Parameters
    ----------
    reports : sequence of dict
        As :func:`training.evaluation.metrics.evaluate_predictions` gives them.

    Returns
    -------
    dict
        ``micro_f1`` and ``macro_f1``, and under ``labels`` each label's F1, as :func:`spread` gives them.
    """
    names = reports[0]["labels"] if reports else ()
    return {
        **{f"{average}_f1": spread([report[average]["f1"] for report in reports]) for average in ("micro", "macro")},
        "labels": {name: spread([report["labels"][name]["f1"] for report in reports]) for name in names},
    }


def spread(values: Sequence[float | None]) -> dict[str, float | int | None]:
    """Return ``n`` values that are defined, their ``mean``, ``sd``, ``min`` and ``max``; None where undefined.

    The standard deviation is that of a sample (n - 1 below). Over seeds it speaks of the seeds that were not run, too.
    Over folds it does not: their training sets overlap, so that the figures depend on each other, and no estimate from
    them of the variance of another cross-validation is unbiased [1]_; read it as a description of these folds.

    References
    ----------
    .. [1] Bengio and Grandvalet, No Unbiased Estimator of the Variance of K-Fold Cross-Validation, JMLR 5, 2004.
    """
    defined = [value for value in values if value is not None]
    return {
        "n": len(defined),
        "mean": rounded(np.mean(defined)) if defined else None,
        "sd": rounded(np.std(defined, ddof=1)) if len(defined) > 1 else None,
        "min": min(defined, default=None),
        "max": max(defined, default=None),
    }
