"""The default engine on a CPU: OpenVINO, fed by the model folder's safetensors weights."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import openvino as ov

from ctclassify.engines.bert_graph import BertShape, build_bert_graph
from ctclassify.engines.cpus import available_cpus
from ctclassify.errors import EngineError, ModelFolderError
from ctclassify.model_folder import ModelFolder, read_weights

__all__ = ["OpenVinoEngine"]

_HINTS = {"fp32": "f32", "bf16": "bf16"}


class OpenVinoEngine:
    """Runs a model folder's BERT on the CPU.

    Parameters
    ----------
    folder : ModelFolder
        A checked folder.
    precision : {"auto", "fp32", "bf16"}
        ``auto`` takes bf16 where the processor computes in it (AMX or AVX-512 BF16), else fp32.

    Raises
    ------
    EngineError
        If the model is no BERT, or ``precision`` is bf16 and the processor has no bf16 arithmetic.

    Notes
    -----
    The precision is always set, never left to OpenVINO, whose own default follows the processor without saying so.
    One stream over all cores that the process may use; calls from several threads take turns.
    """

    name = "openvino"

    def __init__(self, folder: ModelFolder, precision: str = "auto") -> None:
        core = ov.Core()
        has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bf16" and not has_bf16:
            raise EngineError("this processor has no bf16 arithmetic; use engine='openvino-fp32' or 'auto'")
        self.precision = ("bf16" if has_bf16 else "fp32") if precision == "auto" else precision
        self.device = str(core.get_property("CPU", "FULL_DEVICE_NAME"))
        self.version = ov.__version__.split("-")[0]
        shape = BertShape.from_config(folder.config)
        weights = read_weights(folder.weights_path)
        _check_head(weights, folder)
        graph = build_bert_graph(weights, shape)
        compiled = core.compile_model(
            graph,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": _HINTS[self.precision],
                "INFERENCE_NUM_THREADS": str(available_cpus()),
                "NUM_STREAMS": "1",
            },
        )
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


def _check_head(weights: Mapping[str, npt.NDArray[np.float32]], folder: ModelFolder) -> None:
    """Refuse weights whose head has another number of outputs than the config has labels."""
    head = weights.get("classifier.weight")
    if head is not None and len(head) != len(folder.label_names):
        raise ModelFolderError(
            f"{folder.weights_path}: the head has {len(head)} outputs, "
            f"config.json names {len(folder.label_names)} labels; save the model again",
            path=folder.weights_path,
        )
