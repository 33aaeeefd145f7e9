"""Metrics of multi-label predictions, with bootstrap intervals by article."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

__all__ = ["Counts", "evaluate_predictions", "label_counts", "rounded"]

_N_RESAMPLES = 2000
_N_AT_ONCE = 100
"""Resamples drawn together: bounds the memory to this times the number of articles."""
_CONFIDENCE = 0.95

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """True positives, false positives and false negatives, each float64 of shape (..., n_labels)."""

    tp: _Floats
    fp: _Floats
    fn: _Floats

    def f1(self) -> _Floats:
        """Return F1 of each label; NaN where neither truth nor prediction has it."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    def micro_f1(self) -> _Floats:
        """Return F1 over the pooled decisions of all labels."""
        return _ratio(2 * self.tp.sum(-1), (2 * self.tp + self.fp + self.fn).sum(-1))

    def macro_f1(self) -> _Floats:
        """Return the mean F1 of the labels that occur in the truth; a label that does not has no F1 to average."""
        occurs = self.tp + self.fn > 0
        total = np.where(occurs, np.nan_to_num(self.f1()), 0.0).sum(-1)
        return _ratio(total, occurs.sum(-1).astype(np.float64))


def label_counts(y_true: npt.NDArray[np.int8], y_pred: npt.NDArray[np.bool_]) -> Counts:
    """Return the counts over all rows; ``y_true`` and ``y_pred`` have shape (n_texts, n_labels)."""
    true = y_true.astype(bool)
    return Counts(
        tp=(true & y_pred).sum(0).astype(np.float64),
        fp=(~true & y_pred).sum(0).astype(np.float64),
        fn=(true & ~y_pred).sum(0).astype(np.float64),
    )


def evaluate_predictions(
    y_true: npt.NDArray[np.int8],
    y_score: npt.NDArray[np.float32],
    thresholds: Sequence[float],
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
    thresholds : sequence of float
        Decision threshold of each label; a probability at the threshold counts as a yes.
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
        share of texts with exactly the right set. ``intervals``: 95% percentile bootstrap over articles, 2,000
        resamples [1]_; resamples in which the figure is undefined do not count.

    References
    ----------
    .. [1] Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    y_pred = y_score >= np.asarray(thresholds)
    counts = label_counts(y_true, y_pred)
    precision, recall = _ratio(counts.tp, counts.tp + counts.fp), _ratio(counts.tp, counts.tp + counts.fn)
    occurs = y_true.sum(0) > 0
    per_label = {
        name: {
            "precision": rounded(precision[j]),
            "recall": rounded(recall[j]),
            "f1": rounded(counts.f1()[j]),
            "support": int(y_true[:, j].sum()),
            "average_precision": rounded(average_precision_score(y_true[:, j], y_score[:, j])) if occurs[j] else None,
        }
        for j, name in enumerate(label_names)
    }
    tp, fp, fn = counts.tp.sum(), counts.fp.sum(), counts.fn.sum()
    exact = (y_true.astype(bool) == y_pred).all(1)
    return {
        "n_texts": len(y_true),
        "n_documents": len(set(documents)),
        "labels": per_label,
        "micro": {
            "precision": rounded(_ratio(tp, tp + fp)),
            "recall": rounded(_ratio(tp, tp + fn)),
            "f1": rounded(counts.micro_f1()),
        },
        "macro": {
            "precision": rounded(np.nan_to_num(precision[occurs]).mean()) if occurs.any() else None,
            "recall": rounded(recall[occurs].mean()) if occurs.any() else None,
            "f1": rounded(counts.macro_f1()),
        },
        "samples_f1": rounded(_samples_f1(y_true, y_pred).mean()) if len(y_true) else None,
        "exact_match": rounded(exact.mean()) if len(y_true) else None,
        "intervals": _intervals(y_true, y_pred, exact, documents, seed),
    }


def _samples_f1(y_true: npt.NDArray[np.int8], y_pred: npt.NDArray[np.bool_]) -> _Floats:
    """Return the F1 of each text's label set, 1 where both sets are empty."""
    both = (y_true.astype(bool) & y_pred).sum(1)
    total = y_true.sum(1) + y_pred.sum(1)
    return np.where(total == 0, 1.0, 2 * both / np.maximum(total, 1))


def _intervals(
    y_true: npt.NDArray[np.int8],
    y_pred: npt.NDArray[np.bool_],
    exact: npt.NDArray[np.bool_],
    documents: Sequence[str],
    seed: int,
) -> dict[str, list[float | None]]:
    """Return the percentile interval of micro-F1, macro-F1 and exact match, resampling whole articles."""
    if not documents:
        return {"micro_f1": [None, None], "macro_f1": [None, None], "exact_match": [None, None]}
    _, group = np.unique(np.asarray(documents), return_inverse=True)
    n_groups = int(group.max()) + 1

    def by_group(rows: npt.NDArray[Any]) -> _Floats:
        summed = np.zeros((n_groups, *rows.shape[1:]))
        np.add.at(summed, group, rows)
        return summed

    true = y_true.astype(bool)
    tp, fp, fn = by_group(true & y_pred), by_group(~true & y_pred), by_group(true & ~y_pred)
    n_exact, n_texts = by_group(exact), by_group(np.ones(len(exact)))
    figures: dict[str, list[_Floats]] = {"micro_f1": [], "macro_f1": [], "exact_match": []}
    for weights in _resamples(n_groups, seed):
        counts = Counts(tp=weights @ tp, fp=weights @ fp, fn=weights @ fn)
        figures["micro_f1"].append(counts.micro_f1())
        figures["macro_f1"].append(counts.macro_f1())
        figures["exact_match"].append((weights @ n_exact) / (weights @ n_texts))
    return {name: _percentiles(np.concatenate(parts)) for name, parts in figures.items()}


def _resamples(n_groups: int, seed: int) -> Iterator[_Floats]:
    """Yield how often each group is drawn in each resample, in parts of shape (n_at_once, n_groups)."""
    rng = np.random.default_rng(seed)
    chances = np.full(n_groups, 1 / n_groups)
    for _ in range(_N_RESAMPLES // _N_AT_ONCE):
        yield rng.multinomial(n_groups, chances, size=_N_AT_ONCE).astype(np.float64)


def _percentiles(values: _Floats) -> list[float | None]:
    """Return the ends of the interval, None where no resample defines the figure."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        return [None, None]
    tail = 100 * (1 - _CONFIDENCE) / 2
    return [rounded(value) for value in np.percentile(defined, [tail, 100 - tail])]


def _ratio(numerator: Any, denominator: Any) -> _Floats:
    """Return a quotient, NaN where the denominator is 0."""
    numerator, denominator = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    quotient = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient


def rounded(value: Any) -> float | None:
    """Return a float of four decimals, None for NaN."""
    return None if np.isnan(value) else round(float(value), 4)
