"""What int8 needs to know of a model: the range of what enters each linear layer, in ``int8.json`` of its folder.

``scripts/calibrate_int8.py`` writes the file after the gate was passed. It holds for one file of weights: a model that
was trained anew needs it written anew.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from ctclassify.errors import ModelFolderError

__all__ = ["INT8_FILE", "Int8Calibration", "read_int8", "write_int8"]

INT8_FILE = "int8.json"


@dataclass(frozen=True, kw_only=True)
class Int8Calibration:
    """Ranges of activations.

    Attributes
    ----------
    weights_sha256 : str
        SHA-256 of the weights it holds for.
    ranges : dict of str to tuple of float
        Lowest and highest value that entered each linear layer, by the layer's name.
    n_sentences : int
        Sentences it was measured on.
    passed_gate : bool
        Whether int8 passed the gate with these ranges, see :mod:`ctclassify.gate`.
    """

    weights_sha256: str
    ranges: dict[str, tuple[float, float]]
    n_sentences: int
    passed_gate: bool


def read_int8(folder: Path, weights_sha256: str) -> Int8Calibration | None:
    """Read a folder's calibration for int8.

    Parameters
    ----------
    folder : pathlib.Path
        The model folder.
    weights_sha256 : str
        SHA-256 of its weights.

    Returns
    -------
    Int8Calibration or None
        None where there is no such file, or where it was written for other weights.

    Raises
    ------
    ModelFolderError
        If the file is there and is not what :func:`write_int8` writes.
    """
    path = folder / INT8_FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        found = Int8Calibration(
            weights_sha256=str(raw["weights_sha256"]),
            ranges={str(name): (float(low), float(high)) for name, (low, high) in raw["ranges"].items()},
            n_sentences=int(raw["n_sentences"]),
            passed_gate=raw["passed_gate"] is True,
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        remedy = "remove it, or write it anew with scripts/calibrate_int8.py"
        raise ModelFolderError(f"{path} is not an int8 calibration ({error!r}); {remedy}", path=path) from error
    for name, (low, high) in found.ranges.items():
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ModelFolderError(f"{path}: range of {name} is [{low}, {high}]; expected low < high", path=path)
    return found if found.weights_sha256 == weights_sha256 else None


def write_int8(folder: Path, calibration: Int8Calibration) -> None:
    """Write a folder's calibration for int8, whole or not at all."""
    temporary = folder / f".{INT8_FILE}.tmp"
    temporary.write_text(json.dumps(asdict(calibration), indent=1) + "\n", encoding="utf-8")
    temporary.replace(folder / INT8_FILE)
