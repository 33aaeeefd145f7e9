"""Agreement of two annotators, from files that keep both answers.

python training/agreement.py training/data/project/*.jsonl training/data/corpus/standoff.csv

Both averages are the same whichever annotator is taken as the truth: macro-F1 is over the labels that either used.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from ctclassify.errors import CTClassifyError, DataError
from ctclassify.labels import LABEL_IDS
from training.data import indicator_matrix, parse_object
from training.evaluation.counts import label_counts, rounded
from training.evaluation.report_text import shown
from training.files import read_lines

_ANNOTATORS = ("annotator_a", "annotator_b")
_COLUMNS = ("split", *_ANNOTATORS)

_Pair = tuple[list[str], list[str]]


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="article files (.jsonl) or the stand-off file (.csv)")
    try:
        for path in parser.parse_args(argv).files:
            for part, pairs in _read(path).items():
                print(f"{path.name} {part}: {_agreement(pairs)}")
    except CTClassifyError as error:
        print(f"agreement: {error}", file=sys.stderr)
        return 2
    return 0


def _agreement(pairs: list[_Pair]) -> str:
    """Return the figures of some pairs of answers, at least one."""
    first, second = (indicator_matrix([pair[i] for pair in pairs], LABEL_IDS) for i in (0, 1))
    counts = label_counts(first, second.astype(bool))
    of_labels = counts.f1()
    used = of_labels[~np.isnan(of_labels)]
    macro = rounded(used.mean()) if len(used) else None
    return (
        f"{len(pairs)} sentences, micro-F1 {shown(rounded(counts.micro_f1()))}, macro-F1 {shown(macro)}, "
        f"identical label sets {(first == second).all(1).mean():.1%}"
    )


def _read(path: Path) -> dict[str, list[_Pair]]:
    """Return the pairs of answers in a file, by split; DataError where it has none."""
    parts: dict[str, list[_Pair]] = {}
    for part, pair in _csv_pairs(path) if path.suffix == ".csv" else _article_pairs(path):
        parts.setdefault(part, []).append(pair)
    if not parts:
        message = 'no sentence with two annotators; expected "annotator_a" and "annotator_b" with each sentence'
        raise DataError(f"{message}, or a stand-off file with rows that are not of the split train", path=path)
    return parts


def _csv_pairs(path: Path) -> Iterator[tuple[str, _Pair]]:
    """Yield the answers of the stand-off file's rows that had two annotators: all but the training split's."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            absent = [name for name in _COLUMNS if name not in (rows.fieldnames or ())]
            if absent:
                message = f"has no column {', '.join(absent)}; expected {', '.join(_COLUMNS)}"
                raise DataError(message, path=path, line_number=1)
            for row in rows:
                if row["split"] != "train":
                    answers = {name: _cell_labels(row[name]) for name in _ANNOTATORS}
                    yield row["split"], _checked(answers, path, rows.line_num)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot be read: {error}; expected a CSV file in UTF-8", path=path) from error


def _cell_labels(cell: str | None) -> list[str] | None:
    """Return the labels of a cell; None, which is no answer, where the row is cut short."""
    if cell is None:
        return None
    return cell.split("|") if cell else []


def _article_pairs(path: Path) -> Iterator[tuple[str, _Pair]]:
    """Yield the answers of the sentences that had two annotators: of articles, or each on a line of its own."""
    for line_number, line in read_lines(path):
        try:
            row = parse_object(line)
        except ValueError as error:
            raise DataError(str(error), path=path, line_number=line_number) from error
        sentences = row.get("sentences", [row])
        if not isinstance(sentences, list) or not all(isinstance(sentence, dict) for sentence in sentences):
            raise DataError('expected "sentences" as a list of objects', path=path, line_number=line_number)
        for sentence in sentences:
            if "annotator_b" in sentence:
                yield "articles", _checked(sentence, path, line_number)


def _checked(answers: Mapping[str, Any], path: Path, line_number: int) -> _Pair:
    """Return both annotators' labels; DataError where one is absent or has a label that the codebook lacks."""
    for name in _ANNOTATORS:
        labels = answers.get(name)
        if not isinstance(labels, list):
            message = f'expected "{name}" as a list of labels, empty for none, got {labels!r}'
            raise DataError(message, path=path, line_number=line_number)
        for label in labels:
            if label not in LABEL_IDS:
                message = f'unknown label {label!r} in "{name}"; expected those of the codebook: {", ".join(LABEL_IDS)}'
                raise DataError(message, path=path, line_number=line_number)
    return answers["annotator_a"], answers["annotator_b"]


if __name__ == "__main__":
    sys.exit(main())
