"""The torch engine: the reference on a CPU, and inference on CUDA. Needs the extra ``[train]``."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt
import torch

from ctclassify.batching import BATCH_COST
from ctclassify.engines.cuda_engine import PackedEngine
from ctclassify.engines.cuda_model import is_packable
from ctclassify.errors import EngineError
from ctclassify.model_folder import ModelFolder
from ctclassify.torch_model import load_torch_model, torch_config

__all__ = ["TorchEngine"]

_TOKEN_BUDGET = 4096
"""Tokens of a batch, padding included, where nothing better is known: suits a CPU's caches."""


class TorchEngine:
    """Runs a model folder in torch.

    Parameters
    ----------
    folder : ModelFolder
        A checked folder.
    device : {"auto", "cpu", "cpu-bf16", "cuda"}
        ``auto`` takes CUDA where there is one, else ``cpu``. ``cpu-bf16`` is the CPU in bfloat16 autocast: several
        times faster where the processor has bf16 arithmetic, many times slower elsewhere.

    Raises
    ------
    EngineError
        If ``device`` is ``cuda`` and torch finds none.

    Notes
    -----
    float32 on a CPU, which makes it the reference for other engines. On CUDA, BERT runs in bfloat16 without padding
    (see :class:`ctclassify.engines.cuda_engine.PackedEngine`), another architecture padded in bfloat16 autocast.
    """

    name = "torch"

    def __init__(self, folder: ModelFolder, device: str = "auto") -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise EngineError("torch finds no CUDA device; use engine='torch-cpu' or 'auto'")
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.precision = "fp32" if device == "cpu" else "bf16"
        device = device.removesuffix("-bf16")
        self.device = torch.cuda.get_device_name() if device == "cuda" else "cpu"
        self.version = str(torch.__version__)
        self._where = torch.device("cuda", torch.cuda.current_device()) if device == "cuda" else torch.device(device)
        self._packed: PackedEngine | None = None
        self._pid = os.getpid()
        self.token_budget = _TOKEN_BUDGET
        # On CUDA a batch of these sizes takes as long as its launches, so a split buys nothing.
        self.batch_cost = BATCH_COST if device == "cpu" else self.token_budget
        if device == "cuda" and is_packable(folder.config):
            self._packed = PackedEngine(folder)
            self.token_budget, self.batch_cost = self._packed.token_budget, self._packed.batch_cost
            return
        self._model = load_torch_model(folder.path, torch_config(folder.config)).to(self._where).eval()

    def probabilities(
        self, input_ids: npt.NDArray[np.int32], n_tokens: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        """Score a batch; see :class:`ctclassify.engines.base.Engine`."""
        if self._packed is not None:
            return self._packed.probabilities(input_ids, n_tokens)
        if os.getpid() != self._pid:  # a fork has none of the threads that torch would wait for, without end
            torch.set_num_threads(1)
            self._pid = os.getpid()
        ids = torch.from_numpy(input_ids.astype(np.int64)).to(self._where)
        lengths = torch.from_numpy(n_tokens.astype(np.int64)).to(self._where)
        mask = (torch.arange(ids.shape[1], device=self._where)[None] < lengths[:, None]).long()
        with (
            torch.inference_mode(),
            torch.autocast(self._where.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"),
        ):
            logits = self._model(input_ids=ids, attention_mask=mask).logits
        return torch.sigmoid(logits.float()).cpu().numpy()
