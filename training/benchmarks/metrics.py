"""The metrics of the published benchmarks, so that figures can stand side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score

__all__ = ["METRICS", "benchmark_figures", "example_based_f1"]

METRICS = ("example_based_f1", "micro_f1", "macro_f1")
"""Names of the figures, in the order of tables."""


def example_based_f1(y_true: npt.NDArray[Any], y_pred: npt.NDArray[Any]) -> float:
    r"""Return the mean F1 of a text's label set, over the texts where truth or prediction has a label.

    .. math:: \frac{1}{|S|} \sum_{i \in S} \frac{2 |Y_i \cap P_i|}{|Y_i| + |P_i|},
        \qquad S = \{i : Y_i \cup P_i \neq \emptyset\}

    for the true labels :math:`Y_i` and the predicted labels :math:`P_i` of text i [1]_.

    Parameters
    ----------
    y_true, y_pred : ndarray of bool or of 0 and 1, shape (n_texts, n_labels)
        Indicator matrices.

    Returns
    -------
    float
        In [0, 1]. NaN where no text has a label in either (the script in [1]_ gives 0 there).

    Raises
    ------
    ValueError
        If the matrices are not of one shape (n_texts, n_labels).

    Notes
    -----
    Texts that rightly get no label do not count, a false label on such a text counts as 0. Which texts are averaged
    so depends on the prediction. ``sklearn.metrics.f1_score(average="samples")`` on the texts of S is the same;
    ``samples_f1`` of :mod:`training.evaluation.metrics` is not: it counts texts without labels on both sides as 1.

    References
    ----------
    .. [1] https://github.com/eventdata/ConfliBERT, example_based.py, commit 0d2ea4e.
    """
    true, predicted = np.asarray(y_true, dtype=bool), np.asarray(y_pred, dtype=bool)
    if true.ndim != 2 or true.shape != predicted.shape:
        raise ValueError(f"expected two matrices of one shape (n_texts, n_labels), got {true.shape}, {predicted.shape}")
    n_both, n_labels = (true & predicted).sum(1), true.sum(1) + predicted.sum(1)
    counts = n_labels > 0
    return float((2 * n_both[counts] / n_labels[counts]).mean()) if counts.any() else float("nan")


def benchmark_figures(y_true: npt.NDArray[Any], y_pred: npt.NDArray[Any]) -> dict[str, float]:
    """Return the three figures of :data:`METRICS`.

    Parameters
    ----------
    y_true, y_pred : ndarray of bool or of 0 and 1, shape (n_texts, n_labels)
        Indicator matrices; at least one text.

    Returns
    -------
    dict of str to float
        In [0, 1]. Micro- and macro-F1 are scikit-learn's ``f1_score`` with ``zero_division=0``: a label that occurs
        in neither truth nor prediction counts as 0 in the macro average.
    """
    true, predicted = np.asarray(y_true, dtype=np.int8), np.asarray(y_pred, dtype=np.int8)
    return {
        "example_based_f1": example_based_f1(true, predicted),
        "micro_f1": float(f1_score(true, predicted, average="micro", zero_division=0)),
        "macro_f1": float(f1_score(true, predicted, average="macro", zero_division=0)),
    }
