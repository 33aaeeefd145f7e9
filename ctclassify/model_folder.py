"""The model folder: what is in it, and the checks that it is whole and unaltered.

A folder is a Hugging Face model folder (``config.json``, ``model.safetensors``, ``tokenizer.json``) and one file more,
``ctclassify.json``: thresholds, calibration, review band, the most tokens a text may have, and a SHA-256 of each of the
three, and of ``int8.json`` if there is one. Only JSON and safetensors are read; nothing in a folder is ever run.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, deserialize

from ctclassify.calibration import Calibration, logits
from ctclassify.errors import ModelFolderError
from ctclassify.manifest import MANIFEST, Manifest, check_version, parse_manifest
from ctclassify.review import ReviewBand

__all__ = [
    "INT8_RANGES",
    "ModelFolder",
    "check_bert_shapes",
    "read_model_folder",
    "read_weights",
    "sha256_file",
    "write_manifest",
]

_CONFIG, _WEIGHTS, _TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
_CHECKED = (_CONFIG, _WEIGHTS, _TOKENIZER)
INT8_RANGES = "int8.json"
"""Checked too where the manifest names it; see :mod:`ctclassify.engines.int8_ranges`."""
_LABEL_NAME = re.compile(r"[\w.-]+")
_POSITIONS_AFTER_PADDING = frozenset({"camembert", "mpnet", "roberta", "xlm-roberta"})
"""Encoders that count positions from the padding's index, so that two of their table serve no token."""


@dataclass(frozen=True, kw_only=True)
class ModelFolder:
    """A checked model folder.

    Attributes
    ----------
    path : pathlib.Path
        The folder.
    label_names : tuple of str
        Labels in the order of the model's outputs, from ``config.json``.
    manifest : Manifest
        ``ctclassify.json``: thresholds, calibration, review band.
    config : dict
        ``config.json`` as it is.
    checksums : dict of str to str
        SHA-256 of each file that was checked, by file name.
    """

    path: Path
    label_names: tuple[str, ...]
    manifest: Manifest
    config: dict[str, Any]
    checksums: dict[str, str]

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Stored decision threshold of each label, in the order of ``label_names``."""
        return tuple(self.manifest.thresholds.values())

    @property
    def threshold_sets(self) -> dict[str, tuple[float, ...]]:
        """The further sets of thresholds by name, each in the order of ``label_names``."""
        return {name: tuple(values.values()) for name, values in self.manifest.threshold_sets.items()}

    @property
    def max_tokens(self) -> int:
        """Most tokens that the model reads at once, special tokens included."""
        return self.manifest.max_tokens

    @property
    def calibration(self) -> Calibration | None:
        """What makes the model's probabilities readable as frequencies."""
        return self.manifest.calibration

    @property
    def borders(self) -> npt.NDArray[np.float64]:
        """Logit of the model's own probability at which each label's decision turns, at the stored thresholds."""
        return self.borders_at(self.thresholds)

    def borders_at(self, thresholds: Sequence[float] | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the logit of the model's own probability at which each label's decision turns.

        Parameters
        ----------
        thresholds : sequence or ndarray of float, length n_labels
            On calibrated probabilities where there is a calibration, in [0, 1].

        Returns
        -------
        ndarray of float64, shape (n_labels,)
        """
        if self.calibration is None:
            return logits(np.asarray(thresholds, dtype=np.float64))
        return self.calibration.borders(thresholds)

    @property
    def review(self) -> ReviewBand | None:
        """Which sentences need review."""
        return self.manifest.review

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
    try:
        is_folder = path.is_dir()
    except OSError as error:  # a name that is too long, a folder above that may not be entered
        raise ModelFolderError(f"{path} cannot be read: {error}", path=path) from error
    if not is_folder:
        raise ModelFolderError(f"{path} is not a folder; expected a model folder that ctclassify saved", path=path)
    is_run = (path / "model" / MANIFEST).is_file()
    remedy = f"give {path / 'model'}" if is_run else "only folders saved by training/finetune.py have it; save it again"
    raw = _read_json(path / MANIFEST, remedy=remedy)
    check_version(raw, path / MANIFEST)
    named = raw.get("sha256")
    has_ranges = isinstance(named, dict) and INT8_RANGES in named
    checksums = {name: _check_file(path / name, raw) for name in (*_CHECKED, *([INT8_RANGES] if has_ranges else []))}
    config = _read_json(path / _CONFIG, remedy="copy the folder again")
    label_names = _label_names(config, path / _CONFIG)
    _check_architecture(config, path / _CONFIG)
    manifest = parse_manifest(raw, label_names, path / MANIFEST)
    _check_positions(manifest.max_tokens, config, path / MANIFEST)
    return ModelFolder(
        path=path,
        label_names=label_names,
        manifest=manifest,
        config=config,
        checksums=checksums,
    )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``ctclassify.json`` into a folder whose other files are final.

    Parameters
    ----------
    folder : pathlib.Path
        The folder, with ``config.json``, ``model.safetensors`` and ``tokenizer.json``, and ``int8.json`` if there are
        ranges.
    manifest : Manifest
        What to write beside the checksums.
    """
    names = (*_CHECKED, *([INT8_RANGES] if (folder / INT8_RANGES).exists() else []))
    fields = {**manifest.to_dict(), "sha256": {name: sha256_file(folder / name) for name in names}}
    temporary = folder / f".{MANIFEST}.tmp"  # a stop on the way must not leave half a manifest
    temporary.write_text(json.dumps(fields, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    temporary.replace(folder / MANIFEST)


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
    while tensors:  # each is let go before the next one is widened
        name, tensor = tensors.pop()
        if tensor["dtype"] == "BF16":
            halves = np.frombuffer(tensor["data"], dtype="<u2")
            pairs = np.zeros((len(halves), 2), dtype="<u2")  # twice as fast as a shift: one pass over the memory
            pairs[:, 1] = halves
            array = pairs.view("<f4")[:, 0]
        elif tensor["dtype"] == "F32":
            array = np.frombuffer(tensor["data"], dtype="<f4")
        else:
            raise ModelFolderError(
                f"{path}: tensor {name} is {tensor['dtype']}; expected F32 or BF16; save the model in one of them",
                path=path,
            )
        weights[name] = array.reshape(tensor["shape"])
    return weights


def check_bert_shapes(weights: Mapping[str, npt.NDArray[np.float32]], folder: ModelFolder) -> None:
    """Refuse weights that do not fit the folder's config: an index past a table's end is no error everywhere.

    Parameters
    ----------
    weights : mapping of str to ndarray of float32
        Of a BERT, by tensor name; one that is not there is left to who needs it.
    folder : ModelFolder
        The checked folder.

    Raises
    ------
    ModelFolderError
        It names the tensor, its rows, and what the folder asks for.
    """
    needed = {
        "bert.embeddings.word_embeddings.weight": (folder.config.get("vocab_size", 0), "config.json: vocab_size"),
        "bert.embeddings.position_embeddings.weight": (folder.max_tokens, f"{MANIFEST}: max_tokens"),
    }
    for name, (n_rows, what) in needed.items():
        if name in weights and len(weights[name]) < n_rows:
            raise ModelFolderError(
                f"{folder.weights_path}: {name} has {len(weights[name])} rows, {what} is {n_rows}; save the model "
                "again",
                path=folder.weights_path,
            )
    head = weights.get("classifier.weight")
    if head is not None and len(head) != len(folder.label_names):
        raise ModelFolderError(
            f"{folder.weights_path}: the head has {len(head)} outputs, "
            f"config.json names {len(folder.label_names)} labels; save the model again",
            path=folder.weights_path,
        )


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
    try:
        if not path.is_file():
            raise ModelFolderError(f"{path} is missing; copy the whole model folder again", path=path)
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


def _check_positions(max_tokens: int, config: dict[str, Any], path: Path) -> None:
    """Refuse a limit of tokens that the encoder's positions cannot hold."""
    n_positions = config.get("max_position_embeddings")
    if isinstance(n_positions, int) and config.get("model_type") in _POSITIONS_AFTER_PADDING:
        n_positions -= 2
    if isinstance(n_positions, int) and max_tokens > n_positions:
        raise ModelFolderError(
            f"{path}: max_tokens is {max_tokens}, the encoder has {n_positions} positions; expected no more than those",
            path=path,
        )
