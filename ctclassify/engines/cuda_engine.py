"""The packed engine: BERT without padding, in bfloat16 on CUDA; in float32 on a CPU, where it is tested."""

from __future__ import annotations

import threading
import warnings
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import numpy.typing as npt
import torch

from ctclassify.engines.cuda_attention import choose_attention, make_attention
from ctclassify.engines.cuda_batch import PackedBatch, flat_size, pack, unpad
from ctclassify.engines.cuda_graphs import GraphCache, Room, room_for
from ctclassify.engines.cuda_model import PackedBert
from ctclassify.errors import EngineError
from ctclassify.model_folder import ModelFolder, check_bert_shapes, read_weights

__all__ = ["PackedEngine", "PendingScores"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

_LARGEST_DEVIATION = 0.02
"""Of an attention from the padded one, as a share of the largest value: bfloat16 alone accounts for about 0.004."""

_TOKEN_BUDGET = 16384
"""Tokens of a batch on CUDA: fills a large card, and keeps what flows between layers near its second-level cache."""


class PendingScores:
    """Probabilities that the device may still be computing.

    Parameters
    ----------
    host : torch.Tensor
        Where they arrive; float32, shape (n_windows or more, n_labels).
    n_windows : int
        Rows that count.
    event : torch.cuda.Event, optional
        Recorded after their arrival; None if they are there.
    """

    def __init__(self, host: torch.Tensor, n_windows: int, event: torch.cuda.Event | None = None) -> None:
        self._host = host
        self._n_windows = n_windows
        self._event = event

    def result(self) -> npt.NDArray[np.float32]:
        """Wait, then return the probabilities, float32, shape (n_windows, n_labels)."""
        if self._event is not None:
            self._event.synchronize()
        return self._host[: self._n_windows].numpy().copy()


class PackedEngine:
    """Runs a model folder's BERT over packed tokens.

    Parameters
    ----------
    folder : ModelFolder
        A checked folder whose config :func:`ctclassify.engines.cuda_model.is_packable`.
    device : str, optional
        ``cuda``, or ``cpu`` to check the packing: it is slower there than other engines.
    precision : {"auto", "fp32", "bf16"}, optional
        ``auto`` is bf16 on CUDA, fp32 on a CPU.
    attention : {"auto", "varlen", "padded"}, optional
        See :mod:`ctclassify.engines.cuda_attention`.
    compiled : bool, optional
        Whether ``torch.compile`` fuses the small operations.
    graphs : bool, optional
        Whether passes are recorded as CUDA graphs; not with the attention ``padded``.
    token_budget : int, optional
        Tokens of a batch that the caller should aim for.

    Raises
    ------
    EngineError
        If the model is no BERT, there is no such device, or the options do not go together.

    Notes
    -----
    Calls from several threads take turns. The same batch gives the same bits.
    """

    name = "torch"

    def __init__(
        self,
        folder: ModelFolder,
        *,
        device: str = "cuda",
        precision: str = "auto",
        attention: str = "auto",
        compiled: bool = False,
        graphs: bool = False,
        token_budget: int = _TOKEN_BUDGET,
    ) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise EngineError("torch finds no CUDA device; use engine='torch-cpu' or 'auto'")
        is_cuda = device == "cuda"
        self._where = torch.device("cuda", torch.cuda.current_device()) if is_cuda else torch.device(device)
        self.precision = ("bf16" if is_cuda else "fp32") if precision == "auto" else precision
        self.device = torch.cuda.get_device_name(self._where) if is_cuda else "cpu"
        self.version = str(torch.__version__)
        self.token_budget = self.batch_cost = token_budget  # nothing is padded, so a split buys nothing
        self._n_labels = len(folder.label_names)
        self._lock = threading.Lock()
        weights = read_weights(folder.weights_path)
        check_bert_shapes(weights, folder)
        with self._on_device():
            self._model = PackedBert(
                weights, folder.config, device=self._where, dtype=_DTYPES[self.precision], compiled=compiled
            )
            self.attention = self._set_attention(attention)
        if graphs and (not is_cuda or self.attention == "padded"):
            raise EngineError(f"CUDA graphs need CUDA and attention 'varlen'; got {device}, {self.attention}")
        self._graphs = GraphCache(self._model, self._where) if graphs else None

    def probabilities(
        self, input_ids: npt.NDArray[np.int32], n_tokens: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        """Score a padded batch; see :class:`ctclassify.engines.base.Engine`."""
        return self.probabilities_packed(unpad(input_ids, n_tokens), n_tokens)

    def probabilities_packed(
        self, ids: npt.NDArray[np.int32], lengths: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        """Score a batch without padding.

        Parameters
        ----------
        ids : ndarray of int32, shape (sum of lengths,)
            Token ids of all windows, end to end.
        lengths : ndarray of int32, shape (n_windows,)
            Tokens of each window, at least 1.

        Returns
        -------
        ndarray of float32, shape (n_windows, n_labels)
            Probabilities in [0, 1], rows and columns in order.
        """
        return self.submit(ids, lengths).result()

    def submit(self, ids: npt.NDArray[np.int32], lengths: npt.NDArray[np.int32]) -> PendingScores:
        """Start scoring a batch; arguments as for :meth:`probabilities_packed`.

        On CUDA it returns before the device is done, so that the caller can prepare the next batch meanwhile.
        """
        if not len(lengths):
            return PendingScores(torch.empty(0, self._n_labels), 0)
        # no_grad, not inference_mode: graphs and compiled code are then at liberty to reuse their tensors.
        with self._lock, self._on_device(), torch.no_grad():
            room = Room(n_tokens=len(ids), n_windows=len(lengths), longest=int(lengths.max()))
            if self._graphs is not None:
                room = room_for(room.n_tokens, room.n_windows, room.longest)
                scores = self._graphs.run(self._packed(ids, lengths, room), room)
            else:
                flat = self._packed(ids, lengths, room).to(self._where, non_blocking=True)
                scores = self._model(PackedBatch.view(flat, room.n_tokens, room.longest))
            return self._fetch(scores, len(lengths))

    def _on_device(self) -> AbstractContextManager[object]:
        """Make the engine's card the current one, which each thread has of its own: streams and graphs go by that."""
        return torch.cuda.device(self._where) if self._where.type == "cuda" else nullcontext()

    def _packed(self, ids: npt.NDArray[np.int32], lengths: npt.NDArray[np.int32], room: Room) -> torch.Tensor:
        """Return a batch as one flat tensor on the host, pinned where it goes to CUDA.

        The memory is new each time: torch hands out a pinned block again only when the copies from it are done.
        """
        is_pinned = self._where.type == "cuda"
        flat = torch.empty(flat_size(room.n_tokens, room.n_windows), dtype=torch.int32, pin_memory=is_pinned)
        pack(ids, lengths, flat.numpy(), n_tokens=room.n_tokens, n_windows=room.n_windows)
        return flat

    def _fetch(self, scores: torch.Tensor, n_windows: int) -> PendingScores:
        """Start copying probabilities to the host."""
        if scores.device.type != "cuda":
            return PendingScores(scores, n_windows)
        host = torch.empty((n_windows, scores.shape[1]), dtype=torch.float32, pin_memory=True)
        host.copy_(scores[:n_windows], non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._where))
        return PendingScores(host, n_windows, event)

    def _set_attention(self, kind: str) -> str:
        """Set the model's attention and return its name; ``auto`` falls back to ``padded``, and says so."""
        wanted = kind
        if kind == "auto":
            wanted = choose_attention(self._where, _DTYPES[self.precision], self._model.head_size)
        self._model.attention = make_attention(wanted)
        if kind != "auto" or wanted == "padded":
            return wanted
        try:
            self._try_attention()
        except Exception as error:  # libraries refuse in many ways, and names change from version to version
            warnings.warn(
                f"attention {wanted!r} fails here ({error}); padding is used instead", RuntimeWarning, stacklevel=3
            )
            self._model.attention = make_attention("padded")
            return "padded"
        return wanted

    def _try_attention(self) -> None:
        """Run one attention on three windows, and refuse one whose contexts are not those of the padded one."""
        # Within the model's tables: an index past the end of one breaks a CUDA process for good.
        lengths = np.minimum([1, 5, 40], self._model.n_positions).astype(np.int32)
        ids = np.arange(lengths.sum(), dtype=np.int32) % self._model.n_words
        flat = torch.empty(flat_size(len(ids), len(lengths)), dtype=torch.int32)
        pack(ids, lengths, flat.numpy(), n_tokens=len(ids), n_windows=len(lengths))
        batch = PackedBatch.view(flat.to(self._where), len(ids), int(lengths.max()))
        tried = self._model.attention
        with torch.no_grad():
            found = self._model.attend(batch).float()
            self._model.attention = make_attention("padded")
            expected = self._model.attend(batch).float()
        self._model.attention = tried
        off = float((found - expected).abs().max() / expected.abs().max())
        if not off <= _LARGEST_DEVIATION:  # also where it is not a number
            raise RuntimeError(f"its result is off by {off:.3g} of the largest value")
