"""True positives, false positives and false negatives of each label, and the figures that come from them alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Counts", "label_counts", "ratio", "rounded"]

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """True positives, false positives and false negatives, each float64 of shape (..., n_labels)."""

    tp: _Floats
    fp: _Floats
    fn: _Floats

    def f1(self) -> _Floats:
        """Return F1 of each label; NaN where neither truth nor prediction has it."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    def micro_precision(self) -> _Floats:
        """Return precision over the pooled decisions of all labels; NaN where no label is given."""
        return ratio(self.tp.sum(-1), (self.tp + self.fp).sum(-1))

    def micro_recall(self) -> _Floats:
        """Return recall over the pooled decisions of all labels; NaN where no label is true."""
        return ratio(self.tp.sum(-1), (self.tp + self.fn).sum(-1))

    def micro_f1(self) -> _Floats:
        """Return F1 over the pooled decisions of all labels."""
        return ratio(2 * self.tp.sum(-1), (2 * self.tp + self.fp + self.fn).sum(-1))

    def macro_f1(self) -> _Floats:
        """Return the mean F1 of the labels that occur in the truth; a label that does not has no F1 to average."""
        occurs = self.tp + self.fn > 0
        total = np.where(occurs, np.nan_to_num(self.f1()), 0.0).sum(-1)
        return ratio(total, occurs.sum(-1).astype(np.float64))


def label_counts(y_true: npt.NDArray[np.int8], y_pred: npt.NDArray[np.bool_]) -> Counts:
    """Return the counts over all rows; ``y_true`` and ``y_pred`` have shape (n_texts, n_labels)."""
    true = y_true.astype(bool)
    return Counts(
        tp=(true & y_pred).sum(0).astype(np.float64),
        fp=(~true & y_pred).sum(0).astype(np.float64),
        fn=(true & ~y_pred).sum(0).astype(np.float64),
    )


def ratio(numerator: Any, denominator: Any) -> _Floats:
    """Return a quotient, NaN where the denominator is 0."""
    numerator, denominator = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    quotient = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient


def rounded(value: Any) -> float | None:
    """Return a float of four decimals, None for NaN."""
    return None if np.isnan(value) else round(float(value), 4)
