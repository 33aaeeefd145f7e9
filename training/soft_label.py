r"""Write a teacher's probabilities for sentences, as further training targets of a smaller model.

    python training/soft_label.py --model training/runs/teacher-seed13/model training/runs/teacher-seed14/model \
        --text TEXTS.jsonl.gz training/data/prepared/train.jsonl --exclude training/data/prepared/test.jsonl \
        --output training/data/prepared/soft.jsonl

Each line of a text file is an object with ``text``: an article, which is cut into sentences, a labelled sentence, or a
labelled article, as training/data.py reads them. The probabilities of several models are averaged. A line that holds a
sentence of a file given with ``--exclude``, or names a document that stands there, is left out whole: name validation
and test data there. ``--screen MODEL``
spares a slow teacher: of the sentences without labels in which that (small) model finds nothing, one in five is kept. A
run that was stopped goes on where it is started again with the same arguments.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence, Set
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import ctclassify
from ctclassify.engines.selection import ENGINE_NAMES
from ctclassify.errors import CTClassifyError, DataError
from ctclassify.tokenization import without_surrogates
from training.data import document_of, parse_object
from training.files import read_json_object, read_lines, write_text
from training.prepare_data import candidate_sentences

_AT_ONCE = 2048
"""Sentences between two writes: what a stop costs at most."""
_DECIMALS = 4
_SCREEN_BELOW = 0.05
_KEPT_OF_256 = 51
"""A fifth of the checksums' first bytes."""


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, nargs="+", required=True, help="model folders; several are averaged")
    parser.add_argument("--text", type=Path, nargs="+", required=True, help="JSON lines with texts, also .gz")
    parser.add_argument("--exclude", type=Path, nargs="*", default=[], help="JSON lines whose sentences are left out")
    parser.add_argument(
        "--skip", type=Path, nargs="*", default=[], help="earlier outputs: a sentence of theirs is left out, alone"
    )
    parser.add_argument(
        "--screen", type=Path, help="a model folder; most sentences in which it finds nothing are left out"
    )
    parser.add_argument("--output", type=Path, required=True, help="JSON lines of text and probabilities")
    parser.add_argument("--engine", choices=ENGINE_NAMES, default="auto")
    args = parser.parse_args(argv)
    try:
        excluded = {_key(text) for text in read_sentences(args.exclude)}
        documents = read_documents(args.exclude)
        skipped = set(read_sentences(args.skip))
        left_out: list[str] = []
        found = dict.fromkeys(
            read_sentences(args.text, excluded=excluded, excluded_documents=documents, left_out=left_out)
        )
        if args.exclude:
            print(f"left out {len(left_out)} lines of held-out documents")
        texts = [text for text in found if text not in skipped]
        screen = None if args.screen is None else ctclassify.load(args.screen)
        if screen is not None:
            texts = screened(texts, set(read_sentences(args.text, only_labelled=True)), screen)
        models = [ctclassify.load(model, engine=args.engine) for model in args.model]
        _check_teacher(args.output, models, screen)
        n_done = _check_start(args.output, texts)
        write_soft_labels(args.output, texts, models, n_done=n_done)
    except (CTClassifyError, OSError) as error:
        print(f"soft_label: {error}", file=sys.stderr)
        return 2
    print(f"saved {args.output}: {len(texts)} sentences")
    return 0


def read_sentences(
    paths: Iterable[Path],
    *,
    only_labelled: bool = False,
    excluded: Set[str] = frozenset(),
    excluded_documents: Set[str] = frozenset(),
    left_out: list[str] | None = None,
) -> Iterator[str]:
    """Yield the sentences of JSON lines files.

    Parameters
    ----------
    paths : iterable of pathlib.Path
        Files, also ``.gz``; each line an object with ``text``.
    only_labelled : bool
        Pass over lines without ``labels`` and ``sentences``.
    excluded : set of str
        Letters and digits of held-out sentences, as :func:`_key` gives them; a line of which any stretch that may be a
        sentence is one of them is passed over: its other sentences are of the same document.
    excluded_documents : set of str
        Names of held-out documents, as :func:`read_documents` gives them; their lines are passed over.
    left_out : list of str or None
        Gets ``FILE:LINE`` of each line that is passed over as held out.

    Yields
    ------
    str
        In order: the labelled ``sentences`` of an article that has them, else those that the library's splitter finds.
        A line with ``labels`` or ``probabilities`` is one sentence, as it is; lone surrogates become U+FFFD.

    Raises
    ------
    DataError
        On a line that is no such object; it names the line.
    """
    for path in paths:
        for line_number, line in read_lines(path):
            try:
                row = json.loads(line)
                if only_labelled and not {"labels", "sentences"} & set(row):
                    continue
                is_held_out = bool(excluded_documents) and _name(row) in excluded_documents
                if is_held_out or (
                    excluded and any(_key(part) in excluded for part in candidate_sentences(row["text"]))
                ):
                    if left_out is not None:
                        left_out.append(f"{path}:{line_number}")
                    continue
                yield from _sentences(row)
            except (ValueError, TypeError, KeyError) as error:
                message = f'expected an object with "text" ({error})'
                raise DataError(message, path=path, line_number=line_number) from error


def read_documents(paths: Iterable[Path]) -> set[str]:
    """Return the names of the documents in JSON lines files: ``document``, ``key``, or an article's ``id``.

    Raises
    ------
    DataError
        On a line that is no object; it names the line.
    """
    names = set()
    for path in paths:
        for line_number, line in read_lines(path):
            try:
                names.add(_name(parse_object(line)))
            except ValueError as error:
                raise DataError(str(error), path=path, line_number=line_number) from error
    return names - {""}


def _name(row: dict[str, Any]) -> str:
    """Return the name of a row's document, the empty string where it has none that is a string."""
    is_article = not {"labels", "probabilities"} & set(row)
    names = [row.get("document"), row.get("key"), row.get("id") if is_article else None]
    given = {field: name for field, name in zip(("document", "key", "id"), names, strict=True) if isinstance(name, str)}
    return document_of({"sentences": [], **given}) if given else ""


def _sentences(row: dict[str, Any]) -> Iterator[str]:
    """Yield the sentences of one row."""
    text = row["text"]
    if not isinstance(text, str):
        raise TypeError(f"text is {type(text).__name__}")
    if "labels" in row or "probabilities" in row:
        spans: Sequence[tuple[int, int]] = [(0, len(text))]
    elif "sentences" in row:
        spans = [(sentence["start"], sentence["end"]) for sentence in row["sentences"]]
    else:
        spans = ctclassify.split_sentences(text)
    yield from (without_surrogates(text[start:end]) for start, end in spans if text[start:end].strip())


def screened(texts: Sequence[str], kept: set[str], model: ctclassify.SentenceClassifier) -> list[str]:
    """Leave out most sentences in which a model finds nothing.

    Parameters
    ----------
    texts : sequence of str
        Sentences.
    kept : set of str
        Sentences to keep whatever the model finds.
    model : SentenceClassifier
        Finds nothing where no label has a probability of 0.05.

    Returns
    -------
    list of str
        In order. Of those left out otherwise, the fifth whose checksum is lowest stays: a student must see them too.
    """
    finds_something = model.predict_proba(texts).max(1, initial=0.0) >= _SCREEN_BELOW
    return [
        text
        for text, is_found in zip(texts, finds_something, strict=True)
        if is_found or text in kept or hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[0] < _KEPT_OF_256
    ]


def _key(text: str) -> str:
    """Return what makes two sentences the same: letters and digits, whatever their case."""
    return "".join(filter(str.isalnum, text.casefold()))


def _check_teacher(
    output: Path, models: Sequence[ctclassify.SentenceClassifier], screen: ctclassify.SentenceClassifier | None
) -> None:
    """Write beside the output which teachers and which screen it is from; refuse to go on with others."""
    path = output.with_name(f"{output.name}.teachers.json")
    keys = ("sha256", "engine", "engine_version", "precision", "is_calibrated", "thresholds")

    def described(model: ctclassify.SentenceClassifier) -> dict[str, Any]:
        return {key: model.info()[key] for key in keys}

    now = {"teachers": list(map(described, models)), "screen": None if screen is None else described(screen)}
    if not output.exists():
        write_text(path, json.dumps(now, indent=1) + "\n")
        return
    then = read_json_object(path) if path.is_file() else {}
    # Files of older versions name no screen: their texts are compared one by one all the same.
    if {"screen": now["screen"], **then} != now:
        raise DataError(
            "is from other teachers, another screen or another engine; give another --output, or remove it",
            path=output,
        )


def _check_start(output: Path, texts: Sequence[str]) -> int:
    """Return how many texts an earlier start has written; refuse a file of other texts, drop a line cut short."""
    if not output.exists():
        return 0
    n_bytes = 0
    lines = output.read_bytes().split(b"\n")
    whole = lines[:-1]  # what follows the last newline is empty, or a line that a stop cut short
    for i, line in enumerate(whole):
        try:
            is_same = i < len(texts) and json.loads(line)["text"] == texts[i]
        except (ValueError, TypeError, KeyError):
            is_same = False
        if not is_same:
            message = "holds other sentences, or is damaged; give another --output, or remove it"
            raise DataError(message, path=output, line_number=i + 1)
        n_bytes += len(line) + 1
    with output.open("r+b") as file:  # cut in place: hours of a teacher's answers are never rewritten
        file.truncate(n_bytes)
    return len(whole)


def write_soft_labels(
    output: Path, texts: Sequence[str], models: Sequence[ctclassify.SentenceClassifier], *, n_done: int = 0
) -> None:
    """Append the averaged probabilities of texts to a file.

    Parameters
    ----------
    output : pathlib.Path
        JSON lines of ``text`` and ``probabilities``; made if absent.
    texts : sequence of str
        All sentences.
    models : sequence of SentenceClassifier
        At least one; all with the same labels in the same order.
    n_done : int
        Texts from the start that the file holds already.

    Raises
    ------
    DataError
        If the models' labels differ.
    """
    names = models[0].label_names
    if any(model.label_names != names for model in models):
        raise DataError("the models have different labels; give models of one set", path=models[-1].folder.path)
    with output.open("a", encoding="utf-8", newline="") as file:
        for start in range(n_done, len(texts), _AT_ONCE):
            part = texts[start : start + _AT_ONCE]
            mean = np.mean([model.predict_proba(part) for model in models], axis=0)
            for text, row in zip(part, mean, strict=True):
                values = {name: round(float(p), _DECIMALS) for name, p in zip(names, row, strict=True)}
                file.write(json.dumps({"text": text, "probabilities": values}, ensure_ascii=False) + "\n")
            file.flush()
            print(f"{min(start + _AT_ONCE, len(texts))} of {len(texts)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
