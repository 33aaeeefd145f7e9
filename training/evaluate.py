r"""Score a model folder on labelled sentences, beside a TF-IDF baseline, and write metrics.json.

python training/evaluate.py --model models/ctclassify-minilm --data training/data/prepared/test.jsonl \
        --baseline-config training/configs/minilm.toml --name test --output metrics.json

metrics.json, in the model's folder unless --output is given, holds one report a name; other names in it are kept.
``--markdown`` prints the table for a model card.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

import ctclassify
from ctclassify.engines.selection import ENGINE_NAMES
from ctclassify.errors import CTClassifyError, DataError
from ctclassify.model_folder import sha256_file
from training.config import load_config
from training.data import LabelledSentences, indicator_matrix, read_labelled
from training.files import read_json_object, write_text
from training.metrics import evaluate_predictions
from training.thresholds import tune_thresholds


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description="Score a model on labelled sentences.")
    parser.add_argument("--model", type=Path, help="a model folder; the shipped model unless given")
    parser.add_argument("--engine", choices=ENGINE_NAMES, default="auto")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="labelled JSON lines")
    parser.add_argument(
        "--baseline-config", type=Path, help="score TF-IDF + logistic regression too, fitted on this config's data"
    )
    parser.add_argument("--name", help="name of the report in metrics.json; that of the first data file unless given")
    parser.add_argument(
        "--output",
        type=Path,
        help="metrics.json, made or added to; in the folder of --model unless given, none for the shipped model",
    )
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    args = parser.parse_args(argv)
    output = args.output or (args.model / "metrics.json" if args.model and args.model.is_dir() else None)
    try:
        reports = _existing_reports(output) if output else {}
        report = evaluate(args.model, args.data, engine=args.engine, baseline_config=args.baseline_config)
    except CTClassifyError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    if args.markdown:
        print(markdown_table(report))
    else:
        print_report(report)
    if output:
        reports[args.name or args.data[0].stem] = report
        try:
            write_text(output, json.dumps(reports, indent=1) + "\n")
        except OSError as error:
            print(f"evaluate: {output}: cannot be written: {error}", file=sys.stderr)
            return 2
    return 0


def _existing_reports(output: Path) -> dict[str, Any]:
    """Return the reports that metrics.json holds already; refuse, before anything is scored, what cannot be written."""
    folder = output.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise DataError(f"cannot be written; expected {folder} as a folder that you may write into", path=output)
    return read_json_object(output) if output.exists() else {}


def evaluate(
    model: Path | None, data: Sequence[Path], *, engine: str = "auto", baseline_config: Path | None = None
) -> dict[str, Any]:
    """Score a model, and the baseline where a config is given.

    Parameters
    ----------
    model : pathlib.Path or None
        A model folder; None is the shipped model.
    data : sequence of pathlib.Path
        Labelled JSON lines.
    engine : str
        As for ``ctclassify.load``.
    baseline_config : pathlib.Path or None
        Config whose training rows the baseline is fitted on and whose validation rows its thresholds are tuned on.

    Returns
    -------
    dict
        ``data`` (names and checksums), ``engine``, ``model`` and, with a config, ``baseline``, both as
        :func:`training.metrics.evaluate_predictions` gives them.
    """
    classifier = ctclassify.load(model, engine=engine)
    names = classifier.label_names
    sentences = read_labelled(data, names)
    thresholds = list(classifier.thresholds.values())
    report: dict[str, Any] = {
        "data": [{"file": path.name, "sha256": sha256_file(path)} for path in data],
        "engine": {key: classifier.info()[key] for key in ("engine", "engine_version", "precision")},
        "model": _metrics(sentences, classifier.predict_proba(sentences.texts), thresholds, names),
    }
    if baseline_config is not None:
        report["baseline"] = _baseline(baseline_config, sentences, names)
    return report


def _baseline(path: Path, sentences: LabelledSentences, names: Sequence[str]) -> dict[str, Any]:
    """Return the baseline's metrics."""
    from training.baseline import baseline_scores  # scikit-learn's solvers load slowly

    config = load_config(path)
    train = read_labelled(config.data.train, names)
    if not len(train):
        raise DataError("no sentence in the files that the baseline learns from", path=config.data.train[0])
    validation = read_labelled(config.data.validation, names)
    on_validation, on_data = baseline_scores(train, [validation.texts, sentences.texts], names, seed=config.seed)
    thresholds = tune_thresholds(indicator_matrix(validation.labels, names), on_validation)
    return _metrics(sentences, on_data, list(thresholds), names)


def _metrics(
    sentences: LabelledSentences, scores: Any, thresholds: Sequence[float], names: Sequence[str]
) -> dict[str, Any]:
    """Return the metrics of some probabilities."""
    y_true = indicator_matrix(sentences.labels, names)
    return evaluate_predictions(y_true, scores, thresholds, label_names=names, documents=sentences.documents)


def print_report(report: dict[str, Any]) -> None:
    """Print one table: a row a label, then the averages, the baseline's F1 in the last column."""
    model, baseline = report["model"], report.get("baseline")
    table = Table(title=f"{model['n_texts']} sentences, {model['n_documents']} articles")
    for heading in ("label", "precision", "recall", "F1", "AP", "support", "TF-IDF F1"):
        table.add_column(heading, justify="left" if heading == "label" else "right")
    for name, row in model["labels"].items():
        other = _shown(baseline["labels"][name]["f1"]) if baseline else ""
        cells = [_shown(row[key]) for key in ("precision", "recall", "f1", "average_precision")]
        table.add_row(name, *cells, str(row["support"]), other)
    table.add_section()
    for average in ("micro", "macro"):
        row = model[average]
        other = _shown(baseline[average]["f1"]) if baseline else ""
        table.add_row(average, _shown(row["precision"]), _shown(row["recall"]), _shown(row["f1"]), "", "", other)
    for key in ("samples_f1", "exact_match"):
        table.add_row(key, "", "", _shown(model[key]), "", "", _shown(baseline[key]) if baseline else "")
    console = Console()
    console.print(table)
    for key, (low, high) in model["intervals"].items():
        console.print(f"{key}: 95% interval {_shown(low)} to {_shown(high)} (bootstrap by article)")


def markdown_table(report: dict[str, Any]) -> str:
    """Return the table of :func:`print_report` in Markdown, averages last."""
    model, baseline = report["model"], report.get("baseline")
    rows = ["| label | precision | recall | F1 | AP | support | TF-IDF F1 |", "|---|---|---|---|---|---|---|"]
    for name, row in model["labels"].items():
        cells = [_shown(row[key]) for key in ("precision", "recall", "f1", "average_precision")]
        other = _shown(baseline["labels"][name]["f1"]) if baseline else ""
        rows.append(f"| `{name}` | {' | '.join(cells)} | {row['support']} | {other} |")
    for average in ("micro", "macro"):
        cells = [_shown(model[average][key]) for key in ("precision", "recall", "f1")]
        other = _shown(baseline[average]["f1"]) if baseline else ""
        rows.append(f"| **{average}** | {' | '.join(cells)} | | | {other} |")
    return "\n".join(rows)


def _shown(value: float | None) -> str:
    """Return a figure with three decimals, a dash where it is undefined."""
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())
