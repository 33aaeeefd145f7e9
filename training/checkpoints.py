"""The state of a training run in safetensors and JSON, in the place of Trainer's pickled files.

Resuming a run reads its checkpoint; a pickle there could run code. What is kept is the same: optimiser, schedule and
random number generators.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

__all__ = ["load_optimizer", "load_random_state", "save_optimizer", "save_random_state"]

_OPTIMIZER_TENSORS, _OPTIMIZER = "optimizer.safetensors", "optimizer.json"
_RANDOM_TENSORS, _RANDOM = "random_state.safetensors", "random_state.json"


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
