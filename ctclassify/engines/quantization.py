"""Measure what int8 needs to know of a model; :mod:`ctclassify.engines.int8` keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import openvino as ov

from ctclassify.engines.bert_graph import BertShape, build_range_graph
from ctclassify.engines.cpus import available_cpus
from ctclassify.engines.int8 import Int8Calibration
from ctclassify.model_folder import ModelFolder, read_weights
from ctclassify.tokenization import TextEncoder

__all__ = ["measure_int8"]

_WINDOWS_AT_ONCE = 64


def measure_int8(folder: ModelFolder, texts: Sequence[str], *, passed_gate: bool = False) -> Int8Calibration:
    """Measure the range of what enters each linear layer.

    Parameters
    ----------
    folder : ModelFolder
        A checked folder of a BERT.
    texts : sequence of str
        At least one, like those to be tagged.
    passed_gate : bool
        What the result shall say of the gate.

    Returns
    -------
    Int8Calibration
        The lowest and highest values seen in float32, 0 included. No value is cut off.

    Raises
    ------
    EngineError
        If the model is no BERT with GELU.
    """
    shape = BertShape.from_config(folder.config)
    model, names = build_range_graph(read_weights(folder.weights_path), shape)
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": str(available_cpus()), "NUM_STREAMS": "1"}
    request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
    low = np.zeros(len(names))
    high = np.zeros(len(names))
    windows = sorted(TextEncoder(folder.tokenizer_path, folder.max_tokens).encode(texts).ids, key=len)
    for n_tokens, alike in groupby(windows, key=len):  # of one length: padding would count
        rows = list(alike)
        for start in range(0, len(rows), _WINDOWS_AT_ONCE):
            ids = np.array(rows[start : start + _WINDOWS_AT_ONCE], dtype=np.int32)
            result = request.infer({"input_ids": ids, "n_tokens": np.full(len(ids), n_tokens, dtype=np.int32)})
            values = np.array([float(result[i]) for i in range(2 * len(names))])
            np.minimum(low, values[::2], out=low)
            np.maximum(high, values[1::2], out=high)
    ranges = {name: (float(a), float(b)) for name, a, b in zip(names, low, high, strict=True)}
    checksum = folder.checksums["model.safetensors"]
    return Int8Calibration(weights_sha256=checksum, ranges=ranges, n_sentences=len(texts), passed_gate=passed_gate)
