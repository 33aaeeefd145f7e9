"""The model folder: what is in it, and the checks that it is whole and unaltered.

A folder is a Hugging Face model folder (``config.json``, ``model.safetensors``, ``tokenizer.json``) and one file more,
``ctclassify.json``: thresholds, the most tokens a text may have, and a SHA-256 of each of the three. Only JSON and
safetensors are read; nothing in a folder is ever run.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, deserialize

from ctclassify.errors import ModelFolderError

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST",
    "ModelFolder",
    "read_model_folder",
    "read_weights",
    "sha256_file",
    "write_manifest",
]

FORMAT_VERSION = 1
"""Version of the manifest's format; a folder of another version is refused."""

MANIFEST = "ctclassify.json"
_CONFIG, _WEIGHTS, _TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
_CHECKED = (_CONFIG, _WEIGHTS, _TOKENIZER)
_LABEL_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True, kw_only=True)
class ModelFolder:
    """A checked model folder.

    Attributes
    ----------
    path : pathlib.Path
        The folder.
    label_names : tuple of str
        Labels in the order of the model's outputs, from ``config.json``.
    thresholds : tuple of float
        Stored decision threshold of each label, in the same order.
    max_tokens : int
        Most tokens that the model reads at once, special tokens included.
    config : dict
        ``config.json`` as it is.
    checksums : dict of str to str
        SHA-256 of each file that was checked, by file name.
    """

    path: Path
    label_names: tuple[str, ...]
    thresholds: tuple[float, ...]
    max_tokens: int
    config: dict[str, Any]
    checksums: dict[str, str]

    @property
    def tokenizer_path(self) -> Path:
        """``tokenizer.json``."""
        return self.path / _TOKENIZER

    @property
    def weights_path(self) -> Path:
        """``model.safetensors``."""
        return self.path / _WEIGHTS

    @property
    def architecture(self) -> str:
        """The class that ``config.json`` names."""
        return str(self.config["architectures"][0])


def read_model_folder(path: Path) -> ModelFolder:
    """Read and check a model folder.

    Parameters
    ----------
    path : pathlib.Path
        The folder.

    Returns
    -------
    ModelFolder

    Raises
    ------
    ModelFolderError
        If a file is missing, unreadable or not the one that was saved, or if labels and thresholds do not agree.
    """
    if not path.is_dir():
        raise ModelFolderError(f"{path} is not a folder; expected a model folder that ctclassify saved", path=path)
    manifest = _read_json(path / MANIFEST, remedy="only folders saved by training/finetune.py have it; save it again")
    if manifest.get("format_version") != FORMAT_VERSION:
        raise ModelFolderError(
            f"{path / MANIFEST}: format_version is {manifest.get('format_version')!r}, "
            f"this version of ctclassify reads {FORMAT_VERSION}; "
            "install the version of ctclassify that saved the folder, or save it again",
            path=path / MANIFEST,
        )
    checksums = {name: _check_file(path / name, manifest) for name in _CHECKED}
    config = _read_json(path / _CONFIG, remedy="copy the folder again")
    label_names = _label_names(config, path / _CONFIG)
    _check_architecture(config, path / _CONFIG)
    return ModelFolder(
        path=path,
        label_names=label_names,
        thresholds=_thresholds(manifest, label_names, path / MANIFEST),
        max_tokens=_max_tokens(manifest, config, path / MANIFEST),
        config=config,
        checksums=checksums,
    )


def write_manifest(folder: Path, thresholds: Mapping[str, float], *, max_tokens: int = 512) -> None:
    """Write ``ctclassify.json`` into a folder whose three other files are final.

    Parameters
    ----------
    folder : pathlib.Path
        The folder, with ``config.json``, ``model.safetensors`` and ``tokenizer.json``.
    thresholds : mapping of str to float
        Decision threshold of every label, in [0, 1].
    max_tokens : int
        Most tokens that the model reads at once, special tokens included.
    """
    manifest = {
        "format_version": FORMAT_VERSION,
        "max_tokens": max_tokens,
        "thresholds": dict(thresholds),
        "sha256": {name: sha256_file(folder / name) for name in _CHECKED},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def read_weights(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Read a safetensors file as float32 arrays.

    Parameters
    ----------
    path : pathlib.Path
        A safetensors file of float32 or bfloat16 tensors.

    Returns
    -------
    dict of str to ndarray of float32
        By tensor name. bfloat16 is the upper half of float32, so widening it is exact.

    Raises
    ------
    ModelFolderError
        If a tensor has another type, or the file is not safetensors.
    """
    try:
        tensors: list[tuple[str, dict[str, Any]]] = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except OSError as error:
        raise ModelFolderError(f"{path} cannot be read: {error}", path=path) from error
    except SafetensorError as error:
        raise ModelFolderError(f"{path}: not a safetensors file: {error}", path=path) from error
    weights: dict[str, npt.NDArray[np.float32]] = {}
    for name, tensor in tensors:
        if tensor["dtype"] == "BF16":
            halves = np.frombuffer(tensor["data"], dtype="<u2").astype(np.uint32)
            array = (halves << 16).view(np.float32)
        elif tensor["dtype"] == "F32":
            array = np.frombuffer(tensor["data"], dtype="<f4")
        else:
            raise ModelFolderError(
                f"{path}: tensor {name} is {tensor['dtype']}; expected F32 or BF16; save the model in one of them",
                path=path,
            )
        weights[name] = array.reshape(tensor["shape"])
    return weights


def _read_json(path: Path, *, remedy: str) -> dict[str, Any]:
    """Return the object in a JSON file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelFolderError(f"{path} is missing; {remedy}", path=path) from error
    except OSError as error:
        raise ModelFolderError(f"{path} cannot be read: {error}", path=path) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelFolderError(f"{path} is not JSON ({error}); {remedy}", path=path) from error
    if not isinstance(value, dict):
        raise ModelFolderError(f"{path}: expected a JSON object, got {type(value).__name__}; {remedy}", path=path)
    return value


def _check_file(path: Path, manifest: dict[str, Any]) -> str:
    """Return a file's SHA-256 after comparing it with the manifest's."""
    sums = manifest.get("sha256")
    expected = sums.get(path.name) if isinstance(sums, dict) else None
    if not path.is_file():
        raise ModelFolderError(f"{path} is missing; copy the whole model folder again", path=path)
    try:
        got = sha256_file(path)
    except OSError as error:
        raise ModelFolderError(f"{path} cannot be read: {error}", path=path) from error
    if got != expected:
        raise ModelFolderError(
            f"{path} is not the file that was saved with this model: SHA-256 expected {expected}, got {got}; copy the "
            "whole model folder again, or train and save the model anew after a change",
            path=path,
        )
    return got


def sha256_file(path: Path) -> str:
    """Return a file's SHA-256, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _label_names(config: dict[str, Any], path: Path) -> tuple[str, ...]:
    """Return the labels in the order of the outputs; multi-label must be declared."""
    if config.get("problem_type") != "multi_label_classification":
        raise ModelFolderError(
            f"{path}: problem_type is {config.get('problem_type')!r}; expected 'multi_label_classification'", path=path
        )
    id2label = config.get("id2label")
    if not isinstance(id2label, dict) or sorted(id2label) != sorted(map(str, range(len(id2label)))):
        raise ModelFolderError(f'{path}: id2label must map "0", "1", ... to label names', path=path)
    names = tuple(id2label[str(i)] for i in range(len(id2label)))
    if not names or not all(isinstance(name, str) and _LABEL_NAME.fullmatch(name) for name in names):
        raise ModelFolderError(
            f"{path}: id2label must hold names of letters, digits and _ . - alone; got {names!r}", path=path
        )
    if len(set(names)) != len(names):
        raise ModelFolderError(f"{path}: id2label must hold distinct names; got {names!r}", path=path)
    return names


def _check_architecture(config: dict[str, Any], path: Path) -> None:
    """Refuse a config that names no class."""
    architectures = config.get("architectures")
    if not isinstance(architectures, list) or not architectures or not isinstance(architectures[0], str):
        raise ModelFolderError(f"{path}: architectures must name the model's class; got {architectures!r}", path=path)


def _thresholds(manifest: dict[str, Any], label_names: tuple[str, ...], path: Path) -> tuple[float, ...]:
    """Return the stored thresholds in the order of the labels."""
    stored = manifest.get("thresholds")
    if not isinstance(stored, dict) or set(stored) != set(label_names):
        raise ModelFolderError(f"{path}: thresholds must name each of the labels {', '.join(label_names)}", path=path)
    for name, value in stored.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1 or math.isnan(value):
            raise ModelFolderError(f"{path}: threshold of {name} is {value!r}; expected a number in [0, 1]", path=path)
    return tuple(float(stored[name]) for name in label_names)


def _max_tokens(manifest: dict[str, Any], config: dict[str, Any], path: Path) -> int:
    """Return the stored limit of tokens, which the encoder's positions must hold."""
    value = manifest.get("max_tokens")
    if isinstance(value, bool) or not isinstance(value, int) or value < 8:
        raise ModelFolderError(f"{path}: max_tokens is {value!r}; expected a whole number of at least 8", path=path)
    n_positions = config.get("max_position_embeddings")
    if isinstance(n_positions, int) and value > n_positions:
        raise ModelFolderError(
            f"{path}: max_tokens is {value}, the encoder has {n_positions} positions; expected no more than those",
            path=path,
        )
    return value
