"""Join the stand-off labels of the annotated corpus with its sentences, which the user must have.

    python training/prepare_data.py --text FOLDER_OR_FILE [...]

The labels lie in ``training/data/corpus/standoff.csv`` without their text. The texts come from the public sources that
``training/data/README.md`` names, as JSON lines (``.jsonl`` or ``.jsonl.gz``) with a field ``text``: single sentences
or whole articles, which are cut at every place where a sentence may end; a sentence is the right one where its SHA-256
is. Written are ``training/data/prepared/{train,validation,test}.jsonl`` and ``missing.csv``, the rows whose text was
not found; nothing is written where no text was found at all. Training rows of a document that stands in validation or
test too are left out. ``--as-annotated`` takes the labels as they were before they were mended.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import re
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ctclassify.errors import DataError
from training.files import read_lines, write_text

__all__ = ["candidate_sentences", "find_texts", "read_standoff", "text_files"]

DATA = Path(__file__).resolve().parent / "data"
STANDOFF = DATA / "corpus" / "standoff.csv"
SPLITS = ("train", "validation", "test")

_END = re.compile(r"""[.!?…:;]["'”’»)\]]*(?=\s|$)|(?=\s*\n)|\s*$""")
_LONGEST = 700
"""Characters of the longest candidate; the longest sentence of the corpus has 541."""


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return 1 where nothing was found or, if --strict, anything is missing; 2 on bad input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, nargs="+", required=True, help="folders or files, .jsonl or .jsonl.gz")
    parser.add_argument("--output", type=Path, default=DATA / "prepared", help="folder for the joined files")
    parser.add_argument("--as-annotated", action="store_true", help="without the mends of the training labels")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if any sentence is missing")
    args = parser.parse_args(argv)
    try:
        rows, n_shared = _without_shared_documents(read_standoff(STANDOFF))
        if args.as_annotated:
            rows = [{**row, "labels": row["labels_before"]} if row["reason"] else row for row in rows]
        texts = find_texts(text_files(args.text), {row["sha256"] for row in rows})
        missing = [row for row in rows if row["sha256"] not in texts]
        if not texts:
            print(
                f"prepare_data: none of the {len(rows)} sentences is in the texts; nothing written; "
                "training/data/README.md says where the texts are",
                file=sys.stderr,
            )
            return 1
        _write(args.output, rows, texts, missing)
    except (DataError, OSError) as error:
        print(f"prepare_data: {error}", file=sys.stderr)
        return 2
    _report(rows, missing, args.output)
    print(f"{n_shared} training rows left out: their documents stand in validation or test too")
    return 1 if args.strict and missing else 0


def read_standoff(path: Path) -> list[dict[str, str]]:
    """Return the rows of the stand-off file.

    Each has id, split, source, key, date, sha256, and joined by ``|`` labels and both annotators' labels; where labels
    were mended also ``labels_before`` and the ``reason``.
    """
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _without_shared_documents(rows: list[dict[str, str]]) -> tuple[list[dict[str, str]], int]:
    """Return the rows without those training rows whose document is in another split, and how many these were."""

    def document(row: dict[str, str]) -> tuple[str, str]:
        return row["source"], row["key"].rpartition("#")[0]

    held_out = {document(row) for row in rows if row["split"] != "train"}
    kept = [row for row in rows if row["split"] != "train" or document(row) not in held_out]
    return kept, len(rows) - len(kept)


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
        On a line that is no such object, or cannot be read; it names the line. Blank lines are passed over.
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
        for end in ends[bisect_right(ends, start) : bisect_right(ends, start + _LONGEST)]:
            candidate = text[start:end].rstrip()
            if candidate != text:
                yield candidate


def _skip_space(text: str, position: int) -> int:
    """Return the first position from here on that holds no whitespace."""
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def text_files(paths: Sequence[Path]) -> list[Path]:
    """Return the JSON lines files among some files and folders, sorted within a folder.

    Raises
    ------
    DataError
        If a path is neither such a file nor a folder that holds one.
    """
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
    for line_number, line in read_lines(path):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        text = row.get("text") if isinstance(row, dict) else None
        if not isinstance(text, str):
            raise DataError('expected a JSON object with "text", a string', path=path, line_number=line_number)
        yield text


def _write(folder: Path, rows: list[dict[str, str]], texts: dict[str, str], missing: list[dict[str, str]]) -> None:
    """Write the joined rows of each split in the order of the stand-off file, and the missing rows."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        joined = [_joined(row, texts) for row in rows if row["split"] == split and row["sha256"] in texts]
        write_text(folder / f"{split}.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in joined))
    table = io.StringIO()
    writer = csv.DictWriter(table, ["id", "split", "source", "key", "date", "sha256"], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(missing)
    write_text(folder / "missing.csv", table.getvalue())


def _joined(row: dict[str, str], texts: dict[str, str]) -> dict[str, str | list[str]]:
    """Return a row with its text; the annotators' own answers are kept outside the training split, which has none."""
    kept = {key: row[key] for key in ("id", "source", "key", "date")}
    answers = ("labels",) if row["split"] == "train" else ("labels", "annotator_a", "annotator_b")
    return {**kept, "text": texts[row["sha256"]], **{key: _names(row[key]) for key in answers}}


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
