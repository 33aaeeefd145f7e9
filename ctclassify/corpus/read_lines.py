"""Read JSON lines and CSV, line by line, each line accounted for."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, BinaryIO

from ctclassify.corpus.columns import Columns, ReadOptions, find_columns
from ctclassify.corpus.compression import DECOMPRESSION_ERRORS
from ctclassify.corpus.records import MAX_RECORD_BYTES, Item, Rejection, make_record

__all__ = ["Utf16Error", "read_csv", "read_jsonl"]

_PEEKED_LINES, _PEEKED_BYTES = 100, 1 << 20
"""How much of a JSONL file is looked at to find its columns."""

_ESCAPED = re.compile("[\udc80-\udcff]")
_BOM = b"\xef\xbb\xbf"
_UTF_16_BOMS = (b"\xff\xfe", b"\xfe\xff")


class Utf16Error(ValueError):
    """A file that is read line by line is UTF-16, whose lines no new line ends."""


def read_jsonl(
    stream: BinaryIO, name: str, options: ReadOptions, tell: Callable[[], int]
) -> Iterator[tuple[Item, int]]:
    """Yield each line as an article or a rejection, with the file's position; blank lines hold nothing.

    Parameters
    ----------
    stream : binary file
        Decompressed.
    name : str
        The file's name.
    options : ReadOptions
        Columns and encoding.
    tell : callable
        Gives the position in the file as it lies on the disk, in bytes.

    Raises
    ------
    Utf16Error
        If the file begins with the mark of UTF-16.
    OSError, EOFError, zlib.error, lzma.LZMAError
        Where a damaged file cannot be read on, after all lines before that.
    """
    lines = _numbered_lines(stream)
    no_columns = Columns(by_role={"text": "text"})
    while True:
        peeked, failure = _peek(lines)
        names = _object_keys([line for _, line in peeked], options.encoding)
        if names or not peeked:
            break
        for number, line in peeked:  # none of them is an object, so each is blank or rejected, whatever the columns
            item = _json_item(line, no_columns, name, number, options.encoding)
            if item is not None:
                yield item, tell()
        if failure is not None:
            raise failure
    columns = find_columns(names, options, file=name) if names else no_columns
    if isinstance(columns, str):
        yield Rejection(file=name, row=None, reason="no_text_column", detail=columns), tell()
        return
    for number, line in chain(peeked, lines):
        item = _json_item(line, columns, name, number, options.encoding)
        if item is not None:
            yield item, tell()
    if failure is not None:
        raise failure


def _numbered_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Yield lines with their numbers from 1; None stands for one that is too long, which is read past."""
    number = 0
    while line := stream.readline(MAX_RECORD_BYTES):
        number += 1
        if number == 1:
            if line.startswith(_UTF_16_BOMS):
                raise Utf16Error(
                    "begins with the mark of UTF-16, which cannot be read line by line; convert it to UTF-8"
                )
            line = line.removeprefix(_BOM)
        if len(line) < MAX_RECORD_BYTES or line.endswith(b"\n"):
            yield number, line
            continue
        while rest := stream.readline(MAX_RECORD_BYTES):
            if rest.endswith(b"\n"):
                break
        yield number, None


def _peek(lines: Iterator[tuple[int, bytes | None]]) -> tuple[list[tuple[int, bytes | None]], Exception | None]:
    """Take the next lines; where the file breaks off among them, those before it and the error."""
    peeked: list[tuple[int, bytes | None]] = []
    n_bytes = 0
    try:
        for number, line in lines:
            peeked.append((number, line))
            n_bytes += len(line or b"")
            if len(peeked) == _PEEKED_LINES or n_bytes >= _PEEKED_BYTES:
                break
    except DECOMPRESSION_ERRORS as error:
        return peeked, error
    return peeked, None


def _object_keys(lines: list[bytes | None], encoding: str) -> list[str]:
    """Return the keys of the objects among some lines, in the order of their first appearance."""
    keys: dict[str, None] = {}
    for line in lines:
        value = None if line is None else _parse(line, encoding)
        if isinstance(value, dict):
            keys.update(dict.fromkeys(value))
    return list(keys)


def _parse(line: bytes, encoding: str) -> Any:
    """Return a line's JSON value, or the error that says why it has none."""
    try:
        return json.loads(line.decode(encoding))
    except (ValueError, RecursionError) as error:
        return error


def _json_item(line: bytes | None, columns: Columns, name: str, number: int, encoding: str) -> Item | None:
    """Return what one line holds; None for a blank one."""

    def reject(reason: str, detail: str) -> Rejection:
        return Rejection(file=name, row=number, reason=reason, detail=detail)

    if line is None:
        return reject("too_long", f"the line is longer than {MAX_RECORD_BYTES} bytes")
    if not line.strip():
        return None
    value = _parse(line, encoding)
    if isinstance(value, UnicodeError):
        return reject("undecodable", f"not {encoding} text: {value}")
    if isinstance(value, Exception):
        return reject("bad_json", str(value) or type(value).__name__)
    if not isinstance(value, dict):
        return reject("not_an_object", f"the line is JSON of type {type(value).__name__}; expected an object")
    return make_record(columns.pick(value), file=name, row=number)


def read_csv(
    stream: BinaryIO, name: str, options: ReadOptions, tell: Callable[[], int], *, delimiter: str
) -> Iterator[tuple[Item, int]]:
    """Yield each row as an article or a rejection, with the file's position; the first row names the columns.

    Parameters
    ----------
    stream, name, options, tell
        As for :func:`read_jsonl`.
    delimiter : str
        Between fields, where ``options`` names none.

    Notes
    -----
    A row is numbered by its first line. Rows are read strictly: a quote out of place rejects the row. Reading raises
    the process's ``csv.field_size_limit`` to 64 MiB.
    """
    csv.field_size_limit(max(csv.field_size_limit(), MAX_RECORD_BYTES))
    rows = _csv_rows(stream, options.encoding, options.delimiter or delimiter)
    header: list[str] | None = None
    columns: Columns | str = ""
    for first, last, row in rows:
        if isinstance(row, Rejection):
            yield Rejection(file=name, row=first, last_row=last, reason=row.reason, detail=row.detail), tell()
        elif header is None:
            header = row
            columns = find_columns(header, options, file=name)
            if isinstance(columns, str):
                yield Rejection(file=name, row=None, reason="no_text_column", detail=columns), tell()
                return
        else:
            yield _csv_item(row, header, columns, name, (first, last)), tell()


def _csv_item(row: list[str], header: list[str], columns: Columns | str, name: str, lines: tuple[int, int]) -> Item:
    """Return what one row holds."""
    first, last = lines

    def reject(reason: str, detail: str) -> Rejection:
        return Rejection(file=name, row=first, last_row=last, reason=reason, detail=detail)

    if any(_ESCAPED.search(field) for field in row):
        return reject("undecodable", "bytes that are not text of the encoding")
    if len(row) != len(header) or isinstance(columns, str):
        return reject("wrong_number_of_fields", f"{len(row)} fields, the header has {len(header)}")
    return make_record(columns.pick(dict(zip(header, row, strict=True))), file=name, row=first, last_row=last)


def _csv_rows(stream: BinaryIO, encoding: str, delimiter: str) -> Iterator[tuple[int, int, list[str] | Rejection]]:
    """Yield first line, last line, and the fields or what is wrong, of each row that is not blank."""
    read = 0

    def lines() -> Iterator[str]:
        nonlocal read
        for number, line in _numbered_lines(stream):
            read = number
            # csv takes an iterator that raised to be at its end: a line that is too long becomes a fault in quotes.
            yield '"' + "x" * 8 + '"x\n' if line is None else line.decode(encoding, "surrogateescape")

    reader = csv.reader(lines(), delimiter=delimiter, strict=True)
    while True:
        first = read + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield first, read, Rejection(file="", row=None, reason="bad_csv", detail=str(error))
        else:
            if row:
                yield first, read, row
