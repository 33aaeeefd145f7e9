"""Join the stand-off labels of the annotated corpus with its sentences, which the user must have.

    python training/prepare_data.py --text FOLDER_OR_FILE [...]

The labels lie in ``training/data/corpus/standoff.csv`` without their text. The texts come from the public sources that
``training/data/README.md`` names, as JSON lines (``.jsonl`` or ``.jsonl.gz``) with a field ``text``: single sentences
or whole articles, which
are cut at every place where a sentence may end; a sentence is the right one where its SHA-256 is. Written are
``training/data/prepared/{train,validation,test}.jsonl`` and ``missing.csv``, the rows whose text was not found.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ctclassify.errors import DataError

__all__ = ["candidate_sentences", "find_texts", "read_standoff"]

DATA = Path(__file__).resolve().parent / "data"
STANDOFF = DATA / "corpus" / "standoff.csv"
SPLITS = ("train", "validation", "test")

_END = re.compile(r"""[.!?…:;]["'”’»)\]]*(?=\s|$)|(?=\s*\n)|\s*$""")
_START = re.compile(r"(?:^|(?<=\s))(?=\S)")
_LONGEST = 700
"""Characters of the longest candidate; the longest sentence of the corpus has 541."""


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return 1 where nothing was found or, if --strict, anything is missing; 2 on bad input."""
    parser = argparse.ArgumentParser(description="Join the stand-off labels with sentences that you have.")
    parser.add_argument("--text", type=Path, nargs="+", required=True, help="folders or files, .jsonl or .jsonl.gz")
    parser.add_argument("--output", type=Path, default=DATA / "prepared", help="folder for the joined files")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if any sentence is missing")
    args = parser.parse_args(argv)
    try:
        rows = read_standoff(STANDOFF)
        texts = find_texts(_files(args.text), {row["sha256"] for row in rows})
    except DataError as error:
        print(f"prepare_data: {error}", file=sys.stderr)
        return 2
    missing = [row for row in rows if row["sha256"] not in texts]
    _write(args.output, rows, texts, missing)
    _report(rows, missing, args.output)
    return 1 if not texts or (args.strict and missing) else 0


def read_standoff(path: Path) -> list[dict[str, str]]:
    """Return the rows of the stand-off file: id, split, source, key, date, sha256, labels and annotators by ``|``."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def find_texts(paths: Iterable[Path], wanted: set[str]) -> dict[str, str]:
    """Find sentences by their checksum.

    Parameters
    ----------
    paths : iterable of pathlib.Path
        JSON lines files, also ``.gz``, each line an object with ``text``.
    wanted : set of str
        SHA-256 of the UTF-8 bytes of each sentence, in hexadecimal.

    Returns
    -------
    dict of str to str
        Sentence by checksum, for those that were found.

    Raises
    ------
    DataError
        On a line that is no such object; it names the line.
    """
    found: dict[str, str] = {}
    for path in paths:
        for text in _texts(path):
            for candidate in candidate_sentences(text):
                checksum = hashlib.sha256(candidate.encode("utf-8", "surrogatepass")).hexdigest()
                if checksum in wanted:
                    found[checksum] = candidate
    return found


def candidate_sentences(text: str) -> Iterator[str]:
    """Yield every stretch of a text that may be a sentence, so that no splitter's habits decide what is found.

    A stretch starts at the text's start, after a stretch's end or a new line, and ends after closing punctuation or
    before a new line. The whole text comes first. No stretch is longer than 700 characters.
    """
    yield text
    ends = sorted({match.end() for match in _END.finditer(text) if match.end() > 0})
    starts = [0] + [_skip_space(text, end) for end in ends]
    for start in sorted(set(starts)):
        for end in ends:
            if start < end <= start + _LONGEST:
                candidate = text[start:end].rstrip()
                if candidate != text:
                    yield candidate


def _skip_space(text: str, position: int) -> int:
    """Return the first position from here on that holds no whitespace."""
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _files(paths: Sequence[Path]) -> list[Path]:
    """Return the JSON lines files among some files and folders, sorted within a folder."""
    files: list[Path] = []
    for path in paths:
        inside = (
            sorted(p for p in path.rglob("*") if p.name.endswith((".jsonl", ".jsonl.gz"))) if path.is_dir() else [path]
        )
        if not inside or not all(p.is_file() for p in inside):
            raise DataError("expected a .jsonl or .jsonl.gz file, or a folder with some", path=path)
        files.extend(inside)
    return files


def _texts(path: Path) -> Iterator[str]:
    """Yield the texts of a file."""
    with _open_text(path) as lines:
        for line_number, line in enumerate(lines, start=1):
            try:
                text = json.loads(line)["text"]
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise DataError('expected a JSON object with "text"', path=path, line_number=line_number) from error
            yield text


def _open_text(path: Path) -> TextIO:
    """Open a file or a gzip file as UTF-8 text."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def _write(folder: Path, rows: list[dict[str, str]], texts: dict[str, str], missing: list[dict[str, str]]) -> None:
    """Write the joined rows of each split in the order of the stand-off file, and the missing rows."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        with (folder / f"{split}.jsonl").open("w", encoding="utf-8") as file:
            for row in rows:
                if row["split"] == split and row["sha256"] in texts:
                    labels = {key: _names(row[key]) for key in ("labels", "annotator_a", "annotator_b")}
                    if split == "train":
                        labels = {"labels": labels["labels"]}
                    kept = {key: row[key] for key in ("id", "source", "key", "date")}
                    file.write(json.dumps({**kept, "text": texts[row["sha256"]], **labels}, ensure_ascii=False) + "\n")
    with (folder / "missing.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "split", "source", "key", "date", "sha256"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(missing)


def _names(joined: str) -> list[str]:
    """Return label names from their joined form."""
    return joined.split("|") if joined else []


def _report(rows: list[dict[str, str]], missing: list[dict[str, str]], folder: Path) -> None:
    """Print how many rows of each split and source were found."""
    total = Counter((row["split"], row["source"]) for row in rows)
    lost = Counter((row["split"], row["source"]) for row in missing)
    for split in SPLITS:
        for source in sorted({source for s, source in total if s == split}):
            n = total[split, source]
            print(f"{split:<10} {source:<9} {n - lost[split, source]:>6} of {n:>6} found")
    print(
        f"{len(rows) - len(missing)} of {len(rows)} sentences; written to {folder}; "
        f"missing rows: {folder / 'missing.csv'}"
    )


if __name__ == "__main__":
    sys.exit(main())
