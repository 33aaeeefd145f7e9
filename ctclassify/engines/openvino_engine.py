"""The default engine on a CPU: OpenVINO, fed by the model folder's safetensors weights."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from ctclassify.engines.bert_graph import BertShape, build_bert_graph
from ctclassify.engines.cpus import available_cpus, has_vnni
from ctclassify.engines.gate_record import has_passed
from ctclassify.engines.quiet_openvino import ov
from ctclassify.errors import EngineError
from ctclassify.model_folder import ModelFolder, check_bert_shapes, read_weights

__all__ = ["OpenVinoEngine", "choose_precision", "compile_options"]

_INT8_GROUP = "64"
"""Values that share a scale where activations are quantised: faster than 384, and no less exact."""


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


def compile_options(precision: str, *, has_bf16: bool) -> dict[str, str]:
    """Return what OpenVINO is told for a precision; it is never left to choose."""
    return {
        "INFERENCE_PRECISION_HINT": "bf16" if has_bf16 and precision != "fp32" else "f32",
        "INFERENCE_NUM_THREADS": str(available_cpus()),
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": _INT8_GROUP if precision == "int8" else "0",
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

    Raises
    ------
    EngineError
        If the model is no BERT, or ``precision`` is bf16 and the processor has no bf16 arithmetic.
    ModelFolderError
        If the weights do not fit the folder's labels, or the record of the gate cannot be read.

    Notes
    -----
    The precision is always set, never left to OpenVINO, whose own default follows the processor without saying so.
    ``int8`` is the precision of the encoder's linear layers, with weights quantised once and what enters a layer as it
    runs, one scale for 64 values; the rest runs in bf16 where the processor has it, else in fp32. On the
    first shipped model it changed 0.11% of the gate's decisions, which is too many. Ranges fixed beforehand ran 1.7
    times as fast as bf16 and changed 0.37%, or 0.22% with outlying channels scaled down (SmoothQuant).
    One stream over all cores that the process may use; calls from several threads take turns. Threads are not pinned
    to cores, as several processes would be pinned to the same.
    """

    name = "openvino"

    def __init__(self, folder: ModelFolder, precision: str = "auto") -> None:
        core = ov.Core()
        has_bf16 = _has_bf16(core)
        if precision == "bf16" and not has_bf16:
            raise EngineError("this processor has no bf16 arithmetic; use engine='openvino-fp32' or 'auto'")
        passed_gate = precision == "auto" and has_passed("openvino-int8", folder)
        self.precision = choose_precision(precision, has_bf16=has_bf16, has_int8=has_vnni() and passed_gate)
        self.device = str(core.get_property("CPU", "FULL_DEVICE_NAME"))
        self.version = ov.__version__.split("-")[0]
        shape = BertShape.from_config(folder.config)
        weights = read_weights(folder.weights_path)
        check_bert_shapes(weights, folder)
        graph = build_bert_graph(weights, shape, is_int8=self.precision == "int8")
        compiled = core.compile_model(graph, "CPU", compile_options(self.precision, has_bf16=has_bf16))
        self._request = compiled.create_infer_request()
        self._lock = threading.Lock()

    def probabilities(
        self, input_ids: npt.NDArray[np.int32], n_tokens: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        """Score a batch; see :class:`ctclassify.engines.base.Engine`."""
        with self._lock:
            result = self._request.infer({"input_ids": input_ids, "n_tokens": n_tokens})
            # A copy: the request's output memory is written again by the next batch.
            return np.array(result[0], dtype=np.float32)


def _has_bf16(core: ov.Core) -> bool:
    """Return whether the processor computes in bf16 (AMX or AVX-512 BF16)."""
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
