"""Weights and probabilities that are no numbers: a training that diverged, told before it is taken for a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ctclassify.errors import CTClassifyError

if TYPE_CHECKING:
    import torch

__all__ = ["NotFiniteError", "check_weights"]


class NotFiniteError(CTClassifyError, ArithmeticError):
    """Weights or probabilities are NaN or infinite."""


def check_weights(weights: Mapping[str, torch.Tensor], path: Path, *, remedy: str) -> None:
    """Refuse weights of which some are NaN or infinite.

    Parameters
    ----------
    weights : mapping of str to torch.Tensor
        By name.
    path : pathlib.Path
        The folder that the message names.
    remedy : str
        What to do about it.

    Raises
    ------
    NotFiniteError
        It names the folder, how many tensors are at fault, and the first of them.
    """
    at_fault = [name for name, value in weights.items() if not value.isfinite().all()]
    if at_fault:
        raise NotFiniteError(
            f"{path}: the training diverged: {len(at_fault)} of {len(weights)} tensors hold NaN or infinite weights, "
            f"{at_fault[0]} first; the likely cause is a learning rate that is too high; {remedy}"
        )
