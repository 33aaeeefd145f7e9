"""From a matrix of decisions to label names."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

import numpy as np
import numpy.typing as npt

__all__ = ["names_of_rows"]


def names_of_rows(indicators: npt.NDArray[np.bool_], label_names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the label names of each row.

    Parameters
    ----------
    indicators : ndarray of bool, shape (n_texts, n_labels)
        The decisions.
    label_names : sequence of str
        Names of the columns.

    Returns
    -------
    list of tuple of str
        One tuple a row, names in the order of the columns; equal rows share one tuple. Empty for no rows.
    """
    # News repeats a few hundred label sets: names are looked up once a distinct row, not once a row.
    packed = np.packbits(indicators, axis=1)
    width, joined = packed.shape[1], packed.tobytes()
    names: dict[bytes, tuple[str, ...]] = {}
    found = []
    for i, start in enumerate(range(0, len(joined), width)):
        key = joined[start : start + width]
        if key not in names:
            names[key] = tuple(compress(label_names, indicators[i]))
        found.append(names[key])
    return found
