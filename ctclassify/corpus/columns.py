"""Which columns hold the text, the id, the date and the source: as told, or guessed by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["NO_COLUMN", "Columns", "ReadOptions", "find_columns", "say_nothing"]

NO_COLUMN = "-"
"""Given as a column's name: there is none, and none is to be guessed."""

_GUESSES = {
    "text": ("text", "body", "content", "article", "article_text", "full_text", "maintext", "main_text"),
    "id": ("id", "article_id", "doc_id", "document_id", "uuid", "guid"),
    "date": ("date", "published", "published_at", "publication_date", "pubdate", "date_publish", "timestamp"),
    "source": ("source", "publisher", "outlet", "sitename", "domain"),
}
"""Names that are taken for a column, the first that is there, whatever the case of its letters."""


def say_nothing(_message: str) -> None:
    """Take a message and drop it."""


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How inputs are read.

    Attributes
    ----------
    text_column, id_column, date_column, source_column : str or None
        Names of columns; None guesses them by name, ``-`` (not for the text) says that there is none.
    encoding : str
        Of JSONL, CSV and plain text; a byte order mark is dropped from UTF-8.
    delimiter : str or None
        Between the fields of CSV; None is a comma, or a tab in ``.tsv`` files.
    say : callable
        Gets messages for a person, such as which columns were guessed.
    needs_chosen : bool
        Whether a file must have the id, date and source columns that were chosen, as it must that of the text.
    """

    text_column: str | None = None
    id_column: str | None = None
    date_column: str | None = None
    source_column: str | None = None
    encoding: str = "utf-8"
    delimiter: str | None = None
    say: Callable[[str], None] = say_nothing
    needs_chosen: bool = False


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns of one file, by role: ``text``, and ``id``, ``date``, ``source`` where there are any."""

    by_role: Mapping[str, str]

    def pick(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row's values by role; a column that the row lacks is None."""
        return {role: row.get(name) for role, name in self.by_role.items()}


def find_columns(names: Sequence[str], options: ReadOptions, *, file: str) -> Columns | str:
    """Return the columns of a file, or why they cannot be told.

    Parameters
    ----------
    names : sequence of str
        The file's columns.
    options : ReadOptions
        What the caller chose; guesses are reported to ``options.say``.
    file : str
        For messages.

    Returns
    -------
    Columns or str
        The str says what was expected and which columns the file has: there is no column of text, or two columns of
        one name are meant. A chosen id, date or source column that a file lacks is kept, unless ``needs_chosen``, and
        told: its rows then lack the value, and without an id they are rejected.
    """
    chosen = {
        "text": options.text_column,
        "id": options.id_column,
        "date": options.date_column,
        "source": options.source_column,
    }
    lowered = {name.lower(): name for name in reversed(names)}
    by_role: dict[str, str] = {}
    guessed: list[str] = []
    for role, name in chosen.items():
        if name is not None:
            if name != NO_COLUMN:
                by_role[role] = name
            continue
        guess = next((lowered[known] for known in _GUESSES[role] if known in lowered), None)
        if guess is not None:
            by_role[role] = guess
            guessed.append(f"{role} from {guess!r}")
    listed = ", ".join(map(repr, names)) or "none"
    if by_role.get("text") not in names:
        wanted = f"a column {by_role['text']!r}" if "text" in by_role else "a column of text, named with --text-column"
        return f"expected {wanted}; its columns: {listed}{_other_delimiter(names)}"
    for role, name in by_role.items():
        if names.count(name) > 1:
            return f"has {names.count(name)} columns {name!r}; rename all but one of them; its columns: {listed}"
        if name not in names:
            fault = f"expected a column {name!r} (--{role}-column); its columns: {listed}"
            if options.needs_chosen:
                return fault
            options.say(f"{file}: {fault}; its rows have no {role}")
    if guessed:
        missing = "" if "id" in by_role else "; ids are made of file and row"
        options.say(f"{file}: {', '.join(guessed)} (guessed by name{missing}; --text-column and its like choose)")
    return Columns(by_role=by_role)


def _other_delimiter(names: Sequence[str]) -> str:
    """Return advice where a CSV's one column looks like several."""
    signs = [sign for sign in ";\t|" if len(names) == 1 and sign in names[0]]
    return f"; if {signs[0]!r} stands between them, say --delimiter {signs[0]!r}" if signs else ""
