"""Calibration: from a model's raw probabilities to ones that can be read as frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["MIN_PROBABILITY", "Calibration", "logits"]

MIN_PROBABILITY = 1e-7
"""Raw probabilities are held this far from 0 and 1: float32 cannot tell nearer ones from 1, whose logit is infinite."""


def logits(probabilities: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return ``log(p / (1 - p))`` in float64, of the same shape, with ``p`` held within [1e-7, 1 - 1e-7]."""
    p = np.clip(probabilities.astype(np.float64), MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    return np.log(p) - np.log1p(-p)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A line on the logit of each label: ``sigmoid(scale * logit + bias)``.

    Attributes
    ----------
    scale : tuple of float
        Slope of each label, above 0, so that the order of texts stays. Temperature scaling [1]_ is a common slope below
        1 without bias; Platt scaling [2]_ is slope and bias a label.
    bias : tuple of float
        Offset of each label, in the same order.

    References
    ----------
    .. [1] Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
    .. [2] Platt, Probabilistic Outputs for Support Vector Machines, Advances in Large Margin Classifiers, 1999.
    """

    scale: tuple[float, ...]
    bias: tuple[float, ...]

    def apply(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Calibrate probabilities.

        Parameters
        ----------
        probabilities : ndarray of float32, shape (n_texts, n_labels)
            The model's own.

        Returns
        -------
        ndarray of float32, shape (n_texts, n_labels)
            In [0, 1].
        """
        lines = np.asarray(self.scale) * logits(probabilities) + np.asarray(self.bias)
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * lines), dtype=np.float32)  # the sigmoid, without overflow

    def borders(self, thresholds: Sequence[float] | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return where decisions turn before calibration.

        Parameters
        ----------
        thresholds : sequence or ndarray of float, length n_labels
            On calibrated probabilities, in [0, 1].

        Returns
        -------
        ndarray of float64, shape (n_labels,)
            Logits of the model's own probabilities.
        """
        return np.asarray((logits(np.asarray(thresholds)) - np.asarray(self.bias)) / np.asarray(self.scale))
