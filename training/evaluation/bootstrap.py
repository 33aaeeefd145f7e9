"""Bootstrap by document: sentences of one article resemble each other, so whole articles are drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.evaluation.counts import Counts, label_counts, rounded

__all__ = ["N_RESAMPLES", "document_intervals", "paired_bootstrap", "resample_weights"]

N_RESAMPLES = 2000
_N_AT_ONCE = 100
"""Resamples drawn together: bounds the memory to this times the number of articles."""
_CONFIDENCE = 0.95

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
        undefined do not count, and both ends are None where none defines it, as for no texts.

    References
    ----------
    .. [1] Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    figures: dict[str, list[_Floats]] = {"micro_f1": [], "macro_f1": [], "exact_match": []}
    if not documents:
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
) -> dict[str, dict[str, Any]]:
    """Compare two models' decisions on the same texts: both are scored on each resample of the documents [1]_.

    Parameters
    ----------
    y_true : ndarray of int8, shape (n_texts, n_labels)
        Indicator matrix.
    first, second : ndarray of bool, shape (n_texts, n_labels)
        The decisions of the two models.
    documents : sequence of str
        Document of each text: the unit that is drawn.
    seed : int
        Of the resamples.

    Returns
    -------
    dict
        For ``micro_f1`` and ``macro_f1``: ``difference``, the figure of ``first`` less that of ``second`` on all texts;
        ``interval``, its 95% percentile interval; ``p_value``, two-sided, of no difference: the largest level whose
        percentile interval holds 0 [2]_, counted with one more resample on each side so that it is never 0 [3]_. None
        where undefined.

    Notes
    -----
    The p-value speaks of the documents drawn anew, not of a model trained anew: several seeds answer that.

    References
    ----------
    .. [1] Koehn, Statistical Significance Tests for Machine Translation Evaluation, EMNLP 2004, section 4.
    .. [2] Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 15.4.
    .. [3] Davison and Hinkley, Bootstrap Methods and their Application, 1997, equation 4.11.
    """
    whole = [label_counts(y_true, y_pred) for y_pred in (first, second)]
    resampled: dict[str, list[_Floats]] = {"micro_f1": [], "macro_f1": []}
    if documents:
        groups = _groups(documents)
        one, other = (_sums_by_group(y_true, y_pred, groups) for y_pred in (first, second))
        for weights in resample_weights(int(groups.max()) + 1, seed):
            a, b = _weighted(one, weights), _weighted(other, weights)
            resampled["micro_f1"].append(a.micro_f1() - b.micro_f1())
            resampled["macro_f1"].append(a.macro_f1() - b.macro_f1())
    observed = {
        "micro_f1": whole[0].micro_f1() - whole[1].micro_f1(),
        "macro_f1": whole[0].macro_f1() - whole[1].macro_f1(),
    }
    return {
        name: _difference(value, np.concatenate([np.zeros(0), *resampled[name]])) for name, value in observed.items()
    }


def _difference(observed: _Floats, resampled: _Floats) -> dict[str, Any]:
    """Return a difference with its interval and p-value."""
    defined = resampled[~np.isnan(resampled)]
    p_value = None
    if len(defined):
        smaller_side = min((defined <= 0).sum(), (defined >= 0).sum())
        p_value = rounded(min(1.0, 2 * (smaller_side + 1) / (len(defined) + 1)))
    return {"difference": rounded(observed), "interval": _percentiles(defined), "p_value": p_value}


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
