"""What a tagged article is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Article", "Sentence"]

_DECIMALS = 6
"""Decimals of a probability in ``to_dict``: float32 holds no more that matter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sentence:
    """One sentence of an article with its labels.

    Attributes
    ----------
    text : str
        The sentence, without surrounding whitespace; equal to ``article.text[start:end]``.
    start, end : int
        Offsets into the article's text, in characters (code points), end exclusive.
    labels : tuple of str
        Labels at or above their thresholds, in the model's order; empty for none.
    probabilities : dict of str to float
        Probability of every label, in [0, 1], in the model's order. Labels are independent: they need not sum to 1.
    is_truncated : bool
        True where the sentence is longer than the model reads at once (512 tokens in the shipped model). It was then
        read in
        overlapping windows, with the maximum over the windows as each label's probability: all of it was seen, but no
        window saw all of it.
    expected_errors : float
        How many of the sentence's label decisions are expected to be wrong, from 0; see
        :func:`ctclassify.review.expected_errors`.
    needs_review : bool
        True where ``expected_errors`` is above the model's review limit: a person should check the sentence.
    """

    text: str
    start: int
    end: int
    labels: tuple[str, ...]
    probabilities: dict[str, float] = field(hash=False)
    is_truncated: bool
    expected_errors: float = 0.0
    needs_review: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the sentence in JSON types, probabilities rounded to six decimals."""
        return {
            "start": self.start,
            "end": self.end,
            "text": self.text,
            "labels": list(self.labels),
            "probabilities": {name: round(value, _DECIMALS) for name, value in self.probabilities.items()},
            "is_truncated": self.is_truncated,
            "expected_errors": round(self.expected_errors, _DECIMALS),
            "needs_review": self.needs_review,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Article:
    """An article, split and tagged.

    Attributes
    ----------
    text : str
        The article as it was given.
    sentences : tuple of Sentence
        In the order of the text; empty where the text is empty or blank.
    labels : tuple of str
        Labels of the article: those of any of its sentences, in the model's order.
    """

    text: str
    sentences: tuple[Sentence, ...]
    labels: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return labels and sentences in JSON types; the article's own text is left out, the sentences carry it."""
        return {
            "labels": list(self.labels),
            "sentences": [sentence.to_dict() for sentence in self.sentences],
        }
