"""Means over seeds, and the table of this project's figures beside the published ones."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from training.benchmarks.metrics import METRICS
from training.benchmarks.tasks import TASKS
from training.evaluation.metrics import rounded

__all__ = ["markdown_table", "summarise"]


def summarise(figures: Sequence[Mapping[str, float | None]]) -> dict[str, dict[str, float | None]]:
    """Return ``mean`` and ``std`` over seeds of each figure.

    Parameters
    ----------
    figures : sequence of mapping of str to float or None
        One a seed, at least one, with the names of ``METRICS``.

    Returns
    -------
    dict
        For each figure, four decimals. ``std`` is the sample standard deviation (n - 1), None for one seed; both are
        None where a seed's figure is undefined.
    """
    summary: dict[str, dict[str, float | None]] = {}
    for name in METRICS:
        values = [each[name] for each in figures]
        defined = [value for value in values if value is not None]
        is_defined = len(defined) == len(values)
        summary[name] = {
            "mean": rounded(statistics.fmean(defined)) if is_defined else None,
            "std": rounded(statistics.stdev(defined)) if is_defined and len(defined) > 1 else None,
        }
    return summary


def markdown_table(results: Mapping[str, Any]) -> str:
    """Return the Markdown table of what results.json holds, beside the published figures; {} for no results yet."""
    rows = [
        "| task | model | thresholds | example-based F1 | micro-F1 | macro-F1 | seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, task in TASKS.items():
        for other in task.published:
            cells = ["-" if (value := getattr(other, metric)) is None else str(value) for metric in METRICS]
            rows.append(f"| {name} | {other.model}, published | 0.5 | {' | '.join(cells)} | 3 |")
        bases = results.get(name, {})
        for base, report in bases.items():
            for thresholds, figures in report["figures"].items():
                cells = [_shown(figures[metric]) for metric in METRICS]
                rows.append(f"| {name} | {base}, here | {thresholds} | {' | '.join(cells)} | {len(report['seeds'])} |")
        if not bases:
            rows.append(f"| {name} | all-MiniLM-L6-v2, here | tuned, 0.5 | {' | '.join(['not run yet'] * 3)} | |")
    return "\n".join(rows)


def _shown(figure: Mapping[str, float | None]) -> str:
    """Return mean and standard deviation, a dash where undefined."""
    mean, std = figure["mean"], figure["std"]
    if mean is None:
        return "-"
    return f"{mean:.3f}" if std is None else f"{mean:.3f} ± {std:.3f}"
