"""Turn the two benchmarks' files into labelled JSON lines for training, with their official splits.

    python training/benchmarks/prepare.py --data FOLDER

FOLDER holds ``satp.jsonl`` and ``india_police_events.jsonl``: objects with ``text``, ``labels`` and ``split`` (train,
dev or test). Written are ``training/benchmarks/prepared/<task>/{train,validation,test}.jsonl``, which git ignores: the
texts are for research only. Nothing is written unless every row, and every count of rows and labels, is as expected.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ctclassify.errors import DataError
from training.benchmarks.tasks import SPLITS, TASKS, Task
from training.files import read_lines, write_text

__all__ = ["PREPARED", "read_benchmark", "write_splits"]

PREPARED = Path(__file__).resolve().parent / "prepared"


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, required=True, help=f"folder with {', '.join(f'{t}.jsonl' for t in TASKS)}"
    )
    parser.add_argument("--output", type=Path, default=PREPARED, help="folder for the prepared files")
    args = parser.parse_args(argv)
    try:
        rows = {name: read_benchmark(args.data / f"{name}.jsonl", task) for name, task in TASKS.items()}
        for name, task_rows in rows.items():
            n_blank = write_splits(args.output / name, task_rows)
            print(f"{name}: {_shown(task_rows)}; {n_blank} blank texts without labels left out; {args.output / name}")
    except (DataError, OSError) as error:
        print(f"prepare: {error}", file=sys.stderr)
        return 2
    return 0


def read_benchmark(path: Path, task: Task) -> list[dict[str, Any]]:
    """Read and check a benchmark's file.

    Parameters
    ----------
    path : pathlib.Path
        JSON lines with ``text``, ``labels`` and ``split``; other fields are ignored.
    task : Task
        What the file must hold.

    Returns
    -------
    list of dict
        ``text`` (may be blank where ``labels`` is empty), ``labels`` in the task's order, ``split`` (a value of
        ``SPLITS``), in the file's order.

    Raises
    ------
    DataError
        If the file is missing, a line is not such an object or has an unknown label, a label twice, an unknown split
        or labels on a blank text (it names the line), or the number of rows or of a label's positives in a split is
        not the official one.
    """
    rows = []
    for line_number, line in read_lines(path):
        try:
            rows.append(_parsed(line, task))
        except ValueError as error:
            raise DataError(str(error), path=path, line_number=line_number) from error
    _check_counts(path, rows, task)
    return rows


def write_splits(folder: Path, rows: list[dict[str, Any]]) -> int:
    """Write one file a split, and return how many rows with a blank text, which have no labels, were left out.

    A model gives a blank text no label, so that leaving it out changes no metric.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept = [row for row in rows if row["text"].strip()]
    for split in SPLITS.values():
        lines = [
            json.dumps({"text": row["text"], "labels": row["labels"]}, ensure_ascii=False) + "\n"
            for row in kept
            if row["split"] == split
        ]
        write_text(folder / f"{split}.jsonl", "".join(lines))
    return len(rows) - len(kept)


def _parsed(line: str, task: Task) -> dict[str, Any]:
    """Return a line's checked row."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(row, dict):
        raise ValueError(f"expected an object, got {type(row).__name__}")
    text, labels, split = row.get("text"), row.get("labels"), row.get("split")
    if not isinstance(text, str):
        raise ValueError(f'expected "text" as a string, got {text!r}')
    if not isinstance(labels, list):
        raise ValueError(f'expected "labels" as a list of names, [] for none, got {labels!r}')
    for label in labels:
        if not isinstance(label, str) or label not in task.label_names:
            raise ValueError(f"unknown label {label!r}; labels of {task.name}: {', '.join(task.label_names)}")
    if len(set(labels)) < len(labels):
        raise ValueError(f"expected each label once, got {labels}")
    if not isinstance(split, str) or split not in SPLITS:
        raise ValueError(f'unknown "split" {split!r}; expected {", ".join(SPLITS)}')
    if labels and not text.strip():
        raise ValueError(f"a blank text with the labels {labels}; expected none")
    return {"text": text, "labels": [name for name in task.label_names if name in labels], "split": SPLITS[split]}


def _check_counts(path: Path, rows: list[dict[str, Any]], task: Task) -> None:
    """Refuse a file whose splits or labels are not the official ones in number."""
    n_rows = Counter(row["split"] for row in rows)
    n_positive = Counter((row["split"], label) for row in rows for label in row["labels"])
    wrong = []
    for i, (official, split) in enumerate(SPLITS.items()):
        if n_rows[split] != task.n_rows[i]:
            wrong.append(f"{n_rows[split]} rows in {official}, expected {task.n_rows[i]}")
        for label, expected in task.n_positive.items():
            if n_positive[split, label] != expected[i]:
                wrong.append(f"{n_positive[split, label]} of {label} in {official}, expected {expected[i]}")
    if wrong:
        message = f"not the official splits of {task.name}: {'; '.join(wrong)}; see training/benchmarks/README.md"
        raise DataError(message, path=path)


def _shown(rows: list[dict[str, Any]]) -> str:
    """Return the number of rows of each split in words."""
    counts = Counter(row["split"] for row in rows)
    return ", ".join(f"{counts[split]} {split}" for split in SPLITS.values())


if __name__ == "__main__":
    sys.exit(main())
