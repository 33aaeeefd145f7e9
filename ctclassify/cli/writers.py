"""Machine formats of ``ctclassify tag``."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Any, Protocol, TextIO

from ctclassify._version import __version__
from ctclassify.article import Article

__all__ = ["ArticleWriter", "CsvWriter", "JsonWriter", "JsonlWriter", "sentence_rows"]


class ArticleWriter(Protocol):
    """Writes tagged articles, one after another."""

    def write(self, source: str, article: Article) -> None:
        """Write one article; ``source`` is the name of its input."""

    def close(self) -> None:
        """Write what follows the last article."""


def sentence_rows(article: Article, shown: tuple[str, ...], *, only_tagged: bool) -> Iterator[dict[str, Any]]:
    """Yield each sentence in JSON types with its ``index``, reduced to the labels to show."""
    for index, sentence in enumerate(article.sentences):
        row = sentence.to_dict()
        row["labels"] = [name for name in row["labels"] if name in shown]
        row["probabilities"] = {name: row["probabilities"][name] for name in shown}
        if row["labels"] or not only_tagged:
            yield {"index": index, **row}


class JsonlWriter:
    """One JSON object a sentence: source, index, start, end, text, labels, probabilities, is_truncated."""

    def __init__(self, stream: TextIO, shown: tuple[str, ...], *, only_tagged: bool) -> None:
        self._stream, self._shown, self._only_tagged = stream, shown, only_tagged

    def write(self, source: str, article: Article) -> None:
        """Write one article."""
        for row in sentence_rows(article, self._shown, only_tagged=self._only_tagged):
            self._stream.write(json.dumps({"source": source, **row}, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Write nothing more."""


class CsvWriter:
    """One row a sentence: source, index, start, end, labels (joined by ``|``), is_truncated, text, p_<label> each."""

    def __init__(self, stream: TextIO, shown: tuple[str, ...], *, only_tagged: bool) -> None:
        self._shown, self._only_tagged = shown, only_tagged
        # All text is quoted: csv would leave a lone carriage return bare, which readers take for the end of a row.
        self._csv = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        columns = ["source", "index", "start", "end", "labels", "is_truncated", "text"]
        self._csv.writerow(columns + [f"p_{name}" for name in shown])

    def write(self, source: str, article: Article) -> None:
        """Write one article."""
        for row in sentence_rows(article, self._shown, only_tagged=self._only_tagged):
            start = [source, row["index"], row["start"], row["end"], "|".join(row["labels"])]
            truncated = "true" if row["is_truncated"] else "false"
            self._csv.writerow([*start, truncated, row["text"], *row["probabilities"].values()])

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
        shown: tuple[str, ...],
        *,
        only_tagged: bool,
        provenance: dict[str, Any],
        failures: list[str],
    ) -> None:
        self._stream, self._shown, self._only_tagged = stream, shown, only_tagged
        self._failures = failures
        self._separator = "\n"
        head = json.dumps({"ctclassify": __version__, "provenance": provenance}, ensure_ascii=False, indent=1)
        self._stream.write(head.removesuffix("\n}") + ',\n "articles": [')

    def write(self, source: str, article: Article) -> None:
        """Write one article."""
        rows = list(sentence_rows(article, self._shown, only_tagged=self._only_tagged))
        labels = [name for name in article.labels if name in self._shown]
        document = {"source": source, "labels": labels, "sentences": rows}
        self._stream.write(self._separator + json.dumps(document, ensure_ascii=False, indent=1))
        self._separator = ",\n"

    def close(self) -> None:
        """Close the document."""
        self._stream.write(f'\n ],\n "failed_inputs": {json.dumps(self._failures)}\n}}\n')
