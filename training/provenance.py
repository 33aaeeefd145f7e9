"""What a run was made from: config, data, encoder, versions, commit; and whether a later start has the same."""

from __future__ import annotations

import platform
import subprocess
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ctclassify.model_folder import sha256_file
from training.config import ModelConfig, OptimisationConfig, TrainingConfig
from training.data import LabelledSentences

__all__ = ["describe_files", "describe_run", "describe_software", "differences"]

_PACKAGES = ("torch", "transformers", "datasets", "tokenizers", "safetensors", "scikit-learn", "numpy")
_ROOT = Path(__file__).resolve().parents[1]


def describe_run(
    config: TrainingConfig,
    train: LabelledSentences,
    validation: LabelledSentences,
    *,
    encoder: str,
    encoder_commit: str | None = None,
) -> dict[str, Any]:
    """Describe what a run is made from.

    Parameters
    ----------
    config : TrainingConfig
        All values of the run.
    train, validation : LabelledSentences
        What its files hold.
    encoder : str
        Folder or Hub name, as :func:`training.encoder.resolve_encoder` gives it.
    encoder_commit : str or None
        The Hub's commit of the encoder, where there is one.

    Returns
    -------
    dict
        JSON types only: ``config`` with the checksum of each data file, ``encoder``, ``counts``, ``versions``,
        ``processor``, ``commit``. Paths are relative to the checkout where they are in it, names elsewhere.
    """
    record = config.model_dump(mode="json")
    if Path(config.model.base).is_absolute():
        record["model"]["base"] = _shown(Path(config.model.base))
    files = {"train": config.data.train, "validation": config.data.validation}
    for split, paths in files.items():
        record["data"][split] = describe_files(paths)
    if config.distillation is not None:
        record["distillation"]["soft"] = describe_files(config.distillation.soft)
    return {
        "config": record,
        "encoder": _encoder(config.model.base, encoder, encoder_commit),
        "counts": {"train": _counts(train), "validation": _counts(validation)},
        **describe_software(),
    }


def describe_software() -> dict[str, Any]:
    """Return ``versions`` of Python and the packages, ``processor`` and the checkout's ``commit``."""
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        "processor": platform.machine(),
        "commit": _commit(),
    }


def differences(first: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Compare two records of :func:`describe_run` by what decides the weights.

    Parameters
    ----------
    first, now : dict
        Records of the first start and of a later one.

    Returns
    -------
    list of str
        ``name: value at first -> value now`` for each value of the config, data checksum and encoder that differs, in
        order; empty where none does. The paths of the data do not count, nor ``[decision]``, which is taken once the
        weights stand, nor a part that ``first`` lacks as a whole, nor a field that it lacks and that has its default
        now: the field is younger than the run.
    """
    found = []
    for part in ("config", "encoder"):
        if part in first:
            then, later = _flat(first[part], part), _flat(now[part], part)
            names = [*then, *(name for name in later if name not in then)]
            found += [
                f"{name}: {then.get(name)!r} -> {later.get(name)!r}"
                for name in names
                if then.get(name) != later.get(name)
                and not name.endswith("].path")
                and not name.startswith("config.decision.")
                and not (name not in then and name in _DEFAULTS and later[name] == _DEFAULTS[name])
            ]
    return found


def describe_files(paths: Sequence[Path]) -> list[dict[str, str]]:
    """Return ``path``, relative to the checkout where it is in it, and ``sha256`` of each file, in order."""
    return [{"path": _shown(path.resolve()), "sha256": sha256_file(path)} for path in paths]


def _flat(value: Any, name: str) -> dict[str, Any]:
    """Return the leaves of nested objects and lists by their dotted names."""
    if isinstance(value, dict):
        return {k: v for key, inner in value.items() for k, v in _flat(inner, f"{name}.{key}").items()}
    if isinstance(value, list):
        return {k: v for i, inner in enumerate(value) for k, v in _flat(inner, f"{name}[{i}]").items()}
    return {name: value}


def _encoder(base: str, encoder: str, commit: str | None) -> dict[str, Any]:
    """Return the encoder's name and the checksums of its weights, or its commit on the Hub."""
    folder = Path(encoder)
    if not folder.is_dir():
        return {"name": encoder, "commit": commit}
    name = _shown(Path(base)) if Path(base).is_absolute() else base
    return {"name": name, "sha256": {path.name: sha256_file(path) for path in sorted(folder.glob("*.safetensors"))}}


def _counts(sentences: LabelledSentences) -> dict[str, Any]:
    """Return the number of sentences and of each label's positives."""
    positives = Counter(name for labels in sentences.labels for name in labels)
    return {"n_sentences": len(sentences), "n_documents": len(set(sentences.documents)), "positives": dict(positives)}


def _shown(path: Path) -> str:
    """Return a path that means something on another machine."""
    return str(path.relative_to(_ROOT)) if path.is_relative_to(_ROOT) else path.name


def _version(package: str) -> str | None:
    """Return an installed package's version, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the checkout's commit, marked where files differ from it, or None outside git."""
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--abbrev=40", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:  # git is not installed
        return None
    return done.stdout.strip() or None


_DEFAULTS = {
    **_flat({"model": ModelConfig().model_dump(), "optimisation": OptimisationConfig().model_dump()}, "config"),
    "config.data.share": 1.0,
    "config.distillation": None,
}
"""Values of the fields that a config leaves out."""
