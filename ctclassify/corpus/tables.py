"""The two tables of a run: one row a sentence, one row an article."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ctclassify.article import Article
from ctclassify.corpus.records import Record

__all__ = ["ARTICLE_TYPES", "SENTENCE_TYPES", "Copy", "Table", "article_types", "sentence_types", "tables_of"]

SENTENCE_TYPES = {
    "article_id": "str",
    "input_file": "str",
    "row": "int",
    "sentence_index": "int",
    "start": "int",
    "end": "int",
    "text": "str",
    "labels": "labels",
    "is_truncated": "bool",
    "expected_errors": "double",
    "needs_review": "bool",
}
"""Columns of the sentences before the probabilities, ``p_<label>``, with their types."""

ARTICLE_TYPES = {
    "article_id": "str",
    "input_file": "str",
    "row": "int",
    "date": "str",
    "source": "str",
    "title": "str",
    "url": "str",
    "n_characters": "int",
    "n_sentences": "int",
    "n_tagged": "int",
    "n_review": "int",
    "n_truncated": "int",
    "near_copy_of": "str",
    "similarity": "double",
    "labels": "labels",
}
"""Columns of the articles before the sentences a label has, ``n_<label>``, with their types."""

Table = dict[str, list[Any]]
"""Columns by name, all of one length."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """An earlier article that says the same.

    Attributes
    ----------
    article_id : str
        Its id.
    similarity : float
        Share of the sentences of both that both have, in [0, 1].
    """

    article_id: str
    similarity: float


def sentence_types(label_names: Sequence[str], *, with_text: bool) -> dict[str, str]:
    """Return the columns of the sentence table with their types, in order."""
    base = {name: kind for name, kind in SENTENCE_TYPES.items() if with_text or name != "text"}
    return base | {f"p_{name}": "float" for name in label_names}


def article_types(label_names: Sequence[str]) -> dict[str, str]:
    """Return the columns of the article table with their types, in order."""
    return ARTICLE_TYPES | {f"n_{name}": "int" for name in label_names}


def tables_of(
    records: Sequence[Record],
    articles: Sequence[Article],
    copies: Sequence[Copy | None],
    label_names: Sequence[str],
    *,
    with_text: bool,
) -> tuple[Table, Table]:
    """Return the rows of the sentences and of the articles.

    Parameters
    ----------
    records : sequence of Record
        Articles as they were read.
    articles : sequence of Article
        The same articles, tagged.
    copies : sequence of Copy or None
        Of which earlier article each is a near copy.
    label_names : sequence of str
        The model's labels, in order.
    with_text : bool
        Whether the sentences' text is kept.

    Returns
    -------
    tuple of (dict, dict)
        Columns as :func:`sentence_types` and :func:`article_types` name them. Empty columns without articles.
    """
    sentences: Table = {name: [] for name in sentence_types(label_names, with_text=with_text)}
    rows: Table = {name: [] for name in article_types(label_names)}
    for record, article, copy in zip(records, articles, copies, strict=True):
        _add_sentences(sentences, record, article, label_names, with_text=with_text)
        _add_article(rows, record, article, copy, label_names)
    return sentences, rows


def _add_sentences(
    table: Table, record: Record, article: Article, label_names: Sequence[str], *, with_text: bool
) -> None:
    """Append the sentences of an article."""
    n = len(article.sentences)
    table["article_id"] += [record.article_id] * n
    table["input_file"] += [record.file] * n
    table["row"] += [record.row] * n
    table["sentence_index"] += range(n)
    for name in ("start", "end", "is_truncated", "expected_errors", "needs_review"):
        table[name] += [getattr(sentence, name) for sentence in article.sentences]
    table["labels"] += [list(sentence.labels) for sentence in article.sentences]
    if with_text:
        table["text"] += [sentence.text for sentence in article.sentences]
    for label in label_names:
        table[f"p_{label}"] += [sentence.probabilities[label] for sentence in article.sentences]


def _add_article(table: Table, record: Record, article: Article, copy: Copy | None, label_names: Sequence[str]) -> None:
    """Append one article."""
    its = article.sentences
    n_with = Counter(label for sentence in its for label in sentence.labels)
    row = {
        "article_id": record.article_id,
        "input_file": record.file,
        "row": record.row,
        "date": record.date,
        "source": record.source,
        "title": record.title,
        "url": record.url,
        "n_characters": len(record.text),
        "n_sentences": len(its),
        "n_tagged": sum(bool(sentence.labels) for sentence in its),
        "n_review": sum(sentence.needs_review for sentence in its),
        "n_truncated": sum(sentence.is_truncated for sentence in its),
        "near_copy_of": copy.article_id if copy else None,
        "similarity": copy.similarity if copy else None,
        "labels": list(article.labels),
        **{f"n_{label}": n_with[label] for label in label_names},
    }
    for name, value in row.items():
        table[name].append(value)
