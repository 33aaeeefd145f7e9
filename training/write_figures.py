r"""Write the figures of a model's metrics.json into its card and the README, so that no figure is copied by hand.

    python training/write_figures.py

What stands between ``<!-- figures NAME -->`` and ``<!-- /figures -->`` in a page is replaced: ``test`` (the table of
the test split, and its intervals), ``other`` (the other data), ``calibration`` (calibration error and review) and
``behaviour`` (pass rates). All reports that the pages need must be of one model, by the checksums of its files; no
page is written where one cannot be.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ctclassify.errors import CTClassifyError, DataError
from training import behaviour_tables
from training.evaluation.bootstrap import MIN_DOCUMENTS
from training.evaluation.report_text import markdown_table, shown
from training.files import read_json_object, write_text

__all__ = ["filled"]

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "models" / "ctclassify-minilm"

_MARKED = re.compile(r"(<!-- figures (?P<name>\w+) -->\n).*?(<!-- /figures -->)", re.DOTALL)
_NAMES = {
    "validation": "the corpus's validation split, on which thresholds were chosen",
    "project_test": "the project's own test articles",
    "project_test_further": "its later test articles: current events, magazines",
}


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metrics", type=Path, default=MODEL / "metrics.json")
    parser.add_argument("--pages", type=Path, nargs="+", default=[MODEL / "README.md", ROOT / "README.md"])
    args = parser.parse_args(argv)
    try:
        metrics = read_json_object(args.metrics)
        texts = {page: page.read_text(encoding="utf-8") for page in args.pages}
        _check_one_model(metrics, _reports_used(texts.values()), args.metrics)
        pages = {page: filled(text, metrics, page) for page, text in texts.items()}
        for page, text in pages.items():
            write_text(page, text)
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
            return f"{match[1]}{_PARTS[name].write(metrics)}\n{match[3]}"
        except KeyError as error:
            raise DataError(f"<!-- figures {name} -->: metrics.json has no {error}", path=page) from error

    if not _MARKED.search(text):
        raise DataError("has no <!-- figures NAME --> mark", path=page)
    return _MARKED.sub(part, text)


def _reports_used(texts: Iterable[str]) -> list[str]:
    """Return the reports that the marks of some pages need, each once; marks that name no part need none."""
    names = [match["name"] for text in texts for match in _MARKED.finditer(text)]
    return list(dict.fromkeys(report for name in names if name in _PARTS for report in _PARTS[name].reports))


def _check_one_model(metrics: Mapping[str, Any], names: Iterable[str], path: Path) -> None:
    """Refuse reports of several models, or of one whose thresholds changed in between; absent ones are told later."""
    sums = {name: metrics[name].get("model_folder", {}).get("sha256") for name in names if name in metrics}
    for name, its in sums.items():
        if not its:
            raise DataError(f"the report {name!r} does not say which model it is of; measure it anew", path=path)
    first = next(iter(sums), "")
    for name, its in sums.items():
        files = sorted(file for file in {*its, *sums[first]} if its.get(file) != sums[first].get(file))
        if files:
            message = f"the reports {first!r} and {name!r} are of models that differ in {', '.join(files)}"
            raise DataError(f"{message}; measure all of them on one model", path=path)


def _test(metrics: Mapping[str, Any]) -> str:
    """Return the table of the test split, and what it cannot show."""
    report = metrics["test"]
    model = report["model"]
    exact = "-" if model["exact_match"] is None else f"{model['exact_match']:.1%}"
    return (
        f"{markdown_table(report)}\n\n{model['n_texts']:,} sentences of {model['n_documents']:,} documents. "
        f"{_intervals(model)} Exact label set on {exact} of the sentences, samples F1 {shown(model['samples_f1'])}."
    )


def _intervals(model: Mapping[str, Any]) -> str:
    """Return the sentence on the intervals of the averages."""
    intervals = {average: model["intervals"][f"{average}_f1"] for average in ("micro", "macro")}
    if any(None in ends for ends in intervals.values()):
        return f"No 95% intervals: they take {MIN_DOCUMENTS} documents with labels at least."
    spans = [f"{average}-F1 {shown(low)} to {shown(high)}" for average, (low, high) in intervals.items()]
    return f"95% intervals (bootstrap by document): {', '.join(spans)}."


def _other(metrics: Mapping[str, Any]) -> str:
    """Return micro- and macro-F1 on the other data."""
    lines = ["| data | sentences | micro-F1 | macro-F1 |", "|---|---|---|---|"]
    for name, what in _NAMES.items():
        model = metrics[name]["model"]
        figures = f"{shown(model['micro']['f1'])} | {shown(model['macro']['f1'])}"
        lines.append(f"| {what} | {model['n_texts']:,} | {figures} |")
    return "\n".join(lines)


def _calibration(metrics: Mapping[str, Any]) -> str:
    """Return calibration error, and what review brings, on the test split and on text of another kind."""
    report, elsewhere = metrics["test"], metrics["project_test"]["review"]
    calibration, review = report["reliability"], report["review"]
    pooled, least = calibration["pooled"], review["least_certain"]
    text = (
        f"On the test split the expected calibration error is {shown(pooled['ece'])} over all decisions "
        f"({shown(calibration['mean_ece'])} on average over labels), the Brier score {shown(pooled['brier'])}. "
        f"With the 10% least certain sentences set aside, micro-F1 of the rest is {shown(least['micro_f1'])}"
        f"{_gain(least['gain_points'])}.{_band(review['band'], 'its sentences')}"
    )
    least = elsewhere["least_certain"]
    return (
        f"{text} On {_NAMES['project_test']} the 10% set aside leave a micro-F1 of {shown(least['micro_f1'])}"
        f"{_gain(least['gain_points'])}.{_band(elsewhere['band'], 'their sentences')}"
    )


def _gain(points: float | None) -> str:
    """Return what stands after the micro-F1 of the rest: nothing where the gain is undefined."""
    if points is None:
        return ""
    size = f"{abs(points):.1f}"
    return ", as before" if size == "0.0" else f", {size} points {'lower' if points < 0 else 'higher'}"


def _band(band: Mapping[str, Any] | None, whose: str) -> str:
    """Return the sentence on the stored review band, nothing where the model has none."""
    if band is None:
        return ""
    share = "-" if band["share"] is None else f"{band['share']:.1%}"
    precision = shown(band["micro_precision"])
    return f" The stored review band takes {share} of {whose}; the others reach micro-precision {precision}."


def _behaviour(metrics: Mapping[str, Any]) -> str:
    """Return the pass rates of the behavioural tests."""
    rows: Sequence[Mapping[str, Any]] = metrics["behaviour"]["capabilities"]
    return behaviour_tables.markdown_table(rows)


@dataclass(frozen=True)
class _Part:
    """What stands between marks: the reports it needs, and the function that writes it from all of them."""

    reports: tuple[str, ...]
    write: Callable[[Mapping[str, Any]], str]


_PARTS = {
    "test": _Part(("test",), _test),
    "other": _Part(tuple(_NAMES), _other),
    "calibration": _Part(("test", "project_test"), _calibration),
    "behaviour": _Part(("behaviour",), _behaviour),
}


if __name__ == "__main__":
    sys.exit(main())
