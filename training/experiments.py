r"""Train variants of a config, each once a seed, and table their validation figures beside those of the first.

    python training/experiments.py --experiments training/experiments.toml
    python training/experiments.py --experiments training/experiments.toml --markdown     # the table of what is done

A stopped series goes on; a finished run is only scored again. Figures are added to a JSON file after every variant.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy import stats
from transformers.utils.logging import disable_progress_bar

import ctclassify
from ctclassify.errors import CTClassifyError, DataError
from ctclassify.labels import LABEL_IDS
from training import finetune
from training.config import TrainingConfig, check_config, read_toml
from training.data import read_labelled
from training.evaluation.analysis import headline
from training.evaluation.counts import rounded
from training.evaluation.model_scores import score_model
from training.evaluation.outputs import check_writable
from training.files import read_json_object, write_text
from training.once import train_once

__all__ = ["Variant", "difference", "read_experiments", "run_variant", "table"]

_AVERAGES = ("micro", "macro")
_CONFIDENCE = 0.95


class _Experiments(BaseModel):
    """The file of a series."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: Path
    """The config that all variants change, relative to the file."""
    seeds: tuple[int, ...] = Field(min_length=2)
    """Seeds of each variant; the intervals come from the spread over them."""
    variants: dict[str, dict[str, Any]] = Field(min_length=1)
    """By name, what each changes: sections and fields as in the config. The others are compared with the first."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One variant of a series.

    Attributes
    ----------
    name : str
        Its name.
    changes : dict
        What it changes, sections and fields as in a config.
    config : TrainingConfig
        The whole config, named ``<config's name>-<variant's name>``.
    """

    name: str
    changes: dict[str, Any]
    config: TrainingConfig


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=Path, required=True, help="a TOML file: config, seeds, variants")
    parser.add_argument("--output", type=Path, help="<experiments>.json unless given; made or added to")
    parser.add_argument("--only", nargs="+", help="names of the variants to run; all unless given")
    parser.add_argument("--markdown", action="store_true", help="run nothing, print the table of the output")
    args = parser.parse_args(argv)
    output = args.output or args.experiments.with_suffix(".json")
    disable_progress_bar()
    try:
        seeds, all_variants = read_experiments(args.experiments)
        variants = all_variants if args.only is None else _only(all_variants, args.only, args.experiments)
        check_writable(output)
        results = read_json_object(output) if output.exists() else {}
        first = all_variants[0].name
        if first not in results and first not in {variant.name for variant in variants}:
            raise DataError(f"{first} has not run, with which others are compared; run it first", path=args.experiments)
        for variant in () if args.markdown else variants:
            results[variant.name] = run_variant(variant, seeds)
            write_text(output, json.dumps(results, indent=1, allow_nan=False) + "\n")
            print(f"{variant.name}: {json.dumps(results[variant.name]['figures'])}")
    except (CTClassifyError, OSError) as error:
        print(f"experiments: {error}", file=sys.stderr)
        return 2
    rows = {variant.name: results[variant.name] for variant in all_variants if variant.name in results}
    print(table(rows, notes=_notes(rows, all_variants)))
    return 0


def _notes(results: Mapping[str, Any], variants: Sequence[Variant]) -> dict[str, str]:
    """Return by variant why its row does not stand beside the others as the file has it, for those that do not."""
    if not results:
        return {}
    changes = {variant.name: variant.changes for variant in variants}
    seeds = next(iter(results.values()))["seeds"]
    notes = {}
    for name, result in results.items():
        found = []
        if result["changes"] != changes[name]:
            found.append("stale: of other changes than the file's, run it again")
        if result["seeds"] != seeds:
            found.append(f"not comparable: of seeds {', '.join(map(str, result['seeds']))}, run it again")
        if found:
            notes[name] = "; ".join(found)
    return notes


def read_experiments(path: Path) -> tuple[tuple[int, ...], list[Variant]]:
    """Read a series of experiments.

    Parameters
    ----------
    path : pathlib.Path
        A TOML file: ``config`` (a path relative to it), ``seeds`` (two or more), and a table ``[variants.NAME]`` for
        each variant, empty or with sections and fields as in a config.

    Returns
    -------
    tuple of int
        The seeds.
    list of Variant
        In the order of the file.

    Raises
    ------
    DataError
        If the file or its config cannot be read, a variant makes no valid config or has two validation
        files of one name, or a seed stands twice.
    """
    try:
        series = _Experiments.model_validate(read_toml(path))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise DataError(f"{problems}; see training/experiments.toml", path=path) from error
    if len(set(series.seeds)) < len(series.seeds):
        raise DataError(f"expected each seed once, got {list(series.seeds)}", path=path)
    base = (path.resolve().parent / series.config).resolve()
    raw = read_toml(base)
    variants = []
    for name, changes in series.variants.items():
        merged = _merged(raw, {**changes, "name": f"{raw.get('name')}-{name}"})
        try:
            variants.append(Variant(name=name, changes=changes, config=check_config(merged, base)))
        except DataError as error:
            raise DataError(f"variant {name}: {error}", path=path) from error
        names = [_set_name(each) for each in variants[-1].config.data.validation]
        if len(set(names)) < len(names):
            message = f"variant {name}: two validation files would have one name, {', '.join(names)}; rename one"
            raise DataError(message, path=path)
    return series.seeds, variants


def _merged(raw: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config with some of its fields replaced, sections field by field."""
    merged = dict(raw)
    for key, value in changes.items():
        former = merged.get(key)
        merged[key] = _merged(former, value) if isinstance(former, dict) and isinstance(value, dict) else value
    return merged


def _only(variants: list[Variant], names: Sequence[str], path: Path) -> list[Variant]:
    """Return the variants of these names."""
    unknown = sorted(set(names) - {variant.name for variant in variants})
    if unknown:
        known = ", ".join(variant.name for variant in variants)
        raise DataError(f"no variant {', '.join(unknown)}; it has {known}", path=path)
    return [variant for variant in variants if variant.name in names]


def run_variant(variant: Variant, seeds: Sequence[int]) -> dict[str, Any]:
    """Train a variant once a seed and score it on each of its validation files.

    Parameters
    ----------
    variant : Variant
        What to train; its config's own seed is not used.
    seeds : sequence of int
        At least one.

    Returns
    -------
    dict
        JSON types: ``changes``; ``seeds``; ``n_sentences``, learned from; ``minutes``, the median of a training in one
        go (None where none was); ``figures``, by validation set (its folder's and file's name), then ``micro`` and
        ``macro``: the F1 of each seed, None where it is undefined. Thresholds are those that the run tuned on all
        validation sets together, so the figures compare variants and are optimistic as a measure of quality.

    Raises
    ------
    DataError
        As for :func:`training.once.train_once`.
    """
    figures: dict[str, dict[str, list[float | None]]] = {}
    minutes = []
    label_names = variant.config.data.label_names or LABEL_IDS
    for seed in seeds:
        config = variant.config.model_copy(update={"seed": seed})
        folder = train_once(config, finetune.RUNS / f"{config.name}-seed{seed}")
        run = read_json_object(folder / "run.json")
        if not run.get("resumed"):
            minutes.append(run["train_seconds"] / 60)
        classifier = ctclassify.load(folder / "model")
        for path in config.data.validation:
            scores = headline(score_model(classifier, read_labelled([path], label_names), label_names=label_names))
            of_set = figures.setdefault(_set_name(path), {average: [] for average in _AVERAGES})
            for average in _AVERAGES:
                of_set[average].append(scores[average]["f1"])
    return {
        "changes": variant.changes,
        "seeds": list(seeds),
        "n_sentences": run["counts"]["train"]["n_sentences"],
        "minutes": rounded(np.median(minutes)) if minutes else None,
        "figures": figures,
    }


def _set_name(path: Path) -> str:
    """Return what a validation set is called: its folder's and its file's name."""
    return f"{path.parent.name}/{path.stem}"


def difference(values: Sequence[float], reference: Sequence[float]) -> tuple[float, float]:
    """Return the mean difference of two variants and half the width of its 95% interval.

    Parameters
    ----------
    values, reference : sequence of float
        A figure of each seed; at least two each.

    Returns
    -------
    tuple of float
        Mean of ``values`` less that of ``reference``, and the half-width by Student's t with the variances of both
        pooled [1]_. It speaks of other seeds, not of other validation sentences.

    References
    ----------
    .. [1] Student, The Probable Error of a Mean, Biometrika 6, 1908.
    """
    freedom = len(values) + len(reference) - 2
    pooled = (np.var(values) * len(values) + np.var(reference) * len(reference)) / freedom
    error = np.sqrt(pooled * (1 / len(values) + 1 / len(reference)))
    return float(np.mean(values) - np.mean(reference)), float(stats.t.ppf(0.5 + _CONFIDENCE / 2, freedom) * error)


def table(results: Mapping[str, Any], *, notes: Mapping[str, str] | None = None) -> str:
    """Return a Markdown table of variants.

    Parameters
    ----------
    results : mapping
        By variant what :func:`run_variant` gives; the first is what the others are compared with.
    notes : mapping of str to str or None
        What stands beside the name of a variant that cannot be compared; its row has no differences.

    Returns
    -------
    str
        A row a variant; for each validation set and average the mean over the seeds, ``sd``, the standard deviation of
        a sample over them in points, and in brackets the difference to the first with half its 95% interval, in
        points; a dash where the figure of a seed is undefined or there is none. A line that says so for no results.
    """
    if not results:
        return "nothing run yet"
    notes = notes or {}
    first = next(iter(results.values()))
    columns = [(name, average) for name in first["figures"] for average in _AVERAGES]
    lines = [
        "| variant | sentences | minutes | " + " | ".join(f"{name}, {average}-F1" for name, average in columns) + " |",
        "|---|---|---|" + "---|" * len(columns),
    ]
    for name, result in results.items():
        reference = None if result is first or name in notes else first
        cells = [_cell(result, reference, place, average) for place, average in columns]
        minutes = "" if result["minutes"] is None else f"{result['minutes']:.1f}"
        shown = f"{name} ({notes[name]})" if name in notes else name
        lines.append(f"| {shown} | {result['n_sentences']:,} | {minutes} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(result: Mapping[str, Any], reference: Mapping[str, Any] | None, place: str, average: str) -> str:
    """Return a cell of the table, with the difference to another variant where one is given."""
    values, others = (_figures(each, place, average) for each in (result, reference))
    if values is None:
        return "-"
    deviation = "-" if len(values) < 2 else f"{100 * np.std(values, ddof=1):.1f}"
    cell = f"{np.mean(values):.3f}, sd {deviation}"
    if others is not None:
        mean, half = difference(values, others)
        cell += f" ({100 * mean:+.1f} ± {100 * half:.1f})"
    return cell


def _figures(result: Mapping[str, Any] | None, place: str, average: str) -> list[float] | None:
    """Return a figure of each seed, or None where there is none of some: the mean of the others would flatter."""
    values = None if result is None else result["figures"].get(place, {}).get(average)
    return None if not values or None in values else list(values)


if __name__ == "__main__":
    sys.exit(main())
