"""How far the values go that enter each linear layer: ``int8.json`` in a model folder, for one file of weights.

``training/quantize.py`` learns them. With them the inputs are rounded to 256 steps that are fixed beforehand, which is
faster and, channel by channel, finer than ranges taken as the model runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ctclassify.errors import ModelFolderError
from ctclassify.model_folder import INT8_RANGES, ModelFolder, write_manifest

__all__ = ["INPUT_NAMES", "INT8_RANGES", "STEPS", "InputRange", "Int8Ranges", "read_int8_ranges", "write_int8_ranges"]

INPUT_NAMES = ("attention.self", "attention.output", "intermediate", "output")
"""The four inputs of a layer's linear maps, by the names of transformers' modules; the first is that of three maps."""
STEPS = 255
"""Steps between the ends of a range."""


@dataclass(frozen=True, kw_only=True)
class InputRange:
    """Of one input: a value ``x`` of channel ``c`` is rounded as ``step * round(x / scales[c] / step)``.

    Attributes
    ----------
    scales : ndarray of float32, shape (n_channels,)
        Above 0. The weights that meet a channel are multiplied by it (SmoothQuant [1]_).
    step : float
        Above 0.
    lowest : int
        The range begins at ``lowest * step`` and is 255 steps long; what lies beyond an end is rounded to it. In
        [-255, 0], so that 0 is a step.

    References
    ----------
    .. [1] Xiao et al., SmoothQuant, ICML 2023.
    """

    scales: npt.NDArray[np.float32]
    step: float
    lowest: int


@dataclass(frozen=True, kw_only=True)
class Int8Ranges:
    """Of a model.

    Attributes
    ----------
    margin : float
        What lies nearer to a threshold than that, in logits, is scored again in float32; above 0.
    inputs : mapping of (int, str) to InputRange
        By layer, from 0, and name of :data:`INPUT_NAMES`.
    """

    margin: float
    inputs: Mapping[tuple[int, str], InputRange]


def read_int8_ranges(folder: ModelFolder) -> Int8Ranges | None:
    """Read a folder's ranges.

    Parameters
    ----------
    folder : ModelFolder
        A checked folder of a BERT.

    Returns
    -------
    Int8Ranges or None
        None where there are none, or where they are of other weights.

    Raises
    ------
    ModelFolderError
        If there is a file that is not one of ranges for this model, or that ``ctclassify.json`` does not name.
    """
    path = folder.path / INT8_RANGES
    remedy = "remove it, or write it anew with training/quantize.py"
    if INT8_RANGES not in folder.checksums:
        if path.exists():
            raise ModelFolderError(f"{path} is no file that was saved with this model; {remedy}", path=path)
        return None
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["weights_sha256"] != folder.checksums["model.safetensors"]:
            return None
        sizes = dict.fromkeys(INPUT_NAMES, folder.config["hidden_size"])
        sizes["output"] = folder.config["intermediate_size"]
        inputs = {
            (layer, name): _input_range(raw["inputs"][f"{layer}.{name}"], sizes[name])
            for layer in range(folder.config["num_hidden_layers"])
            for name in INPUT_NAMES
        }
        return Int8Ranges(margin=_positive(raw["margin"]), inputs=inputs)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFolderError(f"{path} is no file of ranges for int8 ({error!r}); {remedy}", path=path) from error


def write_int8_ranges(ranges: Int8Ranges, folder: ModelFolder) -> None:
    """Write ranges into a folder, and their checksum into its manifest; ``folder`` does not know of it."""
    inputs = {
        f"{layer}.{name}": {
            "step": float(f"{each.step:.6g}"),
            "lowest": each.lowest,
            "scales": [float(f"{scale:.6g}") for scale in each.scales],
        }
        for (layer, name), each in sorted(ranges.inputs.items())
    }
    record = {"weights_sha256": folder.checksums["model.safetensors"], "margin": ranges.margin, "inputs": inputs}
    temporary = folder.path / f".{INT8_RANGES}.tmp"
    temporary.write_text(json.dumps(record, allow_nan=False) + "\n", encoding="utf-8")
    temporary.replace(folder.path / INT8_RANGES)
    write_manifest(folder.path, folder.manifest)


def _input_range(raw: Mapping[str, Any], n_channels: int) -> InputRange:
    """Return a checked range."""
    scales = np.array(raw["scales"], dtype=np.float32)
    if scales.shape != (n_channels,) or not np.isfinite(scales).all() or not (scales > 0).all():
        raise ValueError(f"expected {n_channels} scales above 0")
    lowest = raw["lowest"]
    if isinstance(lowest, bool) or not isinstance(lowest, int) or not -STEPS <= lowest <= 0:
        raise ValueError(f"lowest is {lowest!r}, expected a whole number in [-{STEPS}, 0]")
    return InputRange(scales=scales, step=_positive(raw["step"]), lowest=lowest)


def _positive(value: Any) -> float:
    """Return a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise ValueError(f"{value!r} is no finite number above 0")
    return float(value)
