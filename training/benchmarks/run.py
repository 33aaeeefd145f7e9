r"""Fine-tune on a benchmark once a seed, score its test split, and write results.json.

python training/benchmarks/run.py --task satp --seeds 13 14 15
python training/benchmarks/run.py --markdown

A seed's run lies in ``training/runs/<config's name>[-<base>]-seedN``; a finished one is scored again, not trained
again, and a stopped one goes on. results.json has one result a task and encoder: that of another config is never
replaced. ``--markdown`` prints the table of results.json, without ``--task`` that alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from transformers.utils.logging import disable_progress_bar

import ctclassify
from ctclassify.engines.selection import ENGINE_NAMES
from ctclassify.errors import CTClassifyError, DataError
from ctclassify.labels import LABEL_IDS
from ctclassify.model_folder import sha256_file
from training import finetune
from training.benchmarks.metrics import METRICS, benchmark_figures
from training.benchmarks.prepare import PREPARED
from training.benchmarks.report import markdown_table
from training.benchmarks.tasks import TASKS
from training.config import TrainingConfig, load_config
from training.data import indicator_matrix, read_labelled
from training.encoder import MINILM, resolve_encoder
from training.evaluation.metrics import rounded
from training.evaluation.model_scores import short_name
from training.evaluation.outputs import check_writable
from training.evaluation.spread import spread
from training.files import read_json_object, write_text
from training.once import train_once
from training.provenance import describe_run, describe_software, differences

__all__ = ["run_benchmark", "score"]

HERE = Path(__file__).resolve().parent


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[13, 14, 15])
    parser.add_argument("--base", help="instead of the config's encoder: a folder, or a name on the Hub")
    parser.add_argument("--config", type=Path, help="training/benchmarks/<task>.toml unless given")
    parser.add_argument("--engine", choices=ENGINE_NAMES, default="auto")
    parser.add_argument("--output", type=Path, default=HERE / "results.json", help="made or added to")
    parser.add_argument("--markdown", action="store_true", help="print the table of all that is in the output")
    args = parser.parse_args(argv)
    if args.task is None and not args.markdown:
        parser.error("expected --task, or --markdown for the table of former results")
    if len(set(args.seeds)) < len(args.seeds):
        parser.error(f"expected each seed once, got {args.seeds}")
    disable_progress_bar()
    try:
        results = _existing_results(args.output)
        if args.task is not None:
            config = load_config(args.config or HERE / f"{args.task}.toml")
            test = PREPARED / args.task / "test.jsonl"
            _check_data(config, test)
            _check_stored(args.output, results.get(args.task, {}), _with_base(config, args.base))
            base, report = run_benchmark(config, test, args.seeds, base=args.base, engine=args.engine)
            results = _existing_results(args.output)  # anew: another start may have ended meanwhile
            _check_stored(args.output, results.get(args.task, {}), _with_base(config, args.base))
            results.setdefault(args.task, {})[base] = report
            write_text(args.output, json.dumps(results, indent=1, allow_nan=False) + "\n")
    except (CTClassifyError, OSError) as error:
        print(f"run: {error}", file=sys.stderr)
        return 2
    if args.markdown:
        print(markdown_table(results))
    return 0


def _existing_results(output: Path) -> dict[str, Any]:
    """Return what results.json holds already; refuse, before anything is trained, what cannot be written."""
    check_writable(output)
    return read_json_object(output) if output.exists() else {}


def _check_data(config: TrainingConfig, test: Path) -> None:
    """Refuse to begin without a data file."""
    missing = [path for path in (*config.data.train, *config.data.validation, test) if not path.is_file()]
    if missing:
        raise DataError("no such file; training/benchmarks/prepare.py makes it", path=missing[0])


def _check_stored(output: Path, stored: Mapping[str, Any], config: TrainingConfig) -> None:
    """Refuse to replace the stored result of another config with the same encoder's name."""
    name = short_name(config.model.base)
    if name not in stored:
        return
    former = {key: stored[name][key] for key in ("config", "encoder") if key in stored[name]}
    now = describe_run(
        config,
        read_labelled(config.data.train, _label_names(config)),
        read_labelled(config.data.validation, _label_names(config)),
        encoder=resolve_encoder(config.model.base),
        encoder_commit=former.get("encoder", {}).get("commit"),
    )
    found = differences(former, {**now, "config": _without_seed(now["config"])})
    if found:
        message = f"holds a result of {name} by another config, {'; '.join(found)}; undo that, or give another --output"
        raise DataError(message, path=output)


def _without_seed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config's record without the seed, which each run has of its own."""
    return {key: value for key, value in config.items() if key != "seed"}


def run_benchmark(
    config: TrainingConfig, test: Path, seeds: Sequence[int], *, base: str | None = None, engine: str = "auto"
) -> tuple[str, dict[str, Any]]:
    """Fine-tune and score once a seed.

    Parameters
    ----------
    config : TrainingConfig
        Of the task; its seed is not used.
    test : pathlib.Path
        Labelled JSON lines to score on.
    seeds : sequence of int
        At least one, each once.
    base : str or None
        A folder, relative to the working folder, or a Hub name, instead of the config's encoder.
    engine : str
        As for ``ctclassify.load``.

    Returns
    -------
    tuple of str and dict
        The encoder's short name, and in JSON types: ``config`` (all values but the seed, and the checksums of its
        data), ``encoder``, ``seeds``, ``figures`` (for the thresholds ``tuned`` on the validation split and for
        ``0.5``, each metric as :func:`training.evaluation.spread.spread` gives it), ``runs`` (one a seed), ``test``
        (file, checksum, texts), ``software``.

    Raises
    ------
    DataError
        If a data file is missing or has a bad line, or a run's folder holds a run of something else.
    ModelFolderError
        If the encoder cannot be loaded, or the config's pooling does not fit it.
    """
    name = config.name
    if base is not None:
        config = _with_base(config, base)
        name = f"{name}-{short_name(config.model.base)}"
    n_texts = len(read_labelled([test], _label_names(config)))  # here, so that a bad file is told before the training
    if not n_texts:
        raise DataError("no text to score; expected the test split", path=test)
    runs = []
    for seed in seeds:
        folder = train_once(config.model_copy(update={"seed": seed}), finetune.RUNS / f"{name}-seed{seed}")
        runs.append({"seed": seed, **score(folder, test, engine=engine)})
        print(f"seed {seed}: {json.dumps(runs[-1]['figures'])}")
    record = read_json_object(folder / "run.json")
    report = {
        "config": _without_seed(record["config"]),
        "encoder": record["encoder"],
        "seeds": list(seeds),
        "figures": {
            key: {metric: spread([run["figures"][key][metric] for run in runs]) for metric in METRICS}
            for key in runs[0]["figures"]
        },
        "runs": runs,
        "test": {"file": test.name, "sha256": sha256_file(test), "n_texts": n_texts},
        "software": {"ctclassify": ctclassify.__version__, **describe_software()},
    }
    return short_name(config.model.base), report


def score(folder: Path, test: Path, *, engine: str = "auto") -> dict[str, Any]:
    """Score a finished run's model.

    Parameters
    ----------
    folder : pathlib.Path
        The run's folder.
    test : pathlib.Path
        Labelled JSON lines.
    engine : str
        As for ``ctclassify.load``.

    Returns
    -------
    dict
        JSON types: ``figures`` at the thresholds ``tuned`` on the validation split and at ``0.5`` (a probability at
        the threshold counts as a yes), four decimals, None where undefined; ``thresholds`` as tuned; ``validation``
        and ``train_seconds`` (of the start that finished), ``n_resumed``, ``versions`` and ``commit`` of the training;
        ``score_seconds``; ``engine``; ``is_calibrated``.
    """
    classifier = ctclassify.load(folder / "model", engine=engine)
    sentences = read_labelled([test], classifier.label_names)
    started = time.monotonic()
    probabilities = classifier.predict_proba(sentences.texts)
    score_seconds = time.monotonic() - started
    y_true = indicator_matrix(sentences.labels, classifier.label_names)
    thresholds = {"tuned": np.array(list(classifier.thresholds.values())), "0.5": np.array(0.5)}
    figures = {key: benchmark_figures(y_true, probabilities >= value) for key, value in thresholds.items()}
    run = read_json_object(folder / "run.json")
    resumed = run.get("resumed", [])
    info = classifier.info()
    return {
        "figures": {key: {k: rounded(v) for k, v in each.items()} for key, each in figures.items()},
        "thresholds": classifier.thresholds,
        "validation": run["validation"],
        "train_seconds": [run, *resumed][-1].get("train_seconds"),
        "n_resumed": len(resumed),
        "score_seconds": round(score_seconds, 1),
        "versions": run["versions"],
        "commit": run["commit"],
        "engine": {key: info[key] for key in ("engine", "engine_version", "precision")},
        "is_calibrated": info["is_calibrated"],
    }


def _label_names(config: TrainingConfig) -> tuple[str, ...]:
    """Return the labels of a config."""
    return LABEL_IDS if config.data.label_names is None else config.data.label_names


def _with_base(config: TrainingConfig, base: str | None) -> TrainingConfig:
    """Return the config with another encoder, a folder's path made absolute; as it is for None."""
    if base is None:
        return config
    path = Path(base)
    resolved = str(path.resolve()) if base != MINILM and path.is_dir() else base
    return config.model_copy(update={"model": config.model.model_copy(update={"base": resolved})})


if __name__ == "__main__":
    sys.exit(main())
