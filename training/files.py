"""Reading JSON lines with the line at fault named, and writing files that are whole or absent."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from ctclassify.errors import DataError

__all__ = ["read_json_object", "read_lines", "write_text"]


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a UTF-8 file that are not blank, with their numbers.

    Parameters
    ----------
    path : pathlib.Path
        A file; gzip where its name ends in ``.gz``.

    Yields
    ------
    tuple of int and str
        Line number, counted from 1 over all lines, and the line, the first without a byte order mark. Nothing for an
        empty file.

    Raises
    ------
    DataError
        If the file cannot be read, or a line is not UTF-8; it names the line.
    """
    line_number = 0
    try:
        with _open_binary(path) as lines:
            for line_number, line in enumerate(lines, start=1):
                # A byte order mark, which some editors write first, belongs to no line.
                text = line.decode("utf-8-sig" if line_number == 1 else "utf-8")
                if text.strip():
                    yield line_number, text
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8: {error}; save the file as UTF-8", path=path, line_number=line_number) from error
    except (OSError, EOFError, zlib.error) as error:
        message = f"cannot be read: {error}; expected {'gzip' if path.suffix == '.gz' else 'a readable file'}"
        raise DataError(message, path=path, line_number=line_number + 1) from error


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises
    ------
    DataError
        If the file cannot be read or holds anything else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot be read: {error}", path=path) from error
    except ValueError as error:
        raise DataError(f"not JSON: {error}; expected an object; remove the file or mend it", path=path) from error
    if not isinstance(value, dict):
        message = f"expected a JSON object, got {type(value).__name__}; remove the file or mend it"
        raise DataError(message, path=path)
    return value


def write_text(path: Path, text: str) -> None:
    r"""Write a UTF-8 file, lines ended as they are in ``text``; a stop on the way leaves the former file untouched."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _open_binary(path: Path) -> BinaryIO:
    """Open a file or a gzip file for reading bytes."""
    return cast("BinaryIO", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")
