"""Windows of tokens laid end to end, without padding between them, as tensors on one device.

With ``lengths`` [3, 2] and room for 8 tokens and 3 windows, the rows of a batch are::

    ids        a b c d e 0 0 0
    positions  0 1 2 0 1 0 0 0
    first      0 0 0 3 3 5 6 7      where the token's window begins
    last       3 3 3 5 5 6 7 8      where it ends, exclusive
    window     0 0 0 1 1 2 2 2
    offsets    0 3 5 5              of each window, and the end of the last

The spare room at the end lets batches share a shape, as a CUDA graph demands. A spare token is a window of its own to
``first`` and ``last``, and in none to ``offsets``; a spare window is empty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["PackedBatch", "flat_size", "pack", "unpad"]

_TOKEN_ROWS = 5


@dataclass(frozen=True, kw_only=True)
class PackedBatch:
    """What a forward pass reads; every tensor int32 on one device.

    Attributes
    ----------
    ids, positions, first, last, window : torch.Tensor, shape (n_tokens,)
        See the module's example.
    offsets : torch.Tensor, shape (n_windows + 1,)
        Where each window begins in the tokens, and where the last ends.
    longest : int
        No window has more tokens.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor
    window: torch.Tensor
    offsets: torch.Tensor
    longest: int

    @property
    def n_windows(self) -> int:
        """Windows, spare ones included."""
        return len(self.offsets) - 1

    @classmethod
    def view(cls, flat: torch.Tensor, n_tokens: int, longest: int) -> PackedBatch:
        """Return a batch that shares the memory of a flat tensor that :func:`pack` filled (or will fill)."""
        rows = flat[: _TOKEN_ROWS * n_tokens].view(_TOKEN_ROWS, n_tokens)
        ids, positions, first, last, window = rows.unbind()
        return cls(
            ids=ids,
            positions=positions,
            first=first,
            last=last,
            window=window,
            offsets=flat[_TOKEN_ROWS * n_tokens :],
            longest=longest,
        )


def flat_size(n_tokens: int, n_windows: int) -> int:
    """Return the int32 numbers that a batch takes: all of it is one piece, so that one copy carries it."""
    return _TOKEN_ROWS * n_tokens + n_windows + 1


def pack(
    ids: npt.NDArray[np.int32],
    lengths: npt.NDArray[np.int32],
    flat: npt.NDArray[np.int32],
    *,
    n_tokens: int,
    n_windows: int,
) -> None:
    """Write a batch into a flat array.

    Parameters
    ----------
    ids : ndarray of int32, shape (sum of lengths,)
        Token ids of all windows, end to end.
    lengths : ndarray of int32, shape (n,)
        Tokens of each window, at least 1.
    flat : ndarray of int32, shape (flat_size(n_tokens, n_windows),)
        Where to write; every number is written.
    n_tokens, n_windows : int
        Room of the batch, at least what ``ids`` and ``lengths`` need.
    """
    used = len(ids)
    rows = flat[: _TOKEN_ROWS * n_tokens].reshape(_TOKEN_ROWS, n_tokens)
    offsets = flat[_TOKEN_ROWS * n_tokens :]
    offsets[0] = 0
    np.cumsum(lengths, out=offsets[1 : len(lengths) + 1])
    offsets[len(lengths) + 1 :] = used
    every = np.arange(n_tokens, dtype=np.int32)
    rows[0, :used], rows[0, used:] = ids, 0
    rows[2, :used], rows[2, used:] = np.repeat(offsets[: len(lengths)], lengths), every[used:]
    rows[3, :used], rows[3, used:] = np.repeat(offsets[1 : len(lengths) + 1], lengths), every[used:] + 1
    rows[4, :used], rows[4, used:] = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths), len(lengths)
    np.subtract(every, rows[2], out=rows[1])


def unpad(input_ids: npt.NDArray[np.int32], n_tokens: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return the ids of a padded batch end to end, padding dropped; shapes as in ``Engine.probabilities``."""
    return input_ids[np.arange(input_ids.shape[1]) < n_tokens[:, None]]
