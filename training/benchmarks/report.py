"""The table of this project's figures beside the published ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.benchmarks.metrics import METRICS
from training.benchmarks.tasks import TASKS

__all__ = ["markdown_table"]


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
                n_seeds = len(report["seeds"])
                cells = [_shown(figures[metric], n_seeds) for metric in METRICS]
                rows.append(f"| {name} | {base}, here | {thresholds} | {' | '.join(cells)} | {n_seeds} |")
        if not bases:
            rows.append(f"| {name} | all-MiniLM-L6-v2, here | tuned, 0.5 | {' | '.join(['not run yet'] * 3)} | |")
    return "\n".join(rows)


def _shown(figure: Mapping[str, Any], n_seeds: int) -> str:
    """Return mean and standard deviation over the seeds, a dash where a seed's figure is undefined."""
    if figure["n"] < n_seeds:
        return "-"
    deviation = "" if figure["sd"] is None else f" ± {figure['sd']:.3f}"
    return f"{figure['mean']:.3f}{deviation}"
