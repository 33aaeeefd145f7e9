"""Machine formats of ``ctclassify tag``."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

from ctclassify._version import __version__
from ctclassify.article import Article

__all__ = ["ArticleWriter", "CsvWriter", "JsonWriter", "JsonlWriter", "Selection", "sentence_rows"]


class ArticleWriter(Protocol):
    """Writes tagged articles, one after another."""

    def write(self, source: str, article: Article) -> None:
        """Write one article; ``source`` is the name of its input."""

    def close(self) -> None:
        """Write what follows the last article."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What of an article is written.

    Attributes
    ----------
    labels : tuple of str
        The labels to report, in the model's order.
    only_tagged : bool
        Leave out sentences without one of them.
    only_review : bool
        Leave out sentences that need no review.
    """

    labels: tuple[str, ...]
    only_tagged: bool = False
    only_review: bool = False


def sentence_rows(article: Article, selection: Selection) -> Iterator[dict[str, Any]]:
    """Yield each selected sentence in JSON types with its ``index``, reduced to the labels to show."""
    shown = selection.labels
    for index, sentence in enumerate(article.sentences):
        row = sentence.to_dict()
        row["labels"] = [name for name in row["labels"] if name in shown]
        row["probabilities"] = {name: row["probabilities"][name] for name in shown}
        if (row["labels"] or not selection.only_tagged) and (sentence.needs_review or not selection.only_review):
            yield {"index": index, **row}


class JsonlWriter:
    """One JSON object a sentence: source, index, and what ``Sentence.to_dict`` gives."""

    def __init__(self, stream: TextIO, selection: Selection) -> None:
        self._stream, self._selection = stream, selection

    def write(self, source: str, article: Article) -> None:
        """Write one article."""
        for row in sentence_rows(article, self._selection):
            self._stream.write(json.dumps({"source": source, **row}, ensure_ascii=False, allow_nan=False) + "\n")

    def close(self) -> None:
        """Write nothing more."""


_COLUMNS = (*("source", "index", "start", "end", "labels", "is_truncated", "expected_errors", "needs_review", "text"),)
"""Columns of the CSV format before the probabilities."""


class CsvWriter:
    """One row a sentence: the columns of :data:`_COLUMNS`, labels joined by ``|``, then p_<label> of each label."""

    def __init__(self, stream: TextIO, selection: Selection) -> None:
        self._selection = selection
        # All text is quoted: csv would leave a lone carriage return bare, which readers take for the end of a row.
        self._csv = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        self._csv.writerow([*_COLUMNS, *(f"p_{name}" for name in selection.labels)])

    def write(self, source: str, article: Article) -> None:
        """Write one article."""
        for row in sentence_rows(article, self._selection):
            cells = {"source": source, **row, "labels": "|".join(row["labels"])}
            for key in ("is_truncated", "needs_review"):
                cells[key] = "true" if row[key] else "false"
            self._csv.writerow([*(cells[name] for name in _COLUMNS), *row["probabilities"].values()])

    def close(self) -> None:
        """Write nothing more."""


class JsonWriter:
    """One document of ``ctclassify`` (version), ``provenance``, ``articles`` and ``failed_inputs``.

    Written article by article. ``failures`` is a list that the caller fills with the names of inputs that could not be
    read.
    """

    def __init__(
        self,
        stream: TextIO,
        selection: Selection,
        *,
        provenance: dict[str, Any],
        failures: list[str],
    ) -> None:
        self._stream, self._selection = stream, selection
        self._failures = failures
        self._separator = "\n"
        head = json.dumps(
            {"ctclassify": __version__, "provenance": provenance}, ensure_ascii=False, indent=1, allow_nan=False
        )
        self._stream.write(head.removesuffix("\n}") + ',\n "articles": [')

    def write(self, source: str, article: Article) -> None:
        """Write one article."""
        rows = list(sentence_rows(article, self._selection))
        labels = [name for name in article.labels if name in self._selection.labels]
        document = {"source": source, "labels": labels, "sentences": rows}
        self._stream.write(self._separator + json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False))
        self._separator = ",\n"

    def close(self) -> None:
        """Close the document."""
        self._stream.write(f'\n ],\n "failed_inputs": {json.dumps(self._failures)}\n}}\n')
