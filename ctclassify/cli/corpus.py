"""``ctclassify tag-corpus``, ``summarize`` and ``drift``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from ctclassify.cli.controls import escape_controls
from ctclassify.cli.corpus_progress import reporting
from ctclassify.corpus.api import tag_corpus

__all__ = ["run_tag_corpus"]


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
        say(f"{counts['n_rejected']} of {counts['n_items']} items were rejected ({listed}); see rejected.jsonl")
    return 1 if counts["n_rejected"] else 0
