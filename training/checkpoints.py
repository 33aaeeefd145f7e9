"""The state of a training run in safetensors and JSON, in the place of Trainer's pickled files.

Resuming a run reads its checkpoint; a pickle there could run code. What is kept is the same: optimiser, schedule and
random number generators. A checkpoint is complete once ``trainer_state.json`` stands in it, which Trainer writes last.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

__all__ = [
    "AVERAGE",
    "last_complete_checkpoint",
    "load_optimizer",
    "load_random_state",
    "open_checkpoint",
    "save_optimizer",
    "save_random_state",
]

AVERAGE = "average.safetensors"
"""The running average of the weights, in the checkpoints of a run that keeps one."""

_OPTIMIZER_TENSORS, _OPTIMIZER = "optimizer.safetensors", "optimizer.json"
_RANDOM_TENSORS, _RANDOM = "random_state.safetensors", "random_state.json"
_WEIGHTS, _LAST_WRITTEN = "model.safetensors", "trainer_state.json"


def last_complete_checkpoint(folder: Path, *, with_average: bool) -> Path | None:
    """Find where a stopped run goes on.

    Parameters
    ----------
    folder : pathlib.Path
        The run's folder.
    with_average : bool
        Whether the run keeps an average of the weights.

    Returns
    -------
    pathlib.Path or None
        The ``checkpoint-N`` of the highest N that has all its files, with tensors that can be read; None where none
        has. A stop while one is written or removed leaves one that has not, a full disk one that is cut short.
    """
    expected = [
        _WEIGHTS,
        _OPTIMIZER_TENSORS,
        _OPTIMIZER,
        _RANDOM_TENSORS,
        _RANDOM,
        *([AVERAGE] if with_average else []),
    ]
    steps = [(int(match[1]), path) for path in folder.glob("checkpoint-*") if (match := _step(path))]
    for step, path in sorted(steps, reverse=True):
        if all(_is_whole(path / name) for name in expected) and _written_step(path) == step:
            return path
    return None


def open_checkpoint(folder: Path) -> None:
    """Mark a checkpoint that is about to be written as incomplete, also where it stands in the place of another."""
    (folder / _LAST_WRITTEN).unlink(missing_ok=True)


def _step(path: Path) -> re.Match[str] | None:
    """Return the match of a checkpoint folder's step."""
    return re.fullmatch(r"checkpoint-(\d+)", path.name)


def _is_whole(path: Path) -> bool:
    """Return whether a file is there and, if it holds tensors, of the length that its header says."""
    if path.suffix != ".safetensors":
        return path.is_file()
    try:
        with safe_open(path, framework="pt"):
            return True
    except (OSError, SafetensorError):
        return False


def _written_step(folder: Path) -> int | None:
    """Return the step that a checkpoint's last file names, None where it is absent or cut short."""
    try:
        step = json.loads((folder / _LAST_WRITTEN).read_text(encoding="utf-8"))["global_step"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return step if isinstance(step, int) else None


def save_optimizer(folder: Path, optimizer: torch.optim.Optimizer, scheduler: Any) -> None:
    """Write the state of an optimiser and of its schedule into a folder."""
    state = optimizer.state_dict()
    tensors = {
        f"{index}.{key}": value.contiguous()
        for index, values in state["state"].items()
        for key, value in values.items()
    }
    save_file(tensors, folder / _OPTIMIZER_TENSORS)
    record = {"param_groups": state["param_groups"], "scheduler": scheduler.state_dict()}
    (folder / _OPTIMIZER).write_text(json.dumps(record), encoding="utf-8")


def load_optimizer(folder: Path, optimizer: torch.optim.Optimizer, scheduler: Any) -> None:
    """Read back what :func:`save_optimizer` wrote."""
    record = json.loads((folder / _OPTIMIZER).read_text(encoding="utf-8"))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in load_file(folder / _OPTIMIZER_TENSORS).items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": record["param_groups"]})
    scheduler.load_state_dict(record["scheduler"])


def save_random_state(folder: Path) -> None:
    """Write the states of Python's, NumPy's and torch's generators into a folder, made if absent."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {"cpu": torch.get_rng_state()}
    tensors |= {f"cuda{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    save_file(tensors, folder / _RANDOM_TENSORS)
    name, keys, *rest = np.random.get_state(legacy=True)
    record = {"python": random.getstate(), "numpy": [name, np.asarray(keys).tolist(), *rest]}
    (folder / _RANDOM).write_text(json.dumps(record), encoding="utf-8")


def load_random_state(folder: Path) -> None:
    """Read back what :func:`save_random_state` wrote."""
    record = json.loads((folder / _RANDOM).read_text(encoding="utf-8"))
    version, internal, gauss = record["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = record["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    tensors = load_file(folder / _RANDOM_TENSORS)
    torch.set_rng_state(tensors.pop("cpu"))
    if tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([tensors[f"cuda{i}"] for i in range(len(tensors))])
