"""Losses of a multi-label run: weighted cross-entropy, the asymmetric loss, a teacher's targets, R-Drop."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from training.config import LossName

__all__ = ["Objective", "asymmetric_loss", "bernoulli_divergence", "positive_weights"]

_GAMMA_NEGATIVE = 4.0
_MARGIN = 0.05


def positive_weights(n_positive: torch.Tensor, n_rows: int, cap: float) -> torch.Tensor:
    """Return the weight of each label's positives in the loss.

    Parameters
    ----------
    n_positive : torch.Tensor
        Rows with the label, shape (n_labels,).
    n_rows : int
        All rows.
    cap : float
        Largest weight, at least 1.

    Returns
    -------
    torch.Tensor
        float32, shape (n_labels,): sqrt(negatives / positives) held between 1 and ``cap``; ``cap`` where a label has
        no positive. The square root lies between no correction, which gives up rare labels, and full balance, which
        costs precision.
    """
    negatives = n_rows - n_positive
    return (negatives / n_positive.clamp(min=1)).sqrt().clamp(1.0, cap).float()


def asymmetric_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the asymmetric loss of each decision, shape (n_texts, n_labels).

    Negatives are weighed by their probability to the power of 4, after a margin of 0.05 was taken off: easy ones count
    nothing. Positives keep their cross-entropy (equation 7 and the setting of section 4.1 in [1]_, gamma of the
    positives 0).

    References
    ----------
    .. [1] Ridnik, Ben-Baruch, Zamir, Noy, Friedman, Protter and Zelnik-Manor, Asymmetric Loss For Multi-Label
       Classification, ICCV 2021.
    """
    positive = torch.nn.functional.softplus(-logits)
    shifted = (torch.sigmoid(logits) - _MARGIN).clamp(min=0)
    negative = -(shifted**_GAMMA_NEGATIVE) * torch.log1p(-shifted.clamp(max=1 - 1e-6))
    return labels * positive + (1 - labels) * negative


def bernoulli_divergence(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return the symmetric Kullback-Leibler divergence of two sets of logits, shape (n_texts, n_labels), from 0.

    Half the sum of both directions, for each label's yes and no: R-Drop's term [1]_ for independent labels.

    References
    ----------
    .. [1] Liang, Wu, Li, Wang, Meng, Qin, Chen, Zhang and Liu, R-Drop: Regularized Dropout for Neural Networks,
       NeurIPS 2021, equation 2.
    """
    return 0.5 * (torch.sigmoid(first) - torch.sigmoid(second)) * (first - second)


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The loss of a batch.

    Attributes
    ----------
    pos_weight : torch.Tensor
        float32, shape (n_labels,), see :func:`positive_weights`; the asymmetric loss does without.
    loss : str
        ``bce`` or ``asymmetric``: how labels count.
    soft_weight : float
        Weight of the teacher's target of a text that has labels too, in [0, 1].
    """

    pos_weight: torch.Tensor
    loss: LossName = "bce"
    soft_weight: float = 0.0

    def __call__(
        self, logits: torch.Tensor, labels: torch.Tensor, soft_labels: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the mean loss over texts and labels, computed in float32.

        Parameters
        ----------
        logits : torch.Tensor
            Shape (n_texts, n_labels).
        labels : torch.Tensor
            0 or 1, shape (n_texts, n_labels); NaN in the rows of texts that have none.
        soft_labels : torch.Tensor or None
            The teacher's probabilities, same shape; NaN in the rows of texts that have none.
        """
        logits, labels = logits.float(), labels.float()
        if soft_labels is None:
            return self._hard(logits, labels).mean()
        soft_labels = soft_labels.float()
        has_labels, has_soft = ~labels[:, :1].isnan(), ~soft_labels[:, :1].isnan()
        share = torch.where(has_labels & has_soft, self.soft_weight, has_soft.float())
        hard = self._hard(logits, labels.nan_to_num())
        soft = binary_cross_entropy_with_logits(logits, soft_labels.nan_to_num(), reduction="none")
        return ((1 - share) * hard + share * soft).mean()

    def _hard(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss of each decision against labels."""
        if self.loss == "asymmetric":
            return asymmetric_loss(logits, labels)
        return binary_cross_entropy_with_logits(
            logits, labels, pos_weight=self.pos_weight.to(logits.device), reduction="none"
        )
