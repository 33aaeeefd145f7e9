"""A report as text: a table for the terminal, one in Markdown for a model card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from training.evaluation.bootstrap import MIN_DOCUMENTS

__all__ = ["markdown_table", "print_report", "shown"]


def print_report(report: dict[str, Any]) -> None:
    """Print a table of labels and averages, the baseline's F1 in the last column, then slices and further figures."""
    model, baseline = report["model"], report.get("baseline")
    table = Table(title=f"{model['n_texts']} sentences, {model['n_documents']} articles")
    for heading in ("label", "precision", "recall", "F1", "AP", "support", "TF-IDF F1"):
        table.add_column(heading, justify="left" if heading == "label" else "right")
    for name, row in model["labels"].items():
        other = shown(baseline["labels"][name]["f1"]) if baseline else ""
        cells = [shown(row[key]) for key in ("precision", "recall", "f1", "average_precision")]
        table.add_row(name, *cells, str(row["support"]), other)
    table.add_section()
    for average in ("micro", "macro"):
        row = model[average]
        other = shown(baseline[average]["f1"]) if baseline else ""
        table.add_row(average, shown(row["precision"]), shown(row["recall"]), shown(row["f1"]), "", "", other)
    for key in ("samples_f1", "exact_match"):
        table.add_row(key, "", "", shown(model[key]), "", "", shown(baseline[key]) if baseline else "")
    console = Console()
    console.print(table)
    for field, values in report["slices"].items():
        console.print(_slice_table(field, values))
    for line in _lines(report):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _slice_table(field: str, values: dict[str, dict[str, Any]]) -> Table:
    """Return the table of the slices by a field; names come from the data and are no markup."""
    table = Table(title=Text(f"by {field}"))
    for heading in (field, "sentences", "articles", "true labels", "given wrongly", "micro-F1", "macro-F1"):
        table.add_column(Text(heading), justify="left" if heading == field else "right")
    for name, row in values.items():
        counts = [str(row[key]) for key in ("n_texts", "n_documents", "n_positive", "n_false_positive")]
        table.add_row(Text(name), *counts, shown(row["micro_f1"]), shown(row["macro_f1"]))
    return table


def _lines(report: dict[str, Any]) -> list[str]:
    """Return the lines below the table."""
    lines = [f"{key}: {_interval(ends)}, bootstrap by article" for key, ends in report["model"]["intervals"].items()]
    reliability, least = report["reliability"], report["review"]["least_certain"]
    lines.append(
        f"calibration error: pooled {shown(reliability['pooled']['ece'])}, "
        f"mean of the labels {shown(reliability['mean_ece'])}; Brier score {shown(reliability['pooled']['brier'])}"
    )
    gain = "-" if least["gain_points"] is None else f"{least['gain_points']:+.1f} points"
    lines.append(f"review of the 10% least certain: micro-F1 of the rest {shown(least['micro_f1'])} ({gain})")
    band = report["review"]["band"]
    if band is not None:
        lines.append(
            f"review by the stored band: {shown(band['share'])} reviewed, "
            f"micro-precision of the rest {shown(band['micro_precision'])}, micro-F1 {shown(band['micro_f1'])}"
        )
    for part, what in (("seeds", "models"), ("cross_validation", "folds")):
        if part in report:
            lines += [_spread_line(report[part], average, what) for average in ("micro", "macro")]
    n_seen = report.get("cross_validation", {}).get("n_seen_elsewhere")
    if n_seen:
        lines.append(
            f"{n_seen} sentences stand word for word in another fold too, so its model had learned them: the figures "
            "flatter; give sentences of one article the same document"
        )
    if "comparison" in report:
        lines += [_comparison_line(report["comparison"], average) for average in ("micro", "macro")]
    return lines


def _spread_line(spreads: dict[str, Any], average: str, what: str) -> str:
    """Return the line of an average's spread."""
    row = spreads[f"{average}_f1"]
    return (
        f"{average}-F1 of {row['n']} {what}: mean {shown(row['mean'])}, sd {shown(row['sd'])}, "
        f"{shown(row['min'])} to {shown(row['max'])}"
    )


def _comparison_line(comparison: dict[str, Any], average: str) -> str:
    """Return the line of an average's difference from another model."""
    row = comparison[f"{average}_f1"]
    return (
        f"{average}-F1 less that of {comparison['model_folder']['name']} ({shown(row['other'])}): "
        f"{shown(row['difference'])}, {_interval(row['interval'])}, p = {shown(row['p_value'])} "
        f"(paired bootstrap and randomisation test by article; {comparison['n_documents']} articles)"
    )


def _interval(ends: Sequence[float | None]) -> str:
    """Return an interval in words; its ends are None together."""
    low, high = ends
    if low is None or high is None:
        return f"no 95% interval (undefined, or fewer than {MIN_DOCUMENTS} articles)"
    return f"95% interval {shown(low)} to {shown(high)}"


def markdown_table(report: dict[str, Any]) -> str:
    """Return the table of :func:`print_report` in Markdown, averages last."""
    model, baseline = report["model"], report.get("baseline")
    rows = ["| label | precision | recall | F1 | AP | support | TF-IDF F1 |", "|---|---|---|---|---|---|---|"]
    for name, row in model["labels"].items():
        cells = [shown(row[key]) for key in ("precision", "recall", "f1", "average_precision")]
        other = shown(baseline["labels"][name]["f1"]) if baseline else ""
        rows.append(f"| `{name}` | {' | '.join(cells)} | {row['support']} | {other} |")
    for average in ("micro", "macro"):
        cells = [shown(model[average][key]) for key in ("precision", "recall", "f1")]
        other = shown(baseline[average]["f1"]) if baseline else ""
        rows.append(f"| **{average}** | {' | '.join(cells)} | | | {other} |")
    return "\n".join(rows)


def shown(value: float | None) -> str:
    """Return a figure with three decimals, a dash where it is undefined."""
    return "-" if value is None else f"{value:.3f}"
