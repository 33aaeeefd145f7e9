"""Forward passes recorded once as CUDA graphs and replayed: one launch in place of some seventy."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ctclassify.engines.cuda_batch import PackedBatch, flat_size
from ctclassify.engines.cuda_model import PackedBert

__all__ = ["GraphCache", "Room", "room_for"]

_LEAST_TOKENS = 256
_LEAST_WINDOWS = 32
_TILE = 128
"""Tokens by which ``longest`` is rounded up: FlashAttention works in tiles of as many, so it costs nothing."""


@dataclass(frozen=True, kw_only=True)
class Room:
    """The shape of a recorded pass."""

    n_tokens: int
    n_windows: int
    longest: int


@dataclass(frozen=True, kw_only=True)
class _Recorded:
    """A graph, the memory it reads its batch from, and the memory it leaves probabilities in."""

    graph: torch.cuda.CUDAGraph
    flat: torch.Tensor
    probabilities: torch.Tensor


def room_for(n_tokens: int, n_windows: int, longest: int) -> Room:
    """Return the smallest recorded shape that holds a batch: few shapes, at most a third of the tokens spare."""
    return Room(
        n_tokens=_rounded(n_tokens, _LEAST_TOKENS),
        n_windows=_rounded(n_windows, _LEAST_WINDOWS),
        longest=-(-longest // _TILE) * _TILE,
    )


def _rounded(number: int, least: int) -> int:
    """Return the next number of the form ``2**k`` or ``3 * 2**k``, at least ``least`` (a power of two)."""
    power = max(least, 1 << (number - 1).bit_length())
    three_quarters = power // 4 * 3
    return three_quarters if least <= number <= three_quarters else power


class GraphCache:
    """Records a model's pass for each room once and replays it.

    Parameters
    ----------
    model : PackedBert
        On a CUDA device.
    device : torch.device
        That device.

    Notes
    -----
    All graphs share one pool of memory and run one after another on one stream: what a replay returns holds until the
    next replay.
    """

    def __init__(self, model: PackedBert, device: torch.device) -> None:
        self._model = model
        self._device = device
        self._recorded: dict[Room, _Recorded] = {}
        self._pool = torch.cuda.graph_pool_handle()

    def __len__(self) -> int:
        """Return how many graphs are held."""
        return len(self._recorded)

    def run(self, host: torch.Tensor, room: Room) -> torch.Tensor:
        """Score a batch that :func:`ctclassify.engines.cuda_batch.pack` wrote into pinned memory.

        Parameters
        ----------
        host : torch.Tensor
            int32, shape (flat_size(room.n_tokens, room.n_windows),), pinned.
        room : Room
            Its shape.

        Returns
        -------
        torch.Tensor
            float32, shape (room.n_windows, n_labels), on the device; overwritten by the next call.
        """
        recorded = self._recorded.get(room)
        if recorded is None:
            recorded = self._recorded[room] = self._record(host, room)
        recorded.flat.copy_(host, non_blocking=True)
        recorded.graph.replay()
        return recorded.probabilities

    def _record(self, host: torch.Tensor, room: Room) -> _Recorded:
        """Run the pass twice on a stream of its own (libraries set themselves up), then record it."""
        flat = torch.empty(flat_size(room.n_tokens, room.n_windows), dtype=torch.int32, device=self._device)
        flat.copy_(host)
        batch = PackedBatch.view(flat, room.n_tokens, room.longest)
        aside = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(aside):
            for _ in range(2):
                self._model(batch)
        torch.cuda.current_stream(self._device).wait_stream(aside)
        torch.cuda.synchronize(self._device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            probabilities = self._model(batch)
        return _Recorded(graph=graph, flat=flat, probabilities=probabilities)
