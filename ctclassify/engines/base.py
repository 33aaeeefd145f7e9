"""What every engine offers."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

__all__ = ["Engine", "LowPrecisionEngine"]


class Engine(Protocol):
    """Runs a model on one batch.

    Attributes
    ----------
    name : str
        The runtime, such as ``openvino``.
    precision : str
        What the matrix products are computed in: ``fp32``, ``bf16`` or ``int8``.
    device : str
        The processor it runs on, as the runtime names it.
    version : str
        The runtime's version.

    Notes
    -----
    An engine may have more, and is taken to have none of it otherwise: ``token_budget`` and ``batch_cost``, see
    :mod:`ctclassify.inference` and :mod:`ctclassify.batching`, and what :class:`LowPrecisionEngine` has.
    """

    name: str
    precision: str
    device: str
    version: str

    def probabilities(
        self, input_ids: npt.NDArray[np.int32], n_tokens: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        """Score a batch.

        Parameters
        ----------
        input_ids : ndarray of int32, shape (n_windows, longest)
            Token ids, padded on the right with any valid id.
        n_tokens : ndarray of int32, shape (n_windows,)
            Tokens of each row that are not padding, at least 1.

        Returns
        -------
        ndarray of float32, shape (n_windows, n_labels)
            Probabilities in [0, 1], rows and columns in order.
        """
        ...


@runtime_checkable
class LowPrecisionEngine(Engine, Protocol):
    """An engine that rounds, and knows one that rounds less.

    Attributes
    ----------
    margin : float
        How far its logits may lie from float32's where a decision turns. 0: nothing is scored again.
    """

    margin: float

    def finer(self) -> Engine:
        """Return the engine of higher precision that scores again what lies within ``margin`` of a threshold."""
        ...
