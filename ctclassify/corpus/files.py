"""Files that are whole or not there, also after a power cut."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from io import BufferedWriter
from pathlib import Path
from typing import Any, cast

__all__ = ["WrittenFile", "name_of", "sync_folder", "write_atomically"]

WrittenFile = dict[str, Any]
"""``bytes`` and ``sha256`` of a file."""


class _HashingFile:
    """A file that takes the checksum of what passes; only what writers of parts call."""

    def __init__(self, stream: BufferedWriter) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()
        self.n_bytes = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.n_bytes += memoryview(data).nbytes
        return self._stream.write(data)

    def flush(self) -> None:
        self._stream.flush()

    def tell(self) -> int:
        return self.n_bytes

    def close(self) -> None:
        """Leave the file to its owner, which has yet to sync it."""

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


def write_atomically(path: Path, write: Callable[[BufferedWriter], None]) -> WrittenFile:
    """Write a file under a temporary name beside it, sync it, and give it its name.

    Parameters
    ----------
    path : pathlib.Path
        The file. Its folder must be there. What has the name already is replaced.
    write : callable
        Gets a binary stream that can be written but not sought.

    Returns
    -------
    dict
        ``bytes`` and ``sha256`` of the file.

    Raises
    ------
    OSError
        If it cannot be written; the temporary file is then removed if that is possible.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as stream:
            hashing = _HashingFile(stream)
            write(cast(BufferedWriter, hashing))
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return {"bytes": hashing.n_bytes, "sha256": hashing.digest.hexdigest()}


def sync_folder(path: Path) -> None:
    """Make the names in a folder last; systems that cannot sync a folder (Windows) are left as they are."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def name_of(path: Path | str) -> str:
    """Return a file's name as text that UTF-8 can hold: bytes that are none become escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
