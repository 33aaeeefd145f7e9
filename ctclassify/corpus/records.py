"""What is read from a corpus: articles, and what had to be rejected."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

__all__ = ["MAX_RECORD_BYTES", "OWN_IDS", "REASONS", "Item", "Record", "Rejection", "make_record"]

MAX_RECORD_BYTES = 1 << 26
"""Bytes of the longest line, field or document that is read: 64 MiB. It bounds memory whatever a file holds."""

REASONS = {
    "bad_csv": "a CSV row with a quote out of place, or a field that is too long",
    "bad_id": "the id is neither text nor a whole number, or it is blank",
    "bad_json": "the line is not JSON",
    "bad_value": "a value that Python cannot hold, such as a date after the year 9999",
    "blank_text": "the text is empty or white space alone",
    "corrupt_file": "the file breaks off or is damaged from here on",
    "duplicate_id": "an earlier article has the same id",
    "html_error": "the HTML cannot be parsed",
    "lone_surrogate": "half of a UTF-16 pair, which no encoding can hold",
    "missing_id": "the row has no id",
    "missing_text": "the row has no text",
    "no_main_text": "no main text was found in the HTML page",
    "no_text_column": "no column of the file holds the text, the named one is not there, or it is there twice",
    "not_an_object": "the line is JSON, but no object",
    "text_not_a_string": "the text is a number, a list or another type",
    "too_long": "longer than 64 MiB",
    "undecodable": "bytes that are not text of the encoding",
    "unknown_format": "the file's name tells no known format",
    "unreadable_file": "the file cannot be opened",
    "wrong_number_of_fields": "a CSV row has more or fewer fields than the header",
}
"""Every reason for which something is rejected, and what it means."""

OWN_IDS = "--id-column - makes ids of file and row"
"""What mends ids that are missing, no ids, or taken."""

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """An article as it was read.

    Attributes
    ----------
    file : str
        The input file, as it was named or found.
    row : int
        Where it begins: the line (JSONL, CSV) or the row (Parquet, Arrow) counted from 1; 1 for a document.
    article_id : str
        Its id; unique in a run.
    text : str
        Its text, never blank.
    date, source, title, url : str or None
        As the input has them; title and url come from HTML pages alone.
    """

    file: str
    row: int
    article_id: str
    text: str
    date: str | None = None
    source: str | None = None
    title: str | None = None
    url: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejection:
    """What could not be used.

    Attributes
    ----------
    file : str
        The input file.
    row, last_row : int or None
        First and last line or row at fault, counted from 1; None where the whole file is.
    reason : str
        A key of :data:`REASONS`.
    detail : str
        What was found, in words.
    """

    file: str
    row: int | None
    reason: str
    detail: str
    last_row: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the rejection in JSON types, ``last_row`` equal to ``row`` for a single one."""
        fields = asdict(self)
        return {**fields, "last_row": self.row if self.last_row is None else self.last_row}


Item: TypeAlias = Record | Rejection
"""Each thing that is read is one or the other; together they are what the counts add up to."""


def make_record(values: dict[str, Any], *, file: str, row: int, last_row: int | None = None) -> Item:
    """Check what a row holds and return it as an article, or say why it is none.

    Parameters
    ----------
    values : dict
        ``text``, and where the input has them ``id``, ``date``, ``source``, ``title``, ``url``. Without an ``id`` key
        the id is made of file and row; with the key and no value the row is rejected. NaN counts as no value.
    file : str
        The input file.
    row, last_row : int
        Where the row lies.

    Returns
    -------
    Record or Rejection
    """

    def reject(reason: str, detail: str) -> Rejection:
        return Rejection(file=file, row=row, last_row=last_row, reason=reason, detail=detail)

    values = {name: None if _is_nan(value) else value for name, value in values.items()}
    text = values.get("text")
    if text is None:
        return reject("missing_text", "the text is null or not there")
    if not isinstance(text, str):
        return reject("text_not_a_string", f"the text is of type {type(text).__name__}")
    if len(text) > MAX_RECORD_BYTES:
        return reject("too_long", f"the text holds {len(text)} characters, more than {MAX_RECORD_BYTES}")
    if not text.strip():
        return reject("blank_text", f"the text holds {len(text)} characters of white space")
    article_id = values.get("id", f"{file}:{row}")
    if article_id is None or article_id == "":
        return reject("missing_id", f"the id is null, empty or not there; {OWN_IDS}")
    if isinstance(article_id, float) and article_id.is_integer() and abs(article_id) < 2**53:
        article_id = int(article_id)  # what pandas makes of whole numbers where one is missing
    if isinstance(article_id, bool) or not isinstance(article_id, str | int) or not str(article_id).strip():
        return reject("bad_id", f"the id is {article_id!r:.80}; {OWN_IDS}")
    fields = {"article_id": str(article_id), "text": text}
    for name in ("date", "source", "title", "url"):
        if values.get(name) not in (None, ""):
            fields[name] = _as_text(values[name])
    for name, value in fields.items():
        if _has_surrogate(value):
            return reject("lone_surrogate", f"{name} holds half of a UTF-16 pair")
    return Record(file=file, row=row, **fields)


def _is_nan(value: Any) -> bool:
    """Return whether a value is NaN, which tables and JSON of Python's hold where a value is missing."""
    return isinstance(value, float) and math.isnan(value)


def _as_text(value: Any) -> str:
    """Return a date, a number or another value as text; dates in ISO 8601."""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _has_surrogate(text: str) -> bool:
    """Return whether UTF-8 cannot hold a text; encoding is quicker than a search and nearly always succeeds."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.search(text) is not None
    return False
