"""Agreement of two annotators, from files that keep both answers.

python training/agreement.py training/data/project/*.jsonl training/data/corpus/standoff.csv
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ctclassify.labels import LABEL_IDS
from training.data import indicator_matrix
from training.evaluation.metrics import label_counts

_Pair = tuple[list[str], list[str]]


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="article files (.jsonl) or the stand-off file (.csv)")
    for path in parser.parse_args(argv).files:
        for part, pairs in _read(path).items():
            first, second = (indicator_matrix([pair[i] for pair in pairs], LABEL_IDS) for i in (0, 1))
            counts = label_counts(first, second.astype(bool))
            identical = (first == second).all(1).mean()
            print(
                f"{path.name} {part}: {len(pairs)} sentences, micro-F1 {float(counts.micro_f1()):.3f}, "
                f"macro-F1 {float(counts.macro_f1()):.3f}, identical label sets {identical:.1%}"
            )
    return 0


def _read(path: Path) -> dict[str, list[_Pair]]:
    """Return the pairs of answers in a file, by split."""
    parts: dict[str, list[_Pair]] = {}
    for part, pair in _csv_pairs(path) if path.suffix == ".csv" else _article_pairs(path):
        parts.setdefault(part, []).append(pair)
    return parts


def _csv_pairs(path: Path) -> Iterator[tuple[str, _Pair]]:
    """Yield the answers of the stand-off file's rows that had two annotators: all but the training split's."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] != "train":
                a, b = (row[key].split("|") if row[key] else [] for key in ("annotator_a", "annotator_b"))
                yield row["split"], (a, b)


def _article_pairs(path: Path) -> Iterator[tuple[str, _Pair]]:
    """Yield the answers of the sentences that had two annotators."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            for sentence in json.loads(line)["sentences"]:
                if "annotator_b" in sentence:
                    yield "articles", (sentence["annotator_a"], sentence["annotator_b"])


if __name__ == "__main__":
    sys.exit(main())
