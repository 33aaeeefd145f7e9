"""Which labels are taken for which, and which occur together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["confusion"]

_N_TOP = 20
_Counts = npt.NDArray[np.int64]


def confusion(
    y_true: npt.NDArray[np.int8], y_pred: npt.NDArray[np.bool_], label_names: Sequence[str]
) -> dict[str, Any]:
    """Count errors and labels that fall into the same sentence.

    Parameters
    ----------
    y_true : ndarray of int8, shape (n_texts, n_labels)
        Indicator matrix.
    y_pred : ndarray of bool, shape (n_texts, n_labels)
        The decisions.
    label_names : sequence of str
        Labels in the order of the columns.

    Returns
    -------
    dict
        ``label_names``, the order of rows and columns. ``missed_given``: in row i and column j the sentences that miss
        label i and are wrongly given label j. A sentence with two misses and two wrong labels counts in four cells:
        what a multi-label truth leaves open is not guessed. ``labels``: for each label ``n_false_negative`` and
        ``n_false_positive``, and how many of them stand ``alone``, with no error of the other kind in their sentence.
        ``true_together`` and ``predicted_together``: sentences with labels i and j both, on the diagonal all with
        i. ``top``: the 20 largest cells of ``missed_given`` above 0, largest first, equal ones in label order.
    """
    true, given = y_true.astype(bool), y_pred.astype(bool)
    missed, wrong = true & ~given, given & ~true
    pairs = _together(missed, wrong)
    labels = {
        name: {
            "n_false_negative": int(missed[:, j].sum()),
            "n_false_negative_alone": int((missed[:, j] & ~wrong.any(1)).sum()),
            "n_false_positive": int(wrong[:, j].sum()),
            "n_false_positive_alone": int((wrong[:, j] & ~missed.any(1)).sum()),
        }
        for j, name in enumerate(label_names)
    }
    return {
        "label_names": list(label_names),
        "missed_given": pairs.tolist(),
        "labels": labels,
        "true_together": _together(true, true).tolist(),
        "predicted_together": _together(given, given).tolist(),
        "top": _top(pairs, label_names),
    }


def _together(rows: npt.NDArray[np.bool_], columns: npt.NDArray[np.bool_]) -> _Counts:
    """Return the sentences that have i among ``rows`` and j among ``columns``, shape (n_labels, n_labels)."""
    return np.asarray(rows.T.astype(np.int64) @ columns.astype(np.int64))


def _top(pairs: _Counts, label_names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the largest cells."""
    order = np.argsort(-pairs, axis=None, kind="stable")[:_N_TOP]
    cells = [np.unravel_index(place, pairs.shape) for place in order]
    return [
        {"missed": label_names[int(i)], "given": label_names[int(j)], "count": int(pairs[i, j])}
        for i, j in cells
        if pairs[i, j]
    ]
