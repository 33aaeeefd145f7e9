"""The default engine on a CPU: OpenVINO, fed by the model folder's safetensors weights."""

from __future__ import annotations

import ctypes
import threading
from contextlib import suppress

import numpy as np
import numpy.typing as npt

from ctclassify.engines.bert_graph import BertParts, build_bert_graph
from ctclassify.engines.cpus import available_cpus, has_vnni
from ctclassify.engines.gate_record import has_passed
from ctclassify.engines.int8_ranges import read_int8_ranges
from ctclassify.engines.quiet_openvino import ov
from ctclassify.errors import EngineError
from ctclassify.model_folder import ModelFolder

__all__ = ["OpenVinoEngine", "choose_precision", "compile_options"]

_INT8_GROUP = "64"
"""Values that share a scale where activations are quantised: faster than 384, and no less exact."""


_BF16_MARGIN = 0.04
"""Logits: nearly three standard deviations of bf16's error where decisions turn, measured on the shipped model."""

_INT8_MARGIN = 0.15
"""The same of int8 whose ranges are found as the model runs, with room: it was measured on one model."""


_BATCHES_TO_TRIM = 64
"""After as many, what was freed meanwhile is handed back, in milliseconds: over a stream it is 50 MB."""


def choose_precision(precision: str, *, has_bf16: bool, has_int8: bool) -> str:
    """Return the precision to compute in.

    Parameters
    ----------
    precision : {"auto", "fp32", "bf16", "int8"}
        What was asked for; anything but ``auto`` is returned as it is.
    has_bf16 : bool
        Whether the processor computes in bf16.
    has_int8 : bool
        Whether it has VNNI, and int8 passed the gate.

    Returns
    -------
    {"fp32", "bf16", "int8"}
    """
    if precision != "auto":
        return precision
    if has_bf16:
        return "bf16"
    return "int8" if has_int8 else "fp32"


def compile_options(precision: str, *, has_bf16: bool, has_ranges: bool = False) -> dict[str, str]:
    """Return what OpenVINO is told for a precision; it is never left to choose.

    Parameters
    ----------
    precision : {"fp32", "bf16", "int8"}
        Of the linear layers.
    has_bf16 : bool
        Whether the processor computes in bf16: then all but fp32 computes in it what is not int8.
    has_ranges : bool
        Whether the graph says how int8 is rounded; else the runtime finds it as it runs.
    """
    return {
        "INFERENCE_PRECISION_HINT": "bf16" if has_bf16 and precision != "fp32" else "f32",
        "INFERENCE_NUM_THREADS": str(available_cpus()),
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": _INT8_GROUP if precision == "int8" and not has_ranges else "0",
        "NUM_STREAMS": "1",
        "ENABLE_CPU_PINNING": "NO",
    }


class OpenVinoEngine:
    """Runs a model folder's BERT on the CPU.

    Parameters
    ----------
    folder : ModelFolder
        A checked folder.
    precision : {"auto", "fp32", "bf16", "int8"}
        ``auto`` takes what the processor is good at: bf16 where it computes in it (AMX or AVX-512 BF16); else int8
        where it has VNNI and int8 passed the gate on these weights, see :mod:`ctclassify.engines.gate_record`; else
        fp32.
    parts : BertParts or None
        Weights of this folder that were read before, to share; None reads them.

    Attributes
    ----------
    margin : float
        In logits of the model's own probabilities: what an engine of lower precision puts nearer to a threshold than
        that is scored again by :meth:`finer`. 0 for fp32.

    Raises
    ------
    EngineError
        If the model is no BERT, or ``precision`` is bf16 and the processor has no bf16 arithmetic.
    ModelFolderError
        If the weights do not fit the folder's labels, or the record of the gate or the ranges cannot be read.

    Notes
    -----
    The precision is always set, never left to OpenVINO, whose own default follows the processor without saying so.
    ``int8`` is the precision of the encoder's linear layers; the rest runs in bf16 where the processor has it, else in
    fp32. Weights are quantised once. What enters a layer is rounded to the folder's ranges
    (:mod:`ctclassify.engines.int8_ranges`), or, where it has none, to ranges that the runtime finds as it runs, one
    scale for 64 values, which is slower.
    One stream over all cores that the process may use; calls from several threads take turns. Threads are not pinned
    to cores, as several processes would be pinned to the same.
    """

    name = "openvino"

    def __init__(self, folder: ModelFolder, precision: str = "auto", *, parts: BertParts | None = None) -> None:
        core = ov.Core()
        has_bf16 = _has_bf16(core)
        if precision == "bf16" and not has_bf16:
            raise EngineError("this processor has no bf16 arithmetic; use engine='openvino-fp32' or 'auto'")
        passed_gate = precision == "auto" and has_passed("openvino-int8", folder)
        self.precision = choose_precision(precision, has_bf16=has_bf16, has_int8=has_vnni() and passed_gate)
        self.device = str(core.get_property("CPU", "FULL_DEVICE_NAME"))
        self.version = ov.__version__.split("-")[0]
        parts = BertParts.read(folder) if parts is None else parts
        ranges = read_int8_ranges(folder) if self.precision == "int8" else None
        graph = build_bert_graph(parts, is_int8=self.precision == "int8", ranges=ranges)
        options = compile_options(self.precision, has_bf16=has_bf16, has_ranges=ranges is not None)
        compiled = core.compile_model(graph, "CPU", options)
        self._request = compiled.create_infer_request()
        for name, tensor in parts.matrices.items():
            self._request.set_tensor(name, tensor)
        self._lock = threading.Lock()
        self._n_batches = 0
        self.margin = {"fp32": 0.0, "bf16": _BF16_MARGIN, "int8": ranges.margin if ranges else _INT8_MARGIN}[
            self.precision
        ]
        self._folder = folder
        self._parts = parts.compact() if self.margin else None  # for the finer engine, if it is ever needed
        self._finer: OpenVinoEngine | None = None
        del parts, graph
        _give_memory_back()

    def probabilities(
        self, input_ids: npt.NDArray[np.int32], n_tokens: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        """Score a batch; see :class:`ctclassify.engines.base.Engine`."""
        with self._lock:
            result = self._request.infer({"input_ids": input_ids, "n_tokens": n_tokens})
            self._n_batches += 1
            if self._n_batches % _BATCHES_TO_TRIM == 0:
                _give_memory_back()
            # A copy: the request's output memory is written again by the next batch.
            return np.array(result[0], dtype=np.float32)

    def finer(self) -> OpenVinoEngine:
        """Return the float32 engine for what lies within ``margin``, made when it is first needed.

        Not bf16 for int8: with weights as inputs, which spare memory, the runtime is slower in it than in fp32.
        """
        with self._lock:
            if self._finer is None:
                self._finer = OpenVinoEngine(self._folder, "fp32", parts=self._parts)
            return self._finer


def _has_bf16(core: ov.Core) -> bool:
    """Return whether the processor computes in bf16 (AMX or AVX-512 BF16)."""
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _give_memory_back() -> None:
    """Hand freed memory back to the system: glibc keeps it, after reading the weights as much as the engine needs."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)
