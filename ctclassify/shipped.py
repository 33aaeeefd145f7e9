"""Where the shipped model lies: inside the installed package, or in the checkout's ``models/``."""

from __future__ import annotations

from pathlib import Path

from ctclassify.errors import ModelFolderError

__all__ = ["SHIPPED_MODEL", "shipped_model_path"]

SHIPPED_MODEL = "ctclassify-minilm"
"""Folder name of the shipped model."""


def shipped_model_path() -> Path:
    """Return the shipped model's folder.

    Raises
    ------
    ModelFolderError
        If it is at neither place.
    """
    package = Path(__file__).resolve().parent
    installed = package / "models" / SHIPPED_MODEL
    checkout = package.parent / "models" / SHIPPED_MODEL
    for path in (installed, checkout):
        if path.is_dir():
            return path
    raise ModelFolderError(
        f"the shipped model is missing: neither {installed} nor {checkout} is there; install ctclassify again",
        path=installed,
    )
