"""Short articles by repetition with variation, for measuring: the same number gives the same article."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

__all__ = ["article_text", "jsonl_lines"]

_PLACES = ("Arden", "Belmora", "Cassin", "Dorvale", "Estrin", "Farrow", "Galdan", "Hesper", "Isk", "Jorvan")
_GROUPS = ("the Northern Front", "a splinter faction", "the river militia", "two armed men", "a banned movement")
_OPENINGS = (
    "A roadside bomb killed {n} soldiers near {place} on {day}, the regional command said.",
    "Police in {place} arrested {n} people suspected of raising money for {group}.",
    "Envoys from {n} countries met in {place} on {day} to discuss the border.",
    "The market in {place} reopened on {day} after {n} weeks of repairs.",
    "A court in {place} sentenced {n} members of {group} to between four and nine years.",
)
_MIDDLES = (
    "Witnesses counted {n} vehicles on the road out of {place}.",
    "{Group} said in a statement that it had carried out the attack.",
    "The mayor of {place} condemned the violence and asked residents to stay at home.",
    "Rain delayed the convoy for {n} hours, and the meeting began late.",
    "Troops searched {n} houses in {place} and found rifles under a floor.",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def article_text(number: int) -> str:
    """Return an article of two or three sentences; few are alike word for word."""
    rng = random.Random(number)
    sentences = []
    for pattern in (rng.choice(_OPENINGS), *rng.sample(_MIDDLES, rng.randint(1, 2))):
        group = rng.choice(_GROUPS)
        fields = {"n": rng.randint(2, 90), "place": rng.choice(_PLACES), "day": rng.choice(_DAYS), "group": group}
        sentences.append(pattern.format(**fields, Group=group[0].upper() + group[1:]))
    return " ".join(sentences)


def jsonl_lines(n_articles: int) -> Iterator[bytes]:
    """Yield articles as JSON lines with ids, dates and sources."""
    for i in range(n_articles):
        row = {"id": f"a{i}", "text": article_text(i), "date": f"2024-{1 + i % 12:02}-{1 + i % 28:02}"}
        yield json.dumps({**row, "source": f"paper {i % 17}"}).encode() + b"\n"
