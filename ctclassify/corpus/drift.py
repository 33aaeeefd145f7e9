"""Whether label rates, confidence or vocabulary moved from one run to another."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from ctclassify.corpus.intervals import ClusteredRate, difference
from ctclassify.corpus.results import RunResults
from ctclassify.corpus.settings import differences
from ctclassify.errors import CorpusError

__all__ = ["compare_runs"]

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_MAX_WORDS = 200_000
"""Most frequent words that are kept of half a run once it has twice as many, which bounds memory."""

_SHOWN_WORDS = 20
_PRIOR = 1000.0
"""Weight of the prior of the words' log-odds, in words."""


@dataclass(kw_only=True)
class _Words:
    """Words of a run, in two halves by turns of the articles."""

    halves: tuple[Counter[str], Counter[str]] = field(default_factory=lambda: (Counter(), Counter()))
    is_partial: bool = False

    def add(self, texts: list[str], n_article: int) -> None:
        counter = self.halves[n_article % 2]
        for text in texts:
            counter.update(word.casefold() for word in _WORD.findall(text))
        if len(counter) > 2 * _MAX_WORDS:
            kept = counter.most_common(_MAX_WORDS)
            counter.clear()
            counter.update(dict(kept))
            self.is_partial = True

    @property
    def all(self) -> Counter[str]:
        return self.halves[0] + self.halves[1]


@dataclass(kw_only=True)
class _Rates:
    """Rates of a run."""

    labels: dict[str, ClusteredRate]
    tagged: ClusteredRate = field(default_factory=ClusteredRate)
    review: ClusteredRate = field(default_factory=ClusteredRate)
    expected_errors: ClusteredRate = field(default_factory=ClusteredRate)
    words: _Words = field(default_factory=_Words)


def compare_runs(first: Path, second: Path) -> dict[str, Any]:
    """Compare two finished runs.

    Parameters
    ----------
    first, second : pathlib.Path
        Their folders.

    Returns
    -------
    dict
        In JSON types: ``settings`` (what differs between model, thresholds and versions: then rates may have moved for
        that reason), ``labels`` (share of sentences by label), ``tagged``, ``review``, ``expected_errors`` (per
        sentence), each as :class:`ctclassify.corpus.intervals.Difference`; and ``vocabulary``, None where a run has
        no text: ``new_words``, the share of the second run's words that the first lacks, None where not all words of
        the first were kept; Jensen-Shannon divergence in bits between the runs and between halves of each run, which
        is what chance gives at half the size; and the words that moved most, by log-odds with a Dirichlet prior
        (Monroe, Colaresi and Quinn, Fightin' Words, 2008, eq. 16 and 22) with 95% intervals.
        Sentences of an article are not taken as independent in rates; words, and near copies of an article, are.

    Raises
    ------
    RunFolderError
        If a folder holds no finished run.
    CorpusError
        If the runs have no label in common.
    """
    runs = (RunResults(first), RunResults(second))
    names = [name for name in runs[0].label_names if name in runs[1].label_names]
    if not names:
        raise CorpusError(f"{first} and {second}: the models have no label in common")
    before, after = (_gather(run, names) for run in runs)
    ignored = ("inputs", "output", "reading", "counts", "parts", "rejected", "machines")
    settings = [{key: value for key, value in run.manifest.items() if key not in ignored} for run in runs]
    has_text = all(run.with_text for run in runs)
    return {
        "runs": [str(first), str(second)],
        "n_articles": [run.manifest["counts"]["n_articles"] for run in runs],
        "n_sentences": [run.manifest["counts"]["n_sentences"] for run in runs],
        "settings": list(differences(settings[0], settings[1])),
        "labels": {name: asdict(difference(before.labels[name], after.labels[name], is_share=True)) for name in names},
        "tagged": asdict(difference(before.tagged, after.tagged, is_share=True)),
        "review": asdict(difference(before.review, after.review, is_share=True)),
        "expected_errors": asdict(difference(before.expected_errors, after.expected_errors, is_share=False)),
        "vocabulary": _compare_words(before.words, after.words) if has_text else None,
    }


def _gather(run: RunResults, names: list[str]) -> _Rates:
    """Go through a run's sentences once."""
    rates = _Rates(labels={name: ClusteredRate() for name in names})
    for n, rows in enumerate(_by_article(run)):
        size = len(rows)
        counts = Counter(label for row in rows for label in row[1])
        for name in names:
            rates.labels[name].add(counts[name], size)
        rates.tagged.add(sum(bool(row[1]) for row in rows), size)
        rates.review.add(sum(row[2] for row in rows), size)
        rates.expected_errors.add(sum(row[3] for row in rows), size)
        if run.with_text:
            rates.words.add([row[4] or "" for row in rows], n)
    return rates


def _by_article(run: RunResults) -> Iterator[list[list[Any]]]:
    """Yield the sentences of each article."""
    names = ["article_id", "labels", "needs_review", "expected_errors", *(["text"] if run.with_text else [])]
    for _, rows in groupby(run.sentences(names), key=lambda row: row[0]):
        yield list(rows)


def _compare_words(before: _Words, after: _Words) -> dict[str, Any]:
    """Return how far apart the words of two runs are, and which moved."""
    first, second = before.all, after.all
    sizes = first.total(), second.total()
    return {
        "n_words": list(sizes),
        "jensen_shannon": _jensen_shannon(first, second),
        "jensen_shannon_within": [_jensen_shannon(*before.halves), _jensen_shannon(*after.halves)],
        "new_words": _share_of_new(before, first, second),
        "moved": _moved(first, second) if all(sizes) else [],
    }


def _share_of_new(before: _Words, first: Counter[str], second: Counter[str]) -> float | None:
    """Return the share of the second run's words that the first lacks; None where that is not known."""
    if before.is_partial:
        return None
    n = second.total()
    return sum(count for word, count in second.items() if word not in first) / n if n else math.nan


def _jensen_shannon(first: Counter[str], second: Counter[str]) -> float:
    """Return the divergence of two distributions of words, in bits, from 0 to 1; NaN where one is empty."""
    n, m = first.total(), second.total()
    if not n or not m:
        return math.nan
    total = 0.0
    for word in first.keys() | second.keys():
        p, q = first[word] / n, second[word] / m
        middle = (p + q) / 2
        total += sum(x * math.log2(x / middle) for x in (p, q) if x)
    return max(total / 2, 0.0)


def _moved(first: Counter[str], second: Counter[str]) -> list[dict[str, Any]]:
    """Return the words whose log-odds moved most, by size of z."""
    n, m = first.total(), second.total()
    if len(first.keys() | second.keys()) < 2:  # the odds of the only word are infinite
        return []
    found = []
    for word in first.keys() | second.keys():
        prior = _PRIOR * (first[word] + second[word]) / (n + m)
        a, b = first[word] + prior, second[word] + prior
        delta = math.log(b / (m + _PRIOR - b)) - math.log(a / (n + _PRIOR - a))
        deviation = math.sqrt(1 / a + 1 / b)
        found.append((abs(delta / deviation), word, delta, deviation))
    found.sort(key=lambda each: (-each[0], each[1]))
    return [
        {
            "word": word,
            "first_per_million": first[word] / n * 1e6,
            "second_per_million": second[word] / m * 1e6,
            "log_odds": delta,
            "low": delta - 1.96 * deviation,
            "high": delta + 1.96 * deviation,
        }
        for z, word, delta, deviation in found[:_SHOWN_WORDS]
        if z > 1.96
    ]
