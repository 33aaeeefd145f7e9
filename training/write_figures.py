r"""Write the figures of a model's metrics.json into its card and the README, so that no figure is copied by hand.

    python training/write_figures.py

What stands between ``<!-- figures NAME -->`` and ``<!-- /figures -->`` in a page is replaced: ``test`` (the table of
the test split, and its intervals), ``other`` (the other data), ``calibration`` (calibration error and review) and
``behaviour`` (pass rates).
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ctclassify.errors import CTClassifyError, DataError
from training import check_behaviour
from training.evaluation.report_text import markdown_table, shown
from training.files import read_json_object, write_text

__all__ = ["filled"]

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "models" / "ctclassify-minilm"

_MARKED = re.compile(r"(<!-- figures (?P<name>\w+) -->\n).*?(<!-- /figures -->)", re.DOTALL)
_NAMES = {"validation": "the corpus's validation split", "project_test": "the project's own test articles"}


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metrics", type=Path, default=MODEL / "metrics.json")
    parser.add_argument("--pages", type=Path, nargs="+", default=[MODEL / "README.md", ROOT / "README.md"])
    args = parser.parse_args(argv)
    try:
        metrics = read_json_object(args.metrics)
        for page in args.pages:
            write_text(page, filled(page.read_text(encoding="utf-8"), metrics, page))
    except (CTClassifyError, OSError) as error:
        print(f"write_figures: {error}", file=sys.stderr)
        return 2
    return 0


def filled(text: str, metrics: Mapping[str, Any], page: Path) -> str:
    """Return a page with the figures between its marks replaced.

    Parameters
    ----------
    text : str
        The page.
    metrics : mapping
        Reports by name, as evaluate.py and check_behaviour.py write them.
    page : pathlib.Path
        For messages.

    Raises
    ------
    DataError
        If there is no mark, a mark names no such part, or the metrics lack its report.
    """

    def part(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in _PARTS:
            raise DataError(f"<!-- figures {name} -->: expected one of {', '.join(_PARTS)}", path=page)
        try:
            return f"{match[1]}{_PARTS[name](metrics)}\n{match[3]}"
        except KeyError as error:
            raise DataError(f"<!-- figures {name} -->: metrics.json has no {error}", path=page) from error

    if not _MARKED.search(text):
        raise DataError("has no <!-- figures NAME --> mark", path=page)
    return _MARKED.sub(part, text)


def _test(metrics: Mapping[str, Any]) -> str:
    """Return the table of the test split, and what it cannot show."""
    report = metrics["test"]
    model = report["model"]
    micro, macro = model["intervals"]["micro_f1"], model["intervals"]["macro_f1"]
    sentences = f"{model['n_texts']:,} sentences of {model['n_documents']:,} documents"
    return (
        f"{markdown_table(report)}\n\n{sentences}. 95% intervals (bootstrap by document): micro-F1 "
        f"{shown(micro[0])} to {shown(micro[1])}, macro-F1 {shown(macro[0])} to {shown(macro[1])}. Exact label set on "
        f"{model['exact_match']:.1%} of the sentences, samples F1 {shown(model['samples_f1'])}."
    )


def _other(metrics: Mapping[str, Any]) -> str:
    """Return micro- and macro-F1 on the other data."""
    lines = ["| data | sentences | micro-F1 | macro-F1 |", "|---|---|---|---|"]
    for name, what in _NAMES.items():
        model = metrics[name]["model"]
        figures = f"{shown(model['micro']['f1'])} | {shown(model['macro']['f1'])}"
        lines.append(f"| {what} | {model['n_texts']:,} | {figures} |")
    return "\n".join(lines)


def _calibration(metrics: Mapping[str, Any]) -> str:
    """Return calibration error, and what review brings."""
    report = metrics["test"]
    calibration, review = report["reliability"], report["review"]
    least, band = review["least_certain"], review["band"]
    pooled = calibration["pooled"]
    text = (
        f"On the test split the expected calibration error is {shown(pooled['ece'])} over all decisions "
        f"({shown(calibration['mean_ece'])} on average over labels), the Brier score {shown(pooled['brier'])}. "
        f"With the 10% least certain sentences set aside, micro-F1 of the rest is {shown(least['micro_f1'])}, "
        f"{least['gain_points']:.1f} points higher."
    )
    if band is not None:
        text += (
            f" The stored review band takes {band['share']:.1%} of its sentences; the others reach micro-precision "
            f"{shown(band['micro_precision'])}."
        )
    return text


def _behaviour(metrics: Mapping[str, Any]) -> str:
    """Return the pass rates of the behavioural tests."""
    rows: Sequence[Mapping[str, Any]] = metrics["behaviour"]["capabilities"]
    return check_behaviour.markdown_table(rows)


_PARTS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "test": _test,
    "other": _other,
    "calibration": _calibration,
    "behaviour": _behaviour,
}


if __name__ == "__main__":
    sys.exit(main())
