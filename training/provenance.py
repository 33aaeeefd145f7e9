"""What a run was made from: config, data, versions, commit."""

from __future__ import annotations

import platform
import subprocess
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from training.config import TrainingConfig
from training.data import LabelledSentences, sha256_file

__all__ = ["describe_run"]

_PACKAGES = ("torch", "transformers", "datasets", "tokenizers", "safetensors", "scikit-learn", "numpy")
_ROOT = Path(__file__).resolve().parents[1]


def describe_run(config: TrainingConfig, train: LabelledSentences, validation: LabelledSentences) -> dict[str, Any]:
    """Return the record of a run: JSON types only; paths are relative to the checkout where they are in it."""
    record = config.model_dump(mode="json")
    files = {"train": config.data.train, "validation": config.data.validation}
    for split, paths in files.items():
        record["data"][split] = [{"path": _shown(path), "sha256": sha256_file(path)} for path in paths]
    return {
        "config": record,
        "counts": {"train": _counts(train), "validation": _counts(validation)},
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        "processor": platform.machine(),
        "commit": _commit(),
    }


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
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None
