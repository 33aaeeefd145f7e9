"""What a part and a run hold, and whether it adds up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ctclassify.article import Article
from ctclassify.corpus.reading import Part
from ctclassify.corpus.records import Record, Rejection
from ctclassify.corpus.tables import Copy

__all__ = ["TOTALS", "add_up", "count_part"]

TOTALS = (
    *("n_items", "n_articles", "n_rejected", "n_near_copies"),
    *("n_sentences", "n_tagged", "n_review", "n_truncated"),
)
"""Counts of a part and of a run: items read (articles and rejected ones), articles written, rejected items, near
copies among the articles; sentences, and those with a label, for review, and read in windows."""


def count_part(
    part: Part,
    kept: Sequence[Record],
    articles: Sequence[Article],
    copies: Sequence[Copy | None],
    rejections: Sequence[Rejection],
) -> dict[str, Any]:
    """Return the counts of one part, in JSON types.

    Parameters
    ----------
    part : Part
        As it was read.
    kept : sequence of Record
        The articles that are written.
    articles : sequence of Article
        The same, tagged.
    copies : sequence of Copy or None
        The same, of which earlier articles they are copies.
    rejections : sequence of Rejection
        What is not written.

    Returns
    -------
    dict
        :data:`TOTALS`, ``n_rejected_files`` (of the rejected items, those that are whole files), ``reasons``,
        ``label_counts`` (sentences) and ``article_label_counts`` by name, and ``by_file``: articles and rejected items
        by the input's index.
    """
    sentences = [sentence for article in articles for sentence in article.sentences]
    kept_ids = {id(record) for record in kept}
    by_file: dict[str, list[int]] = {}
    for item, file in zip(part.items, part.files, strict=True):
        by_file.setdefault(str(file), [0, 0])[id(item) not in kept_ids] += 1
    return {
        "n_items": len(part.items),
        "n_articles": len(kept),
        "n_rejected": len(rejections),
        "n_rejected_files": sum(rejection.row is None for rejection in rejections),
        "n_near_copies": sum(copy is not None for copy in copies),
        "n_sentences": len(sentences),
        "n_tagged": sum(bool(sentence.labels) for sentence in sentences),
        "n_review": sum(sentence.needs_review for sentence in sentences),
        "n_truncated": sum(sentence.is_truncated for sentence in sentences),
        "reasons": _counted(rejection.reason for rejection in rejections),
        "label_counts": _counted(label for sentence in sentences for label in sentence.labels),
        "article_label_counts": _counted(label for article in articles for label in article.labels),
        "by_file": by_file,
    }


def _counted(names: Any) -> dict[str, int]:
    """Return how often each name occurs, by name."""
    return dict(sorted(Counter(names).items()))


def add_up(records: Sequence[Mapping[str, Any]], label_names: Sequence[str], n_files: int) -> dict[str, Any]:
    """Return the counts of a run from those of its parts.

    Parameters
    ----------
    records : sequence of mapping
        As :func:`count_part` gives them.
    label_names : sequence of str
        The model's labels: every one is listed, in order, also with 0.
    n_files : int
        Input files.

    Returns
    -------
    dict
        As :func:`count_part`, ``by_file`` a list of ``[n_articles, n_rejected]``, one an input.
    """
    total: dict[str, Any] = {name: sum(record[name] for record in records) for name in TOTALS}
    total["n_rejected_files"] = sum(record.get("n_rejected_files", 0) for record in records)  # new in the records
    for group in ("reasons", "label_counts", "article_label_counts"):
        counter: Counter[str] = Counter()
        for record in records:
            counter.update(record[group])
        total[group] = dict(sorted(counter.items()))
    for group in ("label_counts", "article_label_counts"):
        total[group] = {name: total[group].get(name, 0) for name in label_names}
    total["by_file"] = [[0, 0] for _ in range(n_files)]
    for record in records:
        for file, (n_articles, n_rejected) in record["by_file"].items():
            total["by_file"][int(file)][0] += n_articles
            total["by_file"][int(file)][1] += n_rejected
    return total
