"""From files to parts: every item read in order, cut into parts that do not depend on what happened before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import BinaryIO

from ctclassify.corpus.columns import ReadOptions, say_nothing
from ctclassify.corpus.compression import DECOMPRESSION_ERRORS, open_bytes, require_pyarrow
from ctclassify.corpus.discover import InputFile
from ctclassify.corpus.read_arrow import read_arrow, read_parquet
from ctclassify.corpus.read_documents import read_html, read_text, require_trafilatura
from ctclassify.corpus.read_lines import Utf16Error, read_csv, read_jsonl
from ctclassify.corpus.records import Item, Record, Rejection
from ctclassify.errors import CorpusError

__all__ = ["PART_CHARACTERS", "Part", "Place", "check_first_table", "check_installed", "read_items", "read_parts"]

PART_CHARACTERS = 1 << 23
"""Characters of article text at which a part ends early, so that long articles do not fill memory."""

_TABLES = ("jsonl", "csv", "tsv", "parquet", "arrow")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where reading goes on.

    Attributes
    ----------
    file : int
        Index of the input file.
    item : int
        Items of it that are read already.
    """

    file: int = 0
    item: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Items that are computed and written together.

    Attributes
    ----------
    number : int
        From 0.
    items : tuple of Record or Rejection
        In the order of the inputs.
    files : tuple of int
        Index of each item's input file.
    end : Place
        Where the next part begins.
    bytes_read : int
        Bytes of the inputs up to the end of the part, as they lie on the disk; near enough for showing progress.
    """

    number: int
    items: tuple[Item, ...]
    files: tuple[int, ...]
    end: Place
    bytes_read: int

    @property
    def records(self) -> list[Record]:
        """The articles among the items, in order."""
        return [item for item in self.items if isinstance(item, Record)]


def read_items(file: InputFile, options: ReadOptions) -> Iterator[tuple[Item, int]]:
    """Yield everything in a file, each item with the bytes read so far.

    Parameters
    ----------
    file : InputFile
        The file.
    options : ReadOptions
        How to read it.

    Yields
    ------
    tuple of (Record or Rejection, int)
        A file that cannot be opened, or read to its end, gives a rejection where it fails.

    Raises
    ------
    CorpusError
        If a library that the format needs is not installed.
    """
    if file.kind is None:
        detail = "the name tells no known format; leave the file out, or say its format with --input-format"
        yield Rejection(file=file.name, row=None, reason="unknown_format", detail=detail), 0
        return
    if file.path.exists() and not file.path.is_file():
        detail = "is no regular file (a pipe, a socket, a device); save it to one first"
        yield Rejection(file=file.name, row=None, reason="unreadable_file", detail=detail), 0
        return
    n_read = 0
    is_open = False
    try:
        n_bytes = file.path.stat().st_size
        with open_bytes(file.path, file.compression) as (stream, raw):
            is_open = True
            for item, position in _reader(file, stream, raw, options, n_bytes):
                n_read += 1
                yield item, position
    except Utf16Error as error:
        yield Rejection(file=file.name, row=None, reason="undecodable", detail=str(error)), 0
    except DECOMPRESSION_ERRORS as error:
        reason = "corrupt_file" if is_open else "unreadable_file"
        detail = f"cannot be read{' from here on' if is_open else ''}: {error}"
        # The row is that after the last item's: lines within a broken block are not known.
        yield Rejection(file=file.name, row=n_read + 1 if is_open else None, reason=reason, detail=detail), 0


def _reader(
    file: InputFile, stream: BinaryIO, raw: BinaryIO, options: ReadOptions, n_bytes: int
) -> Iterator[tuple[Item, int]]:
    """Return the reader of a file's format."""
    name = file.name
    if file.kind == "jsonl":
        return read_jsonl(stream, name, options, raw.tell)
    if file.kind in ("csv", "tsv"):
        return read_csv(stream, name, options, raw.tell, delimiter="," if file.kind == "csv" else "\t")
    if file.kind == "parquet":
        return read_parquet(stream, name, options, n_bytes, is_compressed=file.compression is not None)
    if file.kind == "arrow":
        return read_arrow(stream, name, options, raw.tell)
    return (read_html if file.kind == "html" else read_text)(stream, name, options, n_bytes)


def read_parts(
    files: Sequence[InputFile],
    options: ReadOptions,
    *,
    part_articles: int,
    start: Place,
    first_number: int,
    sizes: Sequence[int],
) -> Iterator[Part]:
    """Yield the parts of a corpus from a place on.

    Parameters
    ----------
    files : sequence of InputFile
        All of them, in order.
    options : ReadOptions
        How to read them.
    part_articles : int
        Items of a part, rejected ones among them. A part ends earlier at :data:`PART_CHARACTERS`.
    start : Place
        Where the first of the parts begins: the ``end`` of the one before.
    first_number : int
        Its number.
    sizes : sequence of int
        Bytes of each file.

    Yields
    ------
    Part
        The last may be shorter; none is empty.
    """
    number = first_number
    items: list[Item] = []
    owners: list[int] = []
    n_characters = 0
    end, bytes_read = start, 0
    before = sum(sizes[: start.file])
    for index in range(start.file, len(files)):
        skipped = start.item if index == start.file else 0
        for n, (item, position) in enumerate(islice(read_items(files[index], options), skipped, None), skipped + 1):
            items.append(item)
            owners.append(index)
            n_characters += len(item.text) if isinstance(item, Record) else 0
            end, bytes_read = Place(file=index, item=n), before + position
            if len(items) >= part_articles or n_characters >= PART_CHARACTERS:
                yield Part(number=number, items=tuple(items), files=tuple(owners), end=end, bytes_read=bytes_read)
                number, items, owners, n_characters = number + 1, [], [], 0
        before += sizes[index]
    if items:
        yield Part(number=number, items=tuple(items), files=tuple(owners), end=end, bytes_read=bytes_read)


def check_installed(files: Sequence[InputFile]) -> None:
    """Stop before any work where a library is missing that an input needs, however late it would be read.

    Raises
    ------
    CorpusError
        It names the file and the extra.
    """
    for file in files:
        if file.kind == "html":
            require_trafilatura(file.name)
        elif file.needs_pyarrow:
            require_pyarrow(f"{file.name}: reading it")


def check_first_table(files: Sequence[InputFile], options: ReadOptions) -> None:
    """Stop before any work where no table among the inputs has the columns: a mistyped column's name.

    Parameters
    ----------
    files : sequence of InputFile
        The inputs.
    options : ReadOptions
        How they are read.

    Raises
    ------
    CorpusError
        It says what was expected in the first table, and which columns it has.
    """
    fault = None
    quiet = replace(options, say=say_nothing, needs_chosen=True)
    for file in files:
        if file.kind not in _TABLES:
            return
        first = next(iter(read_items(file, quiet)), None)
        item = first[0] if first else None
        if not (isinstance(item, Rejection) and item.reason == "no_text_column"):
            return
        fault = fault or f"{item.file}: {item.detail}"
    if fault:
        raise CorpusError(fault)
