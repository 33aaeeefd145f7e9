"""Open a file as bytes, decompressed by the ending of its name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from ctclassify.errors import CorpusError

__all__ = ["COMPRESSIONS", "DECOMPRESSION_ERRORS", "open_bytes", "require_pyarrow"]

COMPRESSIONS = {".gz": "gz", ".bz2": "bz2", ".xz": "xz", ".zst": "zst"}
"""Endings of compressed files."""

DECOMPRESSION_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What reading a damaged or broken-off file raises; a zst file's faults are OSError."""


def require_pyarrow(purpose: str) -> None:
    """Raise if pyarrow is not installed.

    Raises
    ------
    CorpusError
        It names the extra.
    """
    try:
        import pyarrow as pa  # noqa: F401
    except ImportError as error:
        raise CorpusError(f"{purpose} needs pyarrow; install the extra: pip install 'ctclassify[corpus]'") from error


@contextmanager
def open_bytes(path: Path, compression: str | None) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Yield a file's decompressed stream, and the file itself, whose position says how far the reading is.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    compression : str or None
        One of the values of :data:`COMPRESSIONS`.

    Raises
    ------
    OSError
        If the file cannot be opened.
    CorpusError
        If zst is met without pyarrow.
    """
    with path.open("rb") as raw:
        stream = _decompressed(raw, compression)
        try:
            yield stream, raw
        finally:
            if stream is not raw:
                stream.close()


def _decompressed(raw: BinaryIO, compression: str | None) -> BinaryIO:
    """Return a stream of the decompressed bytes."""
    if compression == "gz":
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    if compression == "bz2":
        return cast(BinaryIO, bz2.BZ2File(raw))
    if compression == "xz":
        return cast(BinaryIO, lzma.LZMAFile(raw))
    if compression == "zst":
        return _zstandard(raw)
    return raw


def _zstandard(raw: IO[bytes]) -> BinaryIO:
    """Return a stream over one or more zst frames.

    pyarrow's, for it says so where a file breaks off; the package ``zstandard`` takes that for the end.
    """
    require_pyarrow("reading .zst")
    import pyarrow as pa

    return cast(BinaryIO, io.BufferedReader(_ArrowRaw(pa.CompressedInputStream(pa.PythonFile(raw), "zstd"))))


class _ArrowRaw(io.RawIOBase):
    """An Arrow stream as Python's raw stream."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
