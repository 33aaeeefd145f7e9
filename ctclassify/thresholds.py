"""Decision thresholds: from what a caller may pass to one number a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ctclassify.errors import LabelError

__all__ = ["Thresholds", "resolve_thresholds"]

Thresholds: TypeAlias = float | str | Mapping[str, float] | None
"""None for the stored thresholds, a stored set's name, one number for all labels, or a number for each label named."""


def resolve_thresholds(
    thresholds: Thresholds,
    label_names: Sequence[str],
    stored: Sequence[float],
    sets: Mapping[str, Sequence[float]] | None = None,
) -> npt.NDArray[np.float64]:
    """Return the threshold of each label.

    Parameters
    ----------
    thresholds : None, float, str, or mapping of str to float
        See :data:`Thresholds`.
    label_names : sequence of str
        The model's labels in order.
    stored : sequence of float
        The stored thresholds in the same order: taken for labels that a mapping does not name.
    sets : mapping of str to sequence of float, or None
        The stored sets that have a name, each in the same order.

    Returns
    -------
    ndarray of float64, shape (n_labels,)

    Raises
    ------
    LabelError
        If a name is not among the labels or the sets, or a value is not a number in [0, 1].
    """
    if thresholds is None:
        return np.array(stored, dtype=np.float64)
    if isinstance(thresholds, str):
        if thresholds not in (sets or {}):
            known = ", ".join(sets or ()) or "none"
            raise LabelError(f"the model has no set of thresholds named {thresholds!r}; its sets: {known}")
        return np.array((sets or {})[thresholds], dtype=np.float64)
    if isinstance(thresholds, Mapping):
        unknown = [name for name in thresholds if name not in label_names]
        if unknown:
            raise LabelError(f"thresholds name {unknown[0]!r}; known labels: {', '.join(label_names)}")
        values = [
            _checked(thresholds[name], f"threshold of {name}") if name in thresholds else value
            for name, value in zip(label_names, stored, strict=True)
        ]
        return np.array(values, dtype=np.float64)
    return np.full(len(label_names), _checked(thresholds, "threshold"), dtype=np.float64)


def _checked(value: float, what: str) -> float:
    """Return a threshold that is a number in [0, 1]."""
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= 1:
        raise LabelError(f"{what} is {value!r}; expected a number in [0, 1]")
    return float(value)
