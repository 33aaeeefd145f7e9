"""Which engines passed the gate on a folder's weights: ``gate.json`` in the folder, for one file of weights.

``ctclassify bench --record`` writes it. ``auto`` asks it about int8 alone: rounding to bf16 does not depend on how a
model's activations are spread, rounding to int8 does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from ctclassify.errors import ModelFolderError
from ctclassify.model_folder import INT8_RANGES, ModelFolder

__all__ = ["GATE_RECORD", "has_passed", "record_passed"]

GATE_RECORD = "gate.json"


def has_passed(engine_name: str, folder: ModelFolder) -> bool:
    """Return whether an engine passed the gate on the folder's weights.

    Parameters
    ----------
    engine_name : str
        As ``engine=`` takes it, such as ``openvino-int8``.
    folder : ModelFolder
        A checked folder.

    Returns
    -------
    bool
        False where there is no record, or where it was made with other weights or other ranges for int8.

    Raises
    ------
    ModelFolderError
        If there is a record that cannot be read.
    """
    path = folder.path / GATE_RECORD
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        sums, passed = (raw["weights_sha256"], raw.get("ranges_sha256")), list(raw["passed"])
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError) as error:
        remedy = "remove it, or write it anew with ctclassify bench --record"
        raise ModelFolderError(f"{path} is not a record of the gate ({error!r}); {remedy}", path=path) from error
    return engine_name in passed and sums == _sums(folder)


def record_passed(engine_names: Iterable[str], folder: ModelFolder) -> None:
    """Write which engines passed the gate, whole or not at all."""
    weights, ranges = _sums(folder)
    record = {"weights_sha256": weights, "ranges_sha256": ranges, "passed": sorted(engine_names)}
    temporary = folder.path / f".{GATE_RECORD}.tmp"
    temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    temporary.replace(folder.path / GATE_RECORD)


def _sums(folder: ModelFolder) -> tuple[str, str | None]:
    """Return the checksums of the weights, and of the ranges for int8 if there are any."""
    return folder.checksums["model.safetensors"], folder.checksums.get(INT8_RANGES)
