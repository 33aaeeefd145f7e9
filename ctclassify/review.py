"""Which sentences a person should check: those where the model expects to be wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ReviewBand", "expected_errors"]


@dataclass(frozen=True, kw_only=True)
class ReviewBand:
    """Where a model hands a sentence to a person.

    Attributes
    ----------
    limit : float
        Sentences whose :func:`expected_errors` are above it need review.
    target_precision : float
        Micro-precision that the other sentences reached, at least, on the data the limit was chosen on.
    share : float
        Share of that data's sentences above the limit.
    """

    limit: float
    target_precision: float
    share: float


def expected_errors(
    probabilities: npt.NDArray[np.float32], indicators: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Return how many of a text's label decisions are expected to be wrong.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (n_texts, n_labels)
        Calibrated probabilities: on raw ones the sum means nothing.
    indicators : ndarray of bool, shape (n_texts, n_labels)
        The decisions.

    Returns
    -------
    ndarray of float64, shape (n_texts,)
        In [0, n_labels]: the sum over labels of ``1 - p`` where the label is given and of ``p`` where it is not, the
        expected Hamming distance to the truth.
    """
    p = probabilities.astype(np.float64)
    return np.asarray(np.where(indicators, 1 - p, p).sum(1), dtype=np.float64)
