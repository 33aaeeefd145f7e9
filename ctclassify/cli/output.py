"""Where output goes: standard output, or a file that is whole or as it was."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

__all__ = ["open_output"]

_ERRORS = "backslashreplace"
"""A lone surrogate, which UTF-8 cannot hold, is written as its escape: that is what JSON calls it too."""


@contextmanager
def open_output(path: Path | None) -> Iterator[TextIO]:
    """Yield standard output, or a temporary file that takes the place of ``path`` once all is written.

    Parameters
    ----------
    path : pathlib.Path or None
        A file; None and ``-`` are standard output. A link is written through. On an error the file stays as it was.

    Raises
    ------
    OSError
        If the output cannot be written; it names ``path``.
    """
    if path is None or str(path) == "-":
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(encoding="utf-8", errors=_ERRORS, newline="\n")
        yield sys.stdout
        sys.stdout.flush()
        return
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder; name a file", str(path))
    if path.exists() and not path.is_file():  # a device or a pipe cannot be replaced, only written to
        with path.open("w", encoding="utf-8", errors=_ERRORS, newline="\n") as stream:
            yield stream
        return
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder", str(path.parent))
    with _replacing(target) as stream:
        yield stream


@contextmanager
def _replacing(target: Path) -> Iterator[TextIO]:
    """Yield a temporary file beside ``target`` that takes its place, with its mode, if nothing goes wrong."""
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors=_ERRORS, newline="\n") as stream:
            yield stream
        mode = target.stat().st_mode if target.exists() else 0o666 & ~_umask()
        Path(temporary).chmod(mode & 0o777)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """Return the process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
