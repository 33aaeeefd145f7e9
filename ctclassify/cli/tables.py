"""``ctclassify labels`` and ``ctclassify info``."""

from __future__ import annotations

import dataclasses
import json
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ctclassify._version import __version__
from ctclassify.classifier import load
from ctclassify.cli.view import label_style, make_console, printable
from ctclassify.labels import LabelDefinition, label_definition, label_definitions

__all__ = ["show_info", "show_labels"]

_SCHEMES = {"plover": "PLOVER", "cameo_root": "CAMEO root", "acled": "ACLED", "gtd_attack_type": "GTD attack type"}
_PACKAGES = ("numpy", "openvino", "safetensors", "tokenizers", "torch", "transformers")


def show_labels(label_id: str | None, *, as_json: bool) -> None:
    """Print all labels, or one in full.

    Raises
    ------
    LabelError
        If the codebook has no such label.
    """
    chosen = label_definitions() if label_id is None else (label_definition(label_id),)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(each) for each in chosen], ensure_ascii=False, indent=2))
        return
    console = make_console(sys.stdout)
    if label_id is not None:
        _print_definition(console, chosen[0])
        return
    table = Table(show_lines=True, header_style="bold")
    table.add_column("label", no_wrap=True)
    table.add_column("rule of thumb")
    for each in chosen:
        table.add_row(Text(f" {each.id} ", style=label_style(each.id)), Text(each.rule_of_thumb))
    console.print(table)
    console.print(Text("ctclassify labels LABEL shows a definition in full.", style="dim"))


def _print_definition(console: Console, label: LabelDefinition) -> None:
    """Print one label in full."""
    console.print(Text.assemble((f" {label.id} ", label_style(label.id)), f"  {label.name}\n"))
    others = ", ".join(label.counter_example.labels) or "no label"
    for heading, body in (
        ("Definition", label.definition),
        ("Rule of thumb", label.rule_of_thumb),
        ("Example", label.example),
        ("Near miss", f"{label.counter_example.text} ({others})"),
    ):
        console.print(Text.assemble((f"{heading}: ", "bold"), body))
    for scheme, entries in label.crosswalk.items():
        listed = "; ".join(f"{e.code or ''} {e.name} ({e.match})".strip() for e in entries) or "none"
        console.print(Text.assemble((f"{_SCHEMES[scheme]}: ", "bold"), listed))


def show_info(model: Path | None, engine: str, *, as_json: bool) -> None:
    """Print what would run: model, engine, precision, versions, checksums."""
    record: dict[str, Any] = {"ctclassify": __version__, **load(model, engine=engine).info()}
    record["versions"] = {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}}
    if as_json:
        click.echo(json.dumps(record, ensure_ascii=False, indent=2))
        return
    console = make_console(sys.stdout)
    record["threshold_sets"] = ", ".join(record["threshold_sets"]) or "none"
    record["review"] = record["review"] or "none"
    for key, value in record.items():
        pairs = value.items() if isinstance(value, dict) else [("", value)]
        for n, (name, item) in enumerate(pairs):
            line = Text.assemble(
                (f"{key if n == 0 else '':<16}", "bold"), f"{name:<22}" if name else "", printable(str(item))
            )
            console.print(line, soft_wrap=True)


def _version(package: str) -> str:
    """Return an installed package's version, or ``not installed``."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
