"""Figures of parts of the data: by source, genre or another field, and by length."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.evaluation.counts import label_counts, rounded

__all__ = ["NO_VALUE", "field_values", "length_values", "slice_figures"]

NO_VALUE = "(none)"
"""Slice of the rows that lack a field: left out silently, they would hide that the slices are not all of the data."""

_YEAR = re.compile(r"(?<!\d)(?:1[89]|20)\d\d(?=(?:\d{4})?(?!\d))")
"""A year that stands alone, or begins a date of eight digits."""

_LENGTHS = ((1, "1-9"), (10, "10-19"), (20, "20-29"), (30, "30-39"), (40, "40+"))
"""Shortest length of each slice in words, and its name."""


def slice_figures(
    y_true: npt.NDArray[np.int8],
    y_pred: npt.NDArray[np.bool_],
    values: Sequence[str],
    documents: Sequence[str],
    *,
    order: Sequence[str] | None = None,
) -> dict[str, dict[str, Any]]:
    """Score each part of the data.

    Parameters
    ----------
    y_true : ndarray of int8, shape (n_texts, n_labels)
        Indicator matrix.
    y_pred : ndarray of bool, shape (n_texts, n_labels)
        The decisions.
    values : sequence of str
        Name of the slice that each text is in.
    documents : sequence of str
        Document of each text.
    order : sequence of str or None
        The slices to report, also empty ones; None takes those that occur, sorted.

    Returns
    -------
    dict
        For each slice ``n_texts``, ``n_documents``, ``n_positive`` (labels in its truth, all texts together),
        ``n_false_positive`` (labels given wrongly), ``micro_f1``, ``macro_f1`` (over the labels that occur in the
        slice, so that it compares slices only where they have the same labels). Both F1 are None where the truth has
        no label: one label given wrongly would make them 0, however many texts are right; the false positives say
        more.
    """
    names = sorted(set(values)) if order is None else order
    figures = {}
    for name in names:
        rows = [i for i, value in enumerate(values) if value == name]
        counts = label_counts(y_true[rows], y_pred[rows])
        n_positive = int((counts.tp + counts.fn).sum())
        figures[name] = {
            "n_texts": len(rows),
            "n_documents": len({documents[i] for i in rows}),
            "n_positive": n_positive,
            "n_false_positive": int(counts.fp.sum()),
            "micro_f1": rounded(counts.micro_f1()) if n_positive else None,
            "macro_f1": rounded(counts.macro_f1()),
        }
    return figures


def field_values(name: str, values: Sequence[str | None]) -> list[str]:
    """Return the slice of each text by a field: its value, of a ``date`` the first year in it where there is one."""
    return [NO_VALUE if value is None else _year(value) if name == "date" else value for value in values]


def _year(date: str) -> str:
    """Return the first year in a date, ISO 8601 or RFC 2822; the date itself without one."""
    found = _YEAR.search(date)
    return found[0] if found else date


def length_values(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the slice of each text by its length in words, and all such slices from short to long."""
    starts = [start for start, _ in _LENGTHS]
    slices = np.searchsorted(starts, [len(text.split()) for text in texts], side="right") - 1
    # A text without words is in none of the slices by its number, and stands with the shortest.
    return [_LENGTHS[max(int(i), 0)][1] for i in slices], [name for _, name in _LENGTHS]
