"""A teacher's probabilities: reading them, and joining them to the training sentences."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ctclassify.errors import DataError
from ctclassify.tokenization import without_surrogates
from training.data import LabelledSentences, indicator_matrix
from training.files import read_lines

__all__ = ["SoftLabels", "join_targets", "read_soft_labels"]


@dataclass(frozen=True, kw_only=True)
class SoftLabels:
    """Sentences with a teacher's probabilities, in the order of the files.

    Attributes
    ----------
    texts : tuple of str
        One a sentence, each once: of a text that occurs again the first counts.
    probabilities : ndarray of float32, shape (n_texts, n_labels)
        In [0, 1].
    """

    texts: tuple[str, ...]
    probabilities: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.texts)


def read_soft_labels(paths: Sequence[Path], label_names: Sequence[str]) -> SoftLabels:
    """Read JSON lines of ``text`` and ``probabilities``, an object of label to number.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        Files as training/soft_label.py writes them.
    label_names : sequence of str
        The labels that each row must have, in the order of the columns; others in the row are left out.

    Returns
    -------
    SoftLabels
        All files joined in order; length 0 where they are empty.

    Raises
    ------
    DataError
        On a missing file, or a line that is no such object; it names the line.
    """
    rows: dict[str, list[float]] = {}
    for path in paths:
        if not path.is_file():
            raise DataError("no such file (training/soft_label.py writes it)", path=path)
        for line_number, line in read_lines(path):
            try:
                text, values = _parse(line, label_names)
            except ValueError as error:
                raise DataError(str(error), path=path, line_number=line_number) from error
            rows.setdefault(text, values)
    matrix = np.array(list(rows.values()), dtype=np.float32).reshape(len(rows), len(label_names))
    return SoftLabels(texts=tuple(rows), probabilities=matrix)


def _parse(line: str, label_names: Sequence[str]) -> tuple[str, list[float]]:
    """Return text and probabilities of a line."""
    row: Any = json.loads(line)
    text = row.get("text") if isinstance(row, dict) else None
    probabilities = row.get("probabilities") if isinstance(row, dict) else None
    if not isinstance(text, str) or not text.strip() or not isinstance(probabilities, dict):
        raise ValueError('expected an object with a non-empty "text" and "probabilities" by label')
    return without_surrogates(text), [_probability(probabilities.get(name), name) for name in label_names]


def _probability(value: Any, name: str) -> float:
    """Return a number in [0, 1]."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or math.isnan(value) or not 0 <= value <= 1:
        raise ValueError(f"probability of {name} is {value!r}; expected a number in [0, 1]")
    return float(value)


def join_targets(
    train: LabelledSentences, soft: SoftLabels, label_names: Sequence[str]
) -> tuple[list[str], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Join labels and a teacher's probabilities by text.

    Parameters
    ----------
    train : LabelledSentences
        The labelled sentences.
    soft : SoftLabels
        The teacher's.
    label_names : sequence of str
        The labels, in the order of the columns.

    Returns
    -------
    texts : list of str
        The labelled sentences in order, then the teacher's that are not among them.
    labels : ndarray of float32, shape (n_texts, n_labels)
        0 or 1; NaN in the rows of texts without labels.
    soft_labels : ndarray of float32, shape (n_texts, n_labels)
        Probabilities; NaN in the rows of texts that the teacher did not see.
    """
    row_of = {text: i for i, text in enumerate(soft.texts)}
    known = set(train.texts)
    others = [i for i, text in enumerate(soft.texts) if text not in known]
    texts = [*train.texts, *(soft.texts[i] for i in others)]
    n_labels = len(label_names)
    labels = np.full((len(texts), n_labels), np.nan, dtype=np.float32)
    labels[: len(train)] = indicator_matrix(train.labels, label_names)
    soft_labels = np.full_like(labels, np.nan)
    for i, text in enumerate(train.texts):
        if text in row_of:
            soft_labels[i] = soft.probabilities[row_of[text]]
    soft_labels[len(train) :] = soft.probabilities[others]
    return texts, labels, soft_labels
