"""Tables of the behavioural tests: for the terminal, in Markdown for a model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = ["markdown_table", "print_table"]

_COUNTS = {"n_cases": "cases", "n_bases": "bases", "n_can_fail": "can fail"}
"""Headings of the counts in a row."""


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a row a capability, a section a kind."""
    table = Table(title=f"{sum(row['n_cases'] for row in rows)} behavioural tests")
    for heading in _headings(rows):
        table.add_column(heading, justify="left" if heading in ("kind", "capability") else "right")
    for i, row in enumerate(rows):
        if i and rows[i - 1]["kind"] != row["kind"]:
            table.add_section()
        table.add_row(*map(escape, _cells(row, _counts(rows))))
    Console().print(table)


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of :func:`print_table` in Markdown."""
    headings = _headings(rows)
    head = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    return "\n".join([*head, *(f"| {' | '.join(_cells(row, _counts(rows)))} |" for row in rows)])


def _counts(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the counts that all rows have: reports that were stored before bases were counted have cases alone."""
    return [key for key in _COUNTS if all(key in row for row in rows)]


def _headings(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the headings of the table."""
    counts = [_COUNTS[key] for key in _counts(rows)]
    return ["kind", "capability", *counts, "passed", "decisions changed", "target"]


def _cells(row: Mapping[str, Any], counts: Sequence[str]) -> list[str]:
    """Return a row's figures as shown."""
    shares = ["" if row[key] is None else f"{row[key]:.2%}" for key in ("changed_share", "target")]
    return [row["kind"], row["capability"], *(str(row[key]) for key in counts), f"{row['pass_rate']:.1%}", *shares]
