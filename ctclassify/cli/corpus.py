"""``ctclassify tag-corpus``, ``summarize`` and ``drift``."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ctclassify.cli.controls import escape_controls
from ctclassify.cli.corpus_progress import reporting
from ctclassify.corpus.api import tag_corpus
from ctclassify.corpus.drift import compare_runs
from ctclassify.corpus.files import name_of, write_atomically
from ctclassify.corpus.summary import summarize_run, write_csv_files
from ctclassify.corpus.summary_page import summary_page

__all__ = ["run_drift", "run_summarize", "run_tag_corpus"]


def run_tag_corpus(options: Mapping[str, Any]) -> int:
    """Run ``tag-corpus``.

    Returns
    -------
    int
        0 where every item was tagged, 1 where some were rejected.
    """
    chosen = dict(options)
    inputs, is_quiet = chosen.pop("inputs"), chosen.pop("quiet")
    min_probability, threshold_set = chosen.pop("min_probability"), chosen.pop("thresholds")
    if min_probability is not None and threshold_set is not None:
        raise click.UsageError("--min-probability and --thresholds say the same thing twice; give one of them")

    def say(message: str) -> None:
        if not is_quiet:
            click.echo("ctclassify: " + escape_controls(message), err=True)

    with reporting(sys.stderr, is_quiet=is_quiet) as report:
        manifest = tag_corpus(
            inputs,
            with_text=not chosen.pop("no_text"),
            thresholds=threshold_set if min_probability is None else min_probability,
            report=report,
            say=say,
            **chosen,
        )
    counts = manifest["counts"]
    if counts["n_rejected"]:
        listed = ", ".join(f"{n} {reason}" for reason, n in counts["reasons"].items())
        n_files = counts["n_rejected_files"]
        whole = f", {n_files} of them {'a whole file' if n_files == 1 else 'whole files'}" if n_files else ""
        say(f"{counts['n_rejected']} of {counts['n_items']} items were rejected{whole} ({listed}); see rejected.jsonl")
    return 1 if counts["n_rejected"] else 0


def run_summarize(run: Path, out: Path, by: str) -> int:
    """Run ``summarize``."""
    if out.resolve().is_relative_to(run.resolve()):
        raise click.UsageError(f"--out {out} lies in the run's folder, which holds what its run wrote; name another")
    summary = summarize_run(run, by=by)
    out.mkdir(parents=True, exist_ok=True)
    write_csv_files(summary, out)
    page = summary_page(summary, title=f"Labels of {escape_controls(name_of(run.absolute().name))}").encode()

    def write(stream: Any) -> None:
        stream.write(page)

    write_atomically(out / "summary.html", write)
    click.echo(f"{out}: labels_over_time.csv, labels_by_source.csv, labels_together.csv, summary.html")
    return 0


def run_drift(first: Path, second: Path, *, as_json: bool) -> int:
    """Run ``drift``."""
    found = compare_runs(first, second)
    if as_json:
        click.echo(json.dumps(_without_nan(found), ensure_ascii=False, indent=2, allow_nan=False))
        return 0
    for difference in found["settings"]:
        click.echo(escape_controls(f"the runs differ in {difference}: rates may have moved for that reason"))
    click.echo(f"{'share of sentences':<24}{'A':>9}{'B':>9}{'B - A':>9}   95% interval")
    rows = {**found["labels"], "(any label)": found["tagged"], "(needs review)": found["review"]}
    for name, row in {**rows, "expected errors": found["expected_errors"]}.items():
        moved = "  moved" if row["has_moved"] else ""
        change = f"{row['second'] - row['first']:>+9.4f}"
        interval = f"{row['low']:+.4f} to {row['high']:+.4f}"
        click.echo(f"{escape_controls(name):<24}{row['first']:>9.4f}{row['second']:>9.4f}{change}   {interval}{moved}")
    words = found["vocabulary"]
    if words is None:
        click.echo("vocabulary: not compared, a run was written with --no-text")
        return 0
    within = " and ".join(f"{each:.4f}" for each in words["jensen_shannon_within"])
    new = "" if words["new_words"] is None else f"; {words['new_words']:.2%} of B's words do not occur in A"
    click.echo(
        f"vocabulary: Jensen-Shannon divergence {words['jensen_shannon']:.4f} bits (between halves of A and of B: "
        f"{within}){new}"
    )
    for word in words["moved"]:
        rates = f"{word['first_per_million']:>10.1f}{word['second_per_million']:>10.1f} a million"
        interval = f"log-odds {word['log_odds']:+.2f} ({word['low']:+.2f} to {word['high']:+.2f})"
        click.echo(f"  {escape_controls(word['word']):<22}{rates}   {interval}")
    return 0


def _without_nan(value: Any) -> Any:
    """Return JSON types with null in the place of what is not a number, for which JSON has no sign."""
    if isinstance(value, dict):
        return {name: _without_nan(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
