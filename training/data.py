"""Labelled sentences: reading, checking, turning into model inputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ctclassify.errors import DataError

__all__ = ["LabelledSentences", "indicator_matrix", "read_labelled", "sha256_file"]


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
    """

    texts: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    documents: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)


def read_labelled(paths: Sequence[Path], label_names: Sequence[str]) -> LabelledSentences:
    """Read JSON lines files of labelled sentences.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        Each line an object with ``text`` (str) and ``labels`` (list of label names). ``document`` or ``key``
        (str; what stands before its last ``#``) names the article; without either, each sentence is its own.
    label_names : sequence of str
        The labels that may occur.

    Returns
    -------
    LabelledSentences
        All files joined in order; length 0 where they are empty.

    Raises
    ------
    DataError
        On a missing file, or a line that is not such an object, has no text or an unknown label; it names the line.
    """
    known = frozenset(label_names)
    texts: list[str] = []
    labels: list[tuple[str, ...]] = []
    documents: list[str] = []
    for path in paths:
        if not path.is_file():
            raise DataError("no such file; training/prepare_data.py makes the data of the shipped configs", path=path)
        with path.open(encoding="utf-8") as lines:
            for line_number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                row = _parse_row(line, known, path, line_number)
                texts.append(row["text"])
                labels.append(tuple(row["labels"]))
                documents.append(_document(row) or f"{path.name}:{line_number}")
    return LabelledSentences(texts=tuple(texts), labels=tuple(labels), documents=tuple(documents))


def _parse_row(line: str, known: frozenset[str], path: Path, line_number: int) -> dict[str, Any]:
    """Return one checked row."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON: {error}", path=path, line_number=line_number) from error
    text, labels = (row.get("text"), row.get("labels")) if isinstance(row, dict) else (None, None)
    if not isinstance(text, str) or not text.strip():
        raise DataError('expected an object with a non-empty "text"', path=path, line_number=line_number)
    if not isinstance(labels, list):
        raise DataError('expected "labels" as a list of names, [] for none', path=path, line_number=line_number)
    for label in labels:
        if label not in known:
            message = f"unknown label {label!r}; known labels: {', '.join(sorted(known))}"
            raise DataError(message, path=path, line_number=line_number)
    return dict(row)


def _document(row: dict[str, Any]) -> str:
    """Return the article's key of a row, or the empty string."""
    if "document" in row:
        return str(row["document"])
    return str(row.get("key", "")).rpartition("#")[0]


def indicator_matrix(labels: Sequence[Sequence[str]], label_names: Sequence[str]) -> npt.NDArray[np.int8]:
    """Return the 0/1 matrix, int8, shape (n_texts, n_labels), columns in the order of ``label_names``."""
    column = {name: j for j, name in enumerate(label_names)}
    matrix = np.zeros((len(labels), len(label_names)), dtype=np.int8)
    for i, names in enumerate(labels):
        for name in names:
            matrix[i, column[name]] = 1
    return matrix


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
