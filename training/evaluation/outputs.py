"""Whether a file can be written, to be told before the work and not after it."""

from __future__ import annotations

import os
from pathlib import Path

from ctclassify.errors import DataError

__all__ = ["check_writable"]


def check_writable(path: Path) -> None:
    """Refuse a file that cannot be written.

    Parameters
    ----------
    path : pathlib.Path
        A file to make or to replace.

    Raises
    ------
    DataError
        If it is a folder, or its folder is missing or may not be written into.
    """
    folder = path.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise DataError(f"cannot be written; expected {folder} as a folder that you may write into", path=path)
    if path.is_dir():
        raise DataError("cannot be written: it is a folder; expected a file", path=path)
