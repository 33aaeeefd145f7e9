r"""Score a model folder on labelled sentences, beside a TF-IDF baseline, and write metrics.json.

python training/evaluate.py --model models/ctclassify-minilm --data training/data/prepared/test.jsonl \
        --baseline-config training/configs/minilm.toml --name test --output metrics.json --html test.html

metrics.json, in the model's folder unless --output is given, holds one report a name; other names in it are kept, and
a report of other data is not replaced.
The points of the precision-recall curves go into the page of ``--html`` alone.
``--markdown`` prints the table for a model card. Several folders after ``--model`` are the seeds of one training;
``--compare`` tests the difference from another model; ``--cv CONFIG`` scores a config by cross-validation instead.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import ctclassify
from ctclassify.engines.selection import ENGINE_NAMES
from ctclassify.errors import CTClassifyError, DataError
from ctclassify.model_folder import sha256_file
from training.config import load_config
from training.data import refuse_twice
from training.evaluation.analysis import analyse, headline, read_sliceable
from training.evaluation.model_scores import (
    compare_models,
    describe_engine,
    describe_model,
    score_baseline,
    score_model,
)
from training.evaluation.outputs import check_writable
from training.evaluation.report_text import markdown_table, print_report
from training.evaluation.spread import spread_of_reports
from training.files import read_json_object, write_text

_CV_NAME = "cross-validation"


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    _check_options(parser, args)
    try:
        output = args.output or _usual_output(args)
        _check_files(args, output)
        # The folder of a cross-validation is made when its data is known to be good.
        for path in filter(None, (args.output if args.cv else output, args.html)):
            check_writable(path)
        reports = read_json_object(output) if output and output.exists() else {}
        name = args.name or (_CV_NAME if args.cv else args.data[0].stem)
        if output and name in reports:
            _check_same_data(reports[name], args, output, name)
        report = _report(args)
    except (CTClassifyError, OSError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    if args.markdown:
        print(markdown_table(report))
    else:
        print_report(report)
    reports[name] = report
    return _write(output, reports, args.html, name)


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model",
        type=Path,
        nargs="+",
        help="a model folder; the shipped model unless given. Several are scored one by one as seeds of a training; "
        "tables and analysis are then those of the first",
    )
    parser.add_argument("--engine", choices=ENGINE_NAMES, default="auto")
    parser.add_argument("--data", type=Path, nargs="+", help="labelled JSON lines")
    parser.add_argument(
        "--baseline-config", type=Path, help="score TF-IDF + logistic regression too, fitted on this config's data"
    )
    parser.add_argument("--compare", type=Path, help="another model folder: test the difference on the same data")
    parser.add_argument(
        "--slice-by", nargs="+", metavar="FIELD", help="fields of the data to slice by; source and genre unless given"
    )
    parser.add_argument("--cv", type=Path, metavar="CONFIG", help="cross-validate this config on its training files")
    parser.add_argument("--folds", type=int, default=5, help="folds of --cv; 5 unless given")
    parser.add_argument(
        "--name",
        help="name of the report in metrics.json; that of the first data file unless given. A report of this name is "
        "replaced if it is of the same data, and else nothing is scored",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="metrics.json, made or added to; in the folder of --model or --cv unless given, none for the shipped "
        "model and for several models",
    )
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    parser.add_argument("--html", type=Path, help="write a page with every table and plot; it holds no sentence")
    return parser


def _check_options(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    if args.cv is None:
        if args.data is None:
            parser.error("--data is needed, unless --cv is given")
        return
    for option in ("model", "data", "baseline_config", "compare"):
        if getattr(args, option) is not None:
            parser.error(f"--cv trains and scores models of its own: leave out --{option.replace('_', '-')}")
    if args.folds < 2:
        parser.error(f"--folds: expected at least 2, got {args.folds}")


def _check_files(args: argparse.Namespace, output: Path | None) -> None:
    """Refuse a data file given twice, and one file for both outputs."""
    refuse_twice(args.data or ())
    if output is not None and args.html is not None and output.resolve() == args.html.resolve():
        message = "metrics.json and the page of --html would be the same file; give --html or --output another name"
        raise DataError(message, path=args.html)


def _warn_of_learned_data(models: Sequence[Path], data: Sequence[Path]) -> None:
    """Warn of data files that a model's run learned from, as the run.json beside its folder says."""
    for model in models:
        learned = _learned_from(model.resolve().parent / "run.json")
        for path in data:
            if learned and path.is_file() and sha256_file(path) in learned:
                message = f"{model} learned from this very file, says run.json: the figures flatter"
                print(f"evaluate: warning: {path}: {message}; score it on data of its own", file=sys.stderr)


def _learned_from(record: Path) -> set[str]:
    """Return the checksums of a run's training files; none where there is no such record."""
    try:
        files = read_json_object(record)["config"]["data"]["train"]
        return {each["sha256"] for each in files}
    except (DataError, KeyError, TypeError):  # no run's record, or one that is spoilt: scoring does not need it
        return set()


def _usual_output(args: argparse.Namespace) -> Path | None:
    """Return metrics.json in the folder of the cross-validation, or of the one model that is scored."""
    if args.cv is not None:
        from training.cross_validation import cross_validation_folder

        return cross_validation_folder(load_config(args.cv)) / "metrics.json"
    if args.model is None or len(args.model) > 1 or not args.model[0].is_dir():
        return None
    return Path(args.model[0]) / "metrics.json"


def _check_same_data(stored: Mapping[str, Any], args: argparse.Namespace, output: Path, name: str) -> None:
    """Refuse to replace a stored report of other data: two corpora have splits of the same file name."""
    paths = dict.fromkeys(load_config(args.cv).data.train) if args.cv else args.data
    if not all(path.is_file() for path in paths):
        return  # reading says which is missing, and nothing is scored
    if sorted(each["sha256"] for each in stored.get("data", ())) == sorted(map(sha256_file, paths)):
        return
    was = ", ".join(f"{each['file']} (SHA-256 {each['sha256'][:12]}...)" for each in stored.get("data", ()))
    message = (
        f"its report {name!r} is of {was or 'unknown data'}, not of {', '.join(map(str, paths))}, and would be "
        "replaced; give this one another --name, or another file as --output"
    )
    raise DataError(message, path=output)


def _report(args: argparse.Namespace) -> dict[str, Any]:
    """Make the report that the options ask for."""
    if args.cv is not None:
        # It trains: torch and transformers load slowly.
        from transformers.utils.logging import disable_progress_bar

        from training.cross_validation import cross_validate

        disable_progress_bar()  # bars of a second's work would bury the log
        return cross_validate(load_config(args.cv), n_folds=args.folds, engine=args.engine, slice_by=args.slice_by)
    _warn_of_learned_data([*(args.model or ()), *([args.compare] if args.compare else ())], args.data)
    first, *more = args.model or [None]
    return evaluate(
        first,
        args.data,
        engine=args.engine,
        baseline_config=args.baseline_config,
        more_models=more,
        compare=args.compare,
        slice_by=args.slice_by,
    )


def _write(output: Path | None, reports: dict[str, Any], html: Path | None, name: str) -> int:
    """Write metrics.json and the page; return the exit code."""
    pages = {}
    if output:
        kept = {key: value for key, value in reports[name].items() if key != "precision_recall"}
        pages[output] = _dumped({**reports, name: kept})
    if html:
        # matplotlib loads slowly, and only the page needs it.
        from training.evaluation.html_report import html_page

        pages[html] = html_page(reports[name], name=name)
    for path, text in pages.items():
        try:
            write_text(path, text)
        except OSError as error:
            print(f"evaluate: {path}: cannot be written: {error}", file=sys.stderr)
            return 2
    return 0


def _dumped(reports: dict[str, Any]) -> str:
    """Return the reports as JSON, a list of numbers on one line: a curve would fill hundreds."""
    text = json.dumps(reports, indent=1, allow_nan=False)
    # A newline never stands inside a JSON string, so only lists match.
    return re.sub(r"\[\n\s*([^\[\]{}\"]*?)\n\s*\]", lambda match: f"[{' '.join(match[1].split())}]", text) + "\n"


def evaluate(
    model: Path | None,
    data: Sequence[Path],
    *,
    engine: str = "auto",
    baseline_config: Path | None = None,
    more_models: Sequence[Path] = (),
    compare: Path | None = None,
    slice_by: Sequence[str] | None = None,
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
    more_models : sequence of pathlib.Path
        Further seeds of the same training, each scored with its own thresholds.
    compare : pathlib.Path or None
        Another model folder of the same labels, to test the difference from.
    slice_by : sequence of str or None
        Fields of the data; None takes ``source`` and ``genre`` where a row has them.

    Returns
    -------
    dict
        ``data`` (names and checksums), ``engine``, ``model_folder`` (name, checksums), ``model`` and, with a config,
        ``baseline``, both as :func:`training.evaluation.metrics.evaluate_predictions` gives them;
        what :func:`training.evaluation.analysis.analyse` gives; ``comparison`` with another model; ``seeds`` with
        several: under ``models`` the folder and metrics of each, and the spread of their F1.

    Raises
    ------
    CTClassifyError
        Its children, as from loading a model and reading data; DataError if there is no sentence; LabelError if the
        models' labels differ.
    """
    classifier = ctclassify.load(model, engine=engine)
    names = classifier.label_names
    sentences = read_sliceable(data, names, slice_by)
    if not len(sentences):
        raise DataError("no sentence in the data to score", path=data[0])
    predictions = score_model(classifier, sentences)
    report: dict[str, Any] = {
        "data": [{"file": path.name, "sha256": sha256_file(path)} for path in data],
        "engine": describe_engine(classifier),
        "model_folder": describe_model(classifier),
        "model": headline(predictions),
    }
    if baseline_config is not None:
        report["baseline"] = headline(score_baseline(load_config(baseline_config), sentences, names))
    if more_models:
        scored = [{**report["model_folder"], **report["model"]}]
        for path in more_models:
            other = ctclassify.load(path, engine=engine)
            metrics = headline(score_model(other, sentences, label_names=names))
            scored.append({**describe_model(other), **metrics})
        report["seeds"] = {"models": scored, **spread_of_reports(scored)}
    if compare is not None:
        report["comparison"] = compare_models(predictions, ctclassify.load(compare, engine=engine))
    return {**report, **analyse(predictions)}


if __name__ == "__main__":
    sys.exit(main())
