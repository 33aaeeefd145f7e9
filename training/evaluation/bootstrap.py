"""Bootstrap and randomisation by document: sentences of one article resemble each other, so whole articles count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.evaluation.counts import Counts, label_counts, rounded

__all__ = ["MIN_DOCUMENTS", "N_RESAMPLES", "document_intervals", "paired_bootstrap", "resample_weights"]

N_RESAMPLES = 2000
"""Of a bootstrap; as many swaps has a randomisation test."""
MIN_DOCUMENTS = 10
"""Fewer documents give no interval and no p-value: 10 can be swapped in 1,024 ways, 5 in 32; the interval of one has no
width at all, however little is known."""
_N_AT_ONCE = 100
"""Resamples drawn together: bounds the memory to this times the number of articles."""
_CONFIDENCE = 0.95
_TOLERANCE = 1e-12
"""Differences that are equal but for rounding are equal."""

_Floats = npt.NDArray[np.float64]


def document_intervals(
    y_true: npt.NDArray[np.int8], y_pred: npt.NDArray[np.bool_], documents: Sequence[str], *, seed: int
) -> dict[str, list[float | None]]:
    """Return 95% percentile intervals, resampling whole documents.

    Parameters
    ----------
    y_true : ndarray of int8, shape (n_texts, n_labels)
        Indicator matrix.
    y_pred : ndarray of bool, shape (n_texts, n_labels)
        The decisions.
    documents : sequence of str
        Document of each text.
    seed : int
        Of the resamples.

    Returns
    -------
    dict
        ``micro_f1``, ``macro_f1`` and ``exact_match``, each ``[low, high]`` [1]_; resamples in which the figure is
        undefined do not count, and both ends are None where none defines it, and below ``MIN_DOCUMENTS`` documents.

    Notes
    -----
    Macro-F1 averages the labels that occur in each resample: a rare label is in some of them and not in others.

    References
    ----------
    .. [1] Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    figures: dict[str, list[_Floats]] = {"micro_f1": [], "macro_f1": [], "exact_match": []}
    if len(set(documents)) < MIN_DOCUMENTS:
        return {name: [None, None] for name in figures}
    groups = _groups(documents)
    exact = (y_true.astype(bool) == y_pred).all(1)
    sums = _sums_by_group(y_true, y_pred, groups)
    n_exact, n_texts = _by_group(exact, groups), _by_group(np.ones(len(exact)), groups)
    for weights in resample_weights(len(n_texts), seed):
        counts = _weighted(sums, weights)
        figures["micro_f1"].append(counts.micro_f1())
        figures["macro_f1"].append(counts.macro_f1())
        figures["exact_match"].append((weights @ n_exact) / (weights @ n_texts))
    return {name: _percentiles(np.concatenate(parts)) for name, parts in figures.items()}


def paired_bootstrap(
    y_true: npt.NDArray[np.int8],
    first: npt.NDArray[np.bool_],
    second: npt.NDArray[np.bool_],
    documents: Sequence[str],
    *,
    seed: int = 13,
) -> dict[str, Any]:
    """Compare two models' decisions on the same texts: a paired bootstrap interval and a randomisation test.

    Parameters
    ----------
    y_true : ndarray of int8, shape (n_texts, n_labels)
        Indicator matrix.
    first, second : ndarray of bool, shape (n_texts, n_labels)
        The decisions of the two models.
    documents : sequence of str
        Document of each text: the unit that is drawn and swapped.
    seed : int
        Of the resamples and the swaps.

    Returns
    -------
    dict
        ``n_documents``; and for ``micro_f1`` and ``macro_f1``: ``difference``, the figure of ``first`` less that of
        ``second`` on all texts; ``interval``, its 95% percentile interval, both models scored on each resample of the
        documents [1]_; ``p_value``, two-sided, of no difference: each document's counts go to the other model by the
        toss of a coin [2]_, and ``p = (1 + n) / (1 + N_RESAMPLES)`` for the n swaps in which the difference is at
        least as large as the observed one, either way, or undefined [3]_. None where undefined. Below
        ``MIN_DOCUMENTS`` documents the interval is ``[None, None]`` and the p-value None: so few say nothing about
        others.

    Notes
    -----
    The p-value speaks of these documents, not of a model trained anew: several seeds answer that. Macro-F1 averages
    the labels that occur in each resample; a swap leaves the truth and so the labels as they are.

    References
    ----------
    .. [1] Koehn, Statistical Significance Tests for Machine Translation Evaluation, EMNLP 2004, section 4.
    .. [2] Yeh, More Accurate Tests for the Statistical Significance of Result Differences, COLING 2000, section 3.
    .. [3] Noreen, Computer-Intensive Methods for Testing Hypotheses, 1989, chapter 2.
    """
    observed = _differences(label_counts(y_true, first), label_counts(y_true, second))
    n_documents = len(set(documents))
    found: dict[str, Any] = {"n_documents": n_documents}
    for name, value in observed.items():
        found[name] = {"difference": rounded(value), "interval": [None, None], "p_value": None}
    if n_documents < MIN_DOCUMENTS:
        return found
    groups = _groups(documents)
    one, other = (_sums_by_group(y_true, y_pred, groups) for y_pred in (first, second))
    resampled = [_differences(_weighted(one, w), _weighted(other, w)) for w in resample_weights(n_documents, seed)]
    swapped = [_differences(*_swapped(one, other, is_swapped)) for is_swapped in _coins(n_documents, seed)]
    for name, value in observed.items():
        found[name]["interval"] = _percentiles(np.concatenate([part[name] for part in resampled]))
        found[name]["p_value"] = _p_value(float(value), np.concatenate([part[name] for part in swapped]))
    return found


def _differences(first: Counts, second: Counts) -> dict[str, _Floats]:
    """Return the figures of ``first`` less those of ``second``."""
    return {
        "micro_f1": first.micro_f1() - second.micro_f1(),
        "macro_f1": first.macro_f1() - second.macro_f1(),
    }


def _coins(n_groups: int, seed: int) -> Iterator[_Floats]:
    """Yield which groups are swapped, 0 or 1, in parts of shape (n_at_once, n_groups)."""
    rng = np.random.default_rng(seed)
    for _ in range(N_RESAMPLES // _N_AT_ONCE):
        yield rng.integers(0, 2, size=(_N_AT_ONCE, n_groups)).astype(np.float64)


def _swapped(one: Counts, other: Counts, is_swapped: _Floats) -> tuple[Counts, Counts]:
    """Return both models' counts of each swap, shape (n_swaps, n_labels)."""
    is_kept = 1.0 - is_swapped
    return (
        _added(_weighted(one, is_kept), _weighted(other, is_swapped)),
        _added(_weighted(other, is_kept), _weighted(one, is_swapped)),
    )


def _added(first: Counts, second: Counts) -> Counts:
    """Return the sums of counts."""
    return Counts(tp=first.tp + second.tp, fp=first.fp + second.fp, fn=first.fn + second.fn)


def _p_value(observed: float, swapped: _Floats) -> float | None:
    """Return the share of swaps that differ as much, the observed assignment counted as one of them."""
    if np.isnan(observed):
        return None
    # Written by what is smaller, so that an undefined difference counts against significance.
    n_smaller = int((np.abs(swapped) < abs(observed) - _TOLERANCE).sum())
    return rounded((1 + len(swapped) - n_smaller) / (1 + len(swapped)))


def resample_weights(n_groups: int, seed: int) -> Iterator[_Floats]:
    """Yield how often each group is drawn in each resample, in parts of shape (n_at_once, n_groups)."""
    rng = np.random.default_rng(seed)
    chances = np.full(n_groups, 1 / n_groups)
    for _ in range(N_RESAMPLES // _N_AT_ONCE):
        yield rng.multinomial(n_groups, chances, size=_N_AT_ONCE).astype(np.float64)


def _groups(documents: Sequence[str]) -> npt.NDArray[np.intp]:
    """Return the number of each text's document, counted from 0."""
    return np.unique(np.asarray(documents), return_inverse=True)[1]


def _by_group(rows: npt.NDArray[Any], groups: npt.NDArray[np.intp]) -> _Floats:
    """Return the sums of the rows of each group."""
    summed = np.zeros((int(groups.max()) + 1, *rows.shape[1:]))
    np.add.at(summed, groups, rows)
    return summed


def _sums_by_group(y_true: npt.NDArray[np.int8], y_pred: npt.NDArray[np.bool_], groups: npt.NDArray[np.intp]) -> Counts:
    """Return the counts of each group, shape (n_groups, n_labels)."""
    true = y_true.astype(bool)
    return Counts(
        tp=_by_group(true & y_pred, groups), fp=_by_group(~true & y_pred, groups), fn=_by_group(true & ~y_pred, groups)
    )


def _weighted(sums: Counts, weights: _Floats) -> Counts:
    """Return the counts of each resample, shape (n_resamples, n_labels)."""
    return Counts(tp=weights @ sums.tp, fp=weights @ sums.fp, fn=weights @ sums.fn)


def _percentiles(values: _Floats) -> list[float | None]:
    """Return the ends of the interval, None where no resample defines the figure."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        return [None, None]
    tail = 100 * (1 - _CONFIDENCE) / 2
    return [rounded(value) for value in np.percentile(defined, [tail, 100 - tail])]
