"""``ctclassify bench``: gate and speed of every engine, as a table or as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from ctclassify.bench import BenchRow, bench
from ctclassify.cli.view import make_console, printable
from ctclassify.engines.cpus import available_cpus
from ctclassify.gate import gate_sentences

__all__ = ["show_bench"]


def show_bench(model: Path | None, *, rounds: int, record: bool, as_json: bool) -> None:
    """Run gate and speed test and print the result."""
    rows = bench(model, rounds=rounds, record=record)
    n_sentences = len(gate_sentences().texts)
    if as_json:
        head = {"n_sentences": n_sentences, "n_threads": available_cpus(), "rounds": rounds}
        click.echo(json.dumps({**head, "engines": [row.to_dict() for row in rows]}, indent=2))
        return
    table = Table(title=f"{n_sentences} sentences, {rounds} rounds, {available_cpus()} threads", header_style="bold")
    for heading in ("engine", "precision", "gate", "changed", "worst F1", "sentences/s"):
        is_number = heading in ("changed", "worst F1", "sentences/s")
        table.add_column(heading, justify="right" if is_number else "left", no_wrap=heading != "worst F1")
    for row in rows:
        table.add_row(*_cells(row))
    console = make_console(sys.stdout)
    console.print(table)
    console.print(Text("* what engine='auto' takes here", style="dim"))
    for row in rows:
        if row.reason:
            console.print(Text(printable(f"{row.engine}: {row.reason}"), style="dim"), soft_wrap=True)


def _cells(row: BenchRow) -> list[str]:
    """Return what the table says of an engine."""
    name = row.engine + (" *" if row.is_default else "")
    if row.gate is None:
        return [name, "", "none here", "", "", ""]
    verdict = "reference" if row.is_reference else "passed" if row.gate.passed else "FAILED"
    worst = row.gate.worst_label
    moved = "" if worst is None or row.is_reference else f"{100 * row.gate.f1_changes[worst]:+.1f} {worst}"
    changed = f"{row.gate.n_changed} of {row.gate.n_decisions}"
    return [name, row.precision, verdict, changed, moved, f"{row.sentences_per_s:.0f}"]
