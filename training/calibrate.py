r"""Choose a model folder's calibration, thresholds and review band anew, on labelled sentences of your own.

    python training/calibrate.py --model training/runs/mine/model --data validation.jsonl

The weights stay, ``ctclassify.json`` is rewritten; ``--output FOLDER`` leaves the model folder as it is and writes a
copy. ``--only-floors`` chooses the sets of thresholds for ``--precision-floors`` alone and leaves the rest of the file
as it is. ``--compare`` shows, by cross-validation on the sentences, what each way of calibrating would do, and writes
nothing. Never give test data: the figures measured on it afterwards would flatter.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import numpy.typing as npt

from ctclassify.classifier import SentenceClassifier
from ctclassify.engines.base import LowPrecisionEngine
from ctclassify.engines.selection import ENGINE_NAMES, make_engine
from ctclassify.errors import CTClassifyError, DataError
from ctclassify.manifest import Manifest
from ctclassify.model_folder import ModelFolder, read_model_folder, write_manifest
from training.config import DecisionConfig
from training.data import LabelledSentences, indicator_matrix, read_labelled, refuse_twice
from training.decision import check_positives, decide
from training.decision_options import add_decision_options, decision_of, given_options
from training.thresholds import tune_for_precision


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a model folder")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="labelled JSON lines; never test data")
    parser.add_argument("--output", type=Path, help="write a copy of the folder here instead of changing it")
    parser.add_argument("--only-floors", action="store_true", help="choose the sets of --precision-floors alone")
    parser.add_argument("--compare", action="store_true", help="compare the ways of calibrating; write nothing")
    parser.add_argument("--engine", choices=ENGINE_NAMES, default="auto")
    add_decision_options(parser, otherwise="{} unless given")
    args = parser.parse_args(argv)
    try:
        how = decision_of(given_options(args), path=args.model)
        if args.output is not None and args.output.exists():
            raise FileExistsError(f"{args.output} exists already; name a folder that does not")
        if args.only_floors:
            _check_only_floors(args, how)
        if args.compare:
            _print_comparison(args.model, args.data, args.engine)
            return 0
        if args.only_floors:
            manifest = choose_floors(args.model, args.data, how.precision_floors, engine=args.engine)
        else:
            manifest = choose(args.model, args.data, how, engine=args.engine)
        folder = args.model if args.output is None else Path(shutil.copytree(args.model, args.output))
        write_manifest(folder, manifest)
    except (CTClassifyError, OSError) as error:
        print(f"calibrate: {error}", file=sys.stderr)
        return 2
    if args.only_floors:
        _print_floors(manifest, how.precision_floors)
    else:
        _print_decision(manifest, how)
    print(f"saved {folder}")
    if (folder / "metrics.json").exists():
        print(f"{folder / 'metrics.json'} holds figures of the former thresholds: score the model again")
    return 0


def _check_only_floors(args: argparse.Namespace, how: DecisionConfig) -> None:
    """Refuse options that ``--only-floors`` would not heed, and no floors."""
    unheeded = [name for name in given_options(args) if name != "precision_floors"]
    unheeded += ["compare"] if args.compare else []
    if unheeded:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in unheeded)
        message = f"--only-floors leaves calibration, objective and review band as they are: leave out {names}"
        raise DataError(f"{message}, or --only-floors", path=args.model)
    if not how.precision_floors:
        raise DataError("--only-floors: no floor given; name some with --precision-floors", path=args.model)


def _print_floors(manifest: Manifest, floors: Sequence[float]) -> None:
    """Print the sets of thresholds for floors of precision, a column each."""
    print(f"{'':22} {' '.join(f'{floor:>6g}' for floor in floors)}")
    sets = [manifest.threshold_sets[f"precision-{floor:g}"] for floor in floors]
    for name in manifest.thresholds:
        print(f"{name:22} {' '.join(f'{values[name]:6.3f}' for values in sets)}")


def _print_decision(manifest: Manifest, how: DecisionConfig) -> None:
    """Print thresholds and review band."""
    for name, value in manifest.thresholds.items():
        print(f"{name:22} {value:.3f}")
    if manifest.review is not None:
        print(f"{manifest.review.share:.1%} of the sentences need review; the others reach micro-precision", end=" ")
        print(f"{manifest.review.target_precision}")
    elif how.review_precision:
        print(f"no review band reaches micro-precision {how.review_precision}: none was stored")


def choose(model: Path, data: list[Path], how: DecisionConfig, *, engine: str = "auto") -> Manifest:
    """Choose a folder's manifest on labelled sentences.

    Parameters
    ----------
    model : pathlib.Path
        A model folder; it stays as it is.
    data : list of pathlib.Path
        Labelled JSON lines.
    how : DecisionConfig
        What to choose.
    engine : str
        As for ``ctclassify.load``.

    Returns
    -------
    Manifest
        For ``ctclassify.model_folder.write_manifest``.

    Raises
    ------
    DataError
        If a file is missing, has a bad line, or holds no sentence, or if no sentence has a label.
    ModelFolderError, EngineError
        If the model cannot be loaded.
    """
    folder, sentences, y_score = _scored(model, data, engine)
    y_true = indicator_matrix(sentences.labels, folder.label_names)
    return decide(y_true, y_score, folder.label_names, how, max_tokens=folder.max_tokens)


def choose_floors(model: Path, data: list[Path], floors: Sequence[float], *, engine: str = "auto") -> Manifest:
    """Choose a folder's thresholds for floors of precision anew; calibration, other thresholds and band stay.

    Parameters
    ----------
    model, data, engine
        As for :func:`choose`.
    floors : sequence of float
        Each in (0, 1); the set of 0.9 is called ``precision-0.9``.

    Returns
    -------
    Manifest

    Raises
    ------
    DataError, ModelFolderError, EngineError
        As for :func:`choose`.
    """
    folder, sentences, y_score = _scored(model, data, engine)
    calibration = folder.manifest.calibration
    probabilities = y_score if calibration is None else calibration.apply(y_score)
    y_true = indicator_matrix(sentences.labels, folder.label_names)
    sets = {
        f"precision-{floor:g}": dict(
            zip(folder.label_names, tune_for_precision(y_true, probabilities, floor).tolist(), strict=True)
        )
        for floor in floors
    }
    return replace(folder.manifest, threshold_sets={**folder.manifest.threshold_sets, **sets})


def _scored(
    model: Path, data: list[Path], engine: str
) -> tuple[ModelFolder, LabelledSentences, npt.NDArray[np.float32]]:
    """Return folder, sentences of distinct files, and the model's own probabilities: those before any calibration."""
    refuse_twice(data)
    folder = read_model_folder(model)
    raw = replace(folder, manifest=replace(folder.manifest, calibration=None))
    sentences = read_labelled(data, folder.label_names)
    if not len(sentences):
        raise DataError("no sentence to calibrate on", path=data[0])
    check_positives(sentences, folder.label_names, path=data[0])
    # Once chosen, what lies near a threshold is scored by the finest engine: so is what thresholds are chosen on.
    finest = make_engine(engine, raw)
    while isinstance(finest, LowPrecisionEngine) and finest.margin > 0:
        finest = finest.finer()
    return folder, sentences, SentenceClassifier(raw, finest).predict_proba(sentences.texts)


def _print_comparison(model: Path, data: list[Path], engine: str) -> None:
    """Print what each way of calibrating does to log loss, Brier score and calibration error."""
    from training.evaluation.calibration_methods import compare_methods  # scikit-learn loads slowly

    folder, sentences, y_score = _scored(model, data, engine)
    try:
        compared = compare_methods(sentences, y_score, folder.label_names)
    except ValueError as error:
        raise DataError(str(error), path=data[0]) from error
    print(f"{'':12} log loss  Brier   ECE     ({len(sentences)} sentences, cross-validated by document)")
    for method, row in compared.items():
        print(f"{method:12} {row['log_loss']:.4f}    {row['brier']:.4f}  {row['ece']:.4f}")


if __name__ == "__main__":
    sys.exit(main())
