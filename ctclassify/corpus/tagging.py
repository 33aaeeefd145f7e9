"""Tag one part: the one function that every way of running a corpus calls."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from ctclassify.article import Article, Sentence
from ctclassify.thresholds import Thresholds

__all__ = ["ArticleTagger", "articles_from_json", "articles_to_json", "tag_texts"]


class ArticleTagger(Protocol):
    """What a run needs of a classifier; :class:`ctclassify.SentenceClassifier` has it."""

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels in order."""

    @property
    def thresholds(self) -> dict[str, float]:
        """The stored thresholds."""

    @property
    def threshold_sets(self) -> dict[str, dict[str, float]]:
        """The stored sets of thresholds that have a name."""

    def info(self) -> dict[str, Any]:
        """Return what made the predictions."""

    def predict_stream(self, articles: Sequence[str], *, thresholds: Thresholds = None) -> Iterator[Article]:
        """Tag articles."""


def tag_texts(classifier: ArticleTagger, texts: Sequence[str], thresholds: Mapping[str, float]) -> list[Article]:
    """Tag the articles of one part, on their own.

    Parameters
    ----------
    classifier : ArticleTagger
        The model.
    texts : sequence of str
        All articles of the part. Batches never reach beyond it: what a part's probabilities are, to the last bit,
        depends on nothing but the part.
    thresholds : mapping of str to float
        One for each label.

    Returns
    -------
    list of Article
        One a text, in order.
    """
    return list(classifier.predict_stream(texts, thresholds=thresholds))


def articles_to_json(articles: Sequence[Article]) -> str:
    """Return tagged articles as JSON that loses nothing, for their way from another process; texts are left out."""
    return json.dumps([[article.labels, list(map(_fields, article.sentences))] for article in articles])


def _fields(sentence: Sentence) -> list[Any]:
    """Return a sentence's fields in the order of :func:`articles_from_json`, without its text."""
    probabilities = list(sentence.probabilities.values())
    judged = (probabilities, sentence.is_truncated, sentence.expected_errors, sentence.needs_review)
    return [sentence.start, sentence.end, sentence.labels, *judged]


def articles_from_json(packed: str, texts: Sequence[str], label_names: Sequence[str]) -> list[Article]:
    """Return the articles that :func:`articles_to_json` packed.

    Parameters
    ----------
    packed : str
        Its result.
    texts : sequence of str
        The articles' texts, in the same order.
    label_names : sequence of str
        The model's labels, in order.

    Returns
    -------
    list of Article
    """
    return [
        Article(
            text=text,
            labels=tuple(labels),
            sentences=tuple(
                Sentence(
                    text=text[start:end],
                    start=start,
                    end=end,
                    labels=tuple(its),
                    probabilities=dict(zip(label_names, probabilities, strict=True)),
                    is_truncated=is_truncated,
                    expected_errors=errors,
                    needs_review=needs_review,
                )
                for start, end, its, probabilities, is_truncated, errors, needs_review in sentences
            ),
        )
        for text, (labels, sentences) in zip(texts, json.loads(packed), strict=True)
    ]
