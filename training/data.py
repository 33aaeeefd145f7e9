"""Labelled sentences: reading, checking, turning into model inputs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ctclassify.errors import DataError
from ctclassify.tokenization import without_surrogates
from training.files import read_lines

__all__ = [
    "LabelledSentences",
    "document_of",
    "indicator_matrix",
    "labels_without_positives",
    "parse_object",
    "read_labelled",
    "refuse_twice",
]


@dataclass(frozen=True, kw_only=True)
class LabelledSentences:
    """Sentences with their labels, in the order of the files.

    Attributes
    ----------
    texts : tuple of str
        One a sentence.
    labels : tuple of tuple of str
        Label names of each sentence; empty for none.
    documents : tuple of str
        Key of the article of each sentence: the group for splits and the bootstrap.
    fields : mapping of str to tuple of (str or None)
        Further fields that were asked for, such as ``source``: their value for each sentence, None where it has none.
    """

    texts: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    documents: tuple[str, ...]
    fields: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.texts)


def refuse_twice(paths: Sequence[Path]) -> None:
    """Refuse a file given twice: where figures or thresholds come from it, each sentence would count twice.

    Raises
    ------
    DataError
        If two paths lead to one file.
    """
    seen = set()
    for path in paths:
        if path.resolve() in seen:
            raise DataError("given twice with --data, so each sentence would count twice; give it once", path=path)
        seen.add(path.resolve())


def read_labelled(
    paths: Sequence[Path], label_names: Sequence[str], *, keep_fields: Sequence[str] = ()
) -> LabelledSentences:
    """Read JSON lines files of labelled sentences or labelled articles.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        Each line is a sentence, an object with ``text`` (str; lone surrogates are read as U+FFFD) and ``labels`` (list
        of label names), or an article, an object with ``text`` and ``sentences``: a list of objects with ``start`` and
        ``end`` (offsets in characters, end exclusive) and ``labels``. ``document``, ``key`` (what stands before its
        last ``#``, all of it without one) or an article's ``id``, each a string, names the article; without any, each
        line is its own.
    label_names : sequence of str
        The labels that may occur.
    keep_fields : sequence of str
        Further fields of a line to keep; the sentences of an article have those of the article.

    Returns
    -------
    LabelledSentences
        All files joined in order; length 0 where they are empty.

    Raises
    ------
    DataError
        On a missing file, or a line that is not UTF-8, no such object, has no text, offsets outside the text, an
        unknown label, or an article's name or a kept field that is no string; it names the line.
    """
    known = frozenset(label_names)
    texts: list[str] = []
    labels: list[tuple[str, ...]] = []
    documents: list[str] = []
    fields: dict[str, list[str | None]] = {name: [] for name in keep_fields}
    for path in paths:
        if not path.is_file():
            raise DataError("no such file (training/prepare_data.py makes those in data/prepared)", path=path)
        for line_number, line in read_lines(path):
            try:
                row = parse_object(line)
                document = document_of(row) or f"{path.resolve()}:{line_number}"
                kept = {name: _checked_field(row, name) for name in fields}
                for sentence in _sentences(row):
                    texts.append(_checked_text(sentence))
                    labels.append(_checked_labels(sentence, known))
                    documents.append(document)
                    for name, values in fields.items():
                        values.append(kept[name])
            except ValueError as error:
                message = f"{error}{_table_hint(path)}"
                raise DataError(message, path=path, line_number=line_number) from error
    return LabelledSentences(
        texts=tuple(texts),
        labels=tuple(labels),
        documents=tuple(documents),
        fields={name: tuple(values) for name, values in fields.items()},
    )


def _table_hint(path: Path) -> str:
    """Return what to do about a table given as data; nothing for another file."""
    if path.suffix.lower() != ".csv":
        return ""
    rows = f'csv.DictReader(open({str(path)!r}, encoding="utf-8-sig", newline=""))'
    code = (
        'import csv, json; [print(json.dumps({"text": row["text"], '
        f'"labels": [name for name in row["labels"].split("|") if name]}})) for row in {rows}]'
    )
    return (
        "; it seems to be a table; JSON lines are expected. With columns text and labels, these joined by a bar, "
        f"convert it with: python -c {shlex.quote(code)} > {shlex.quote(str(path.with_suffix('.jsonl')))}"
    )


def parse_object(line: str) -> dict[str, Any]:
    """Return the JSON object of a line; ValueError where it holds none."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(row, dict):
        raise ValueError(f"expected an object, got {type(row).__name__}")
    return row


def _sentences(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the labelled sentences of a row, itself where it is one."""
    if "sentences" not in row:
        yield row
        return
    text, sentences = row.get("text"), row["sentences"]
    if not isinstance(text, str) or not isinstance(sentences, list):
        raise ValueError('expected an article with "text" and a list of "sentences"')
    for i, sentence in enumerate(sentences):
        start, end = (sentence.get(key) if isinstance(sentence, dict) else None for key in ("start", "end"))
        if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start < end <= len(text):
            raise ValueError(f"sentence {i}: start {start!r}, end {end!r}; expected 0 <= start < end <= {len(text)}")
        yield {"text": text[start:end], "labels": sentence.get("labels")}


def _checked_text(sentence: dict[str, Any]) -> str:
    """Return a sentence's text."""
    text = sentence.get("text")
    if not isinstance(text, str) or not text.strip():
        raise ValueError('expected a non-empty "text"')
    return without_surrogates(text)


def _checked_labels(sentence: dict[str, Any], known: frozenset[str]) -> tuple[str, ...]:
    """Return a sentence's labels."""
    labels = sentence.get("labels")
    if not isinstance(labels, list):
        raise ValueError('expected "labels" as a list of names, [] for none')
    for label in labels:
        if not isinstance(label, str) or label not in known:
            raise ValueError(f"unknown label {label!r}; known labels: {', '.join(sorted(known))}")
    return tuple(labels)


def _checked_field(row: dict[str, Any], name: str) -> str | None:
    """Return a row's value of a field to keep, None where it has none."""
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f'expected "{name}" as a string, got {value!r}; leave it out if none')
    return value


def document_of(row: dict[str, Any]) -> str:
    """Return the article's name of a row, or the empty string where it has none; ValueError where it is no string."""
    fields = ("document", "key", "id") if "sentences" in row else ("document", "key")
    field = next((field for field in fields if field in row), None)
    if field is None:
        return ""
    name = row[field]
    if not isinstance(name, str):
        raise ValueError(
            f'expected "{field}", the name of the article, as a string, got {name!r}; leave it out if none'
        )
    return name.rpartition("#")[0] if field == "key" and "#" in name else name


def indicator_matrix(labels: Sequence[Sequence[str]], label_names: Sequence[str]) -> npt.NDArray[np.int8]:
    """Return the 0/1 matrix, int8, shape (n_texts, n_labels), columns in the order of ``label_names``."""
    column = {name: j for j, name in enumerate(label_names)}
    matrix = np.zeros((len(labels), len(label_names)), dtype=np.int8)
    for i, names in enumerate(labels):
        for name in names:
            matrix[i, column[name]] = 1
    return matrix


def labels_without_positives(sentences: LabelledSentences, label_names: Sequence[str]) -> tuple[str, ...]:
    """Return the labels that no sentence has, in the order of ``label_names``."""
    seen = {name for names in sentences.labels for name in names}
    return tuple(name for name in label_names if name not in seen)
