"""Read Parquet and Arrow files, among them those of the ``datasets`` library, in batches of rows."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import IO, Any, BinaryIO

from ctclassify.corpus.columns import Columns, ReadOptions, find_columns
from ctclassify.corpus.compression import require_pyarrow
from ctclassify.corpus.records import Item, Rejection, make_record
from ctclassify.errors import CorpusError

__all__ = ["read_arrow", "read_parquet"]

_BATCH_ROWS = 256
_BUFFER_BYTES = 1 << 20


def read_parquet(
    stream: BinaryIO, name: str, options: ReadOptions, n_bytes: int, *, is_compressed: bool
) -> Iterator[tuple[Item, int]]:
    """Yield each row as an article or a rejection, with how many of ``n_bytes`` are read, in proportion to rows.

    Parameters
    ----------
    stream : binary file
        Decompressed; where ``is_compressed``, its content is first copied to a temporary file, for Parquet is read
        from its end.
    name : str
        The file's name.
    options : ReadOptions
        Columns.
    n_bytes : int
        The file's size on the disk.
    is_compressed : bool
        Whether ``stream`` cannot be sought.
    """
    require_pyarrow("reading Parquet")
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _spooled() if is_compressed else nullcontext() as spooled:
        row = 0
        try:
            if spooled is not None:
                _copy(stream, spooled)
            # Without pre-buffering, which keeps what it has read for as long as the file is open.
            file = pq.ParquetFile(stream if spooled is None else spooled, pre_buffer=False, buffer_size=_BUFFER_BYTES)
            columns = find_columns(file.schema_arrow.names, options, file=name)
            if isinstance(columns, str):
                yield Rejection(file=name, row=None, reason="no_text_column", detail=columns), n_bytes
                return
            wanted = _wanted(columns, file.schema_arrow.names)
            n_rows = max(file.metadata.num_rows, 1)
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=wanted):
                for item in _batch_items(batch, columns, name, row):
                    row += 1
                    yield item, n_bytes * row // n_rows
        except (pa.ArrowException, OSError, EOFError) as error:
            yield _corrupt(name, row, error), n_bytes


def _spooled() -> IO[bytes]:
    """Return a temporary file."""
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        raise CorpusError(f"no temporary file for a compressed Parquet file: {error}; set TMPDIR") from error


def _copy(stream: BinaryIO, spooled: IO[bytes]) -> None:
    """Copy a stream to a temporary file and go to its start; what the temporary disk lacks is no fault of the input."""
    while data := stream.read(_BUFFER_BYTES):
        try:
            spooled.write(data)
        except OSError as error:
            raise CorpusError(
                f"a compressed Parquet file does not fit the temporary folder {tempfile.gettempdir()}: {error}; "
                "set TMPDIR to a larger one, then the same command goes on"
            ) from error
    spooled.seek(0)


def read_arrow(
    stream: BinaryIO, name: str, options: ReadOptions, tell: Callable[[], int]
) -> Iterator[tuple[Item, int]]:
    """Yield each row of an Arrow IPC file or stream (Feather 2 is the former), as :func:`read_parquet` does.

    ``tell`` gives the position in the file as it lies on the disk, in bytes.
    """
    require_pyarrow("reading Arrow")
    import pyarrow as pa

    row = 0
    try:
        reader = _arrow_batches(stream)
        schema, batches = next(reader), reader
        columns = find_columns(schema.names, options, file=name)
        if isinstance(columns, str):
            yield Rejection(file=name, row=None, reason="no_text_column", detail=columns), tell()
            return
        # By place: a table may have two columns of one name.
        wanted = [schema.names.index(each) for each in _wanted(columns, schema.names)]
        for batch in batches:
            for start in range(0, batch.num_rows, _BATCH_ROWS):
                for item in _batch_items(batch.slice(start, _BATCH_ROWS).select(wanted), columns, name, row):
                    row += 1
                    yield item, tell()
    except (pa.ArrowException, OSError, EOFError) as error:
        yield _corrupt(name, row, error), tell()


def _arrow_batches(stream: BinaryIO) -> Iterator[Any]:
    """Yield the schema, then the batches; the file's format is read as the stream that it holds."""
    import pyarrow as pa

    # A file is a stream between two marks of eight bytes: reading it as a stream needs no seeking.
    head = stream.read(8)
    if head[:6] != b"ARROW1":
        stream = _Rejoined(head, stream)  # type: ignore[assignment]
    with pa.ipc.open_stream(stream) as reader:
        yield reader.schema
        yield from reader


class _Rejoined:
    """A stream with its first bytes put back."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head, self._stream = head, stream
        self.closed = False

    def read(self, n_bytes: int = -1) -> bytes:
        if not self._head:
            return self._stream.read(n_bytes)
        if n_bytes < 0:
            n_bytes = 1 << 62
        head, self._head = self._head[:n_bytes], self._head[n_bytes:]
        return head + (self._stream.read(n_bytes - len(head)) if n_bytes > len(head) else b"")

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        """Leave the stream to its owner."""


def _wanted(columns: Columns, names: list[str]) -> list[str]:
    """Return the columns that are there, each once."""
    return list(dict.fromkeys(name for name in columns.by_role.values() if name in names))


def _corrupt(name: str, row: int, error: Exception) -> Rejection:
    """Return the rejection of a file that cannot be read on."""
    return Rejection(file=name, row=row + 1, reason="corrupt_file", detail=f"cannot be read from here on: {error}")


def _batch_items(batch: Any, columns: Columns, name: str, row: int) -> Iterator[Item]:
    """Yield the items of one batch; strings that are not UTF-8, and dates beyond Python's, reject their rows alone."""
    try:
        rows = batch.to_pylist()
    except (ValueError, OverflowError):
        rows = [_values(batch, i) for i in range(batch.num_rows)]
    for i, values in enumerate(rows, start=row + 1):
        if isinstance(values, UnicodeDecodeError):
            yield Rejection(file=name, row=i, reason="undecodable", detail=f"not UTF-8 text: {values}")
        elif isinstance(values, Exception):
            yield Rejection(file=name, row=i, reason="bad_value", detail=f"no value of Python's: {values}")
        else:
            yield make_record(columns.pick(values), file=name, row=i)


def _values(batch: Any, i: int) -> dict[str, Any] | Exception:
    """Return the values of one row, or the error."""
    try:
        return {name: batch.column(place)[i].as_py() for place, name in enumerate(batch.schema.names)}
    except (ValueError, OverflowError) as error:
        return error
