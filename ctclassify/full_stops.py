"""Tell whether a full stop ends a sentence, or only an abbreviation, an initial or an enumerator."""

from __future__ import annotations

import re

from ctclassify.abbreviations import (
    CALENDAR,
    CERTAIN_OPENERS,
    INSTITUTIONS,
    LETTERED,
    OPENERS,
    ORDINARY_WORDS,
    PLURALS,
    UNITS,
    VERBS,
    Kind,
    kind_of,
)
from ctclassify.signs import LOOK_BACK, QUOTES, Scan, abbreviation_kind, is_clause, is_dateline, last_word

__all__ = ["ends_after_full_stop"]

# Every repetition is possessive or bounded: no input makes a pattern read a character more than a few times.
_LOWER_NEXT = re.compile(r" [a-z]")
_NUMBER = re.compile(r"\d|(?:[IVXLC]{2,6}|[VX]|[A-Z]{1,4}[-/]?\d[\w-]*)\Z")
_NUMBERED_ACT = re.compile(r"[A-Z]{1,6}/|(?:EC|EU|EEC)\)")
"""The start of a number without a digit: ``Doc. S/2001/5``, ``Reg. (EC) No 881/2002``."""
_ENUMERATOR = re.compile(r"[(\[]?(?:\d{1,3}|[^\W\d_]|[ivxIVX]{1,5})[)\]]?\Z")
_TIME_PHRASE = re.compile(r"(?:In|On|At|By|Around|About|Before|After|Since|Until|From|Last|Early|Late)\b[^,;]*\Z")
_TIME_ZONE = re.compile(r"(?:[A-Z][\w-]{1,20} ){1,2}[Tt]ime\b|[A-Z]{1,3}T\b")
_GOES_ON = re.compile(r"(?:Nos?|Part)\.? ?\d|Police (?:Department|Federation|Force|Service|Commissioner|Chief)\b")
"""Openers that go on what the abbreviation began: ``E.O. No. 13224``, ``31 C.F.R. Part 594``."""
_SUBJECT = re.compile(
    rf"(?P<name>[^\W\d_][\w’'-]{{1,30}})(?: [A-ZÀ-Þ][\w’'-]{{1,30}}\.?){{0,2}} (?:{'|'.join(sorted(VERBS))})\b"
)


def ends_after_full_stop(text: str, match: re.Match[str], first: int, follow: re.Match[str], scan: Scan) -> bool:
    """Decide after a full stop and a space, before a word that is not in lower case."""
    stop_position = match.start()
    if stop_position - first < 8 and _ENUMERATOR.match(text[first:stop_position]):
        return False
    last = last_word(text, match, first)
    start = stop_position - len(last)
    if last.isdigit() and len(last) < 3:
        # "The demands: 1. Release; 2. Pay": enumerators inside a paragraph.
        before = text[max(first, start - 3) : start].rstrip()
        return not (before.endswith(";") or (last == "1" and before.endswith(":")))
    kind = abbreviation_kind(last, is_lower_case=scan.is_lower_case)
    if kind is not None and "(" in follow["open"] and is_dateline(text, first, match):
        return False
    if kind is None:
        return text[stop_position - 1 : stop_position] != "/"  # "MOSCOW, June 3. /TASS/. Gunmen"
    if scan.is_lower_case and follow["word"][0].islower():
        return last in ORDINARY_WORDS and not is_clause(text, follow, scan)
    if kind is Kind.NUMBERED:
        return not _is_number(text, last, follow, scan)
    # A sentence does not consist of an abbreviation; brackets hold one inside a sentence.
    if ")" in match["close"] or not scan.has_letter(first, start):
        return False
    if kind in (Kind.MONTH, Kind.CLOCK):
        is_adverbial = start - first < 24 and _TIME_PHRASE.match(text, first, start) and follow["word"] not in OPENERS
        return not is_adverbial and _ends_after_time(text, kind, follow)
    return _ends_after_abbreviation(text, last, kind, start, match["close"], follow)


def _is_number(text: str, last: str, follow: re.Match[str], scan: Scan) -> bool:
    """Return whether the number, or another abbreviation, follows that makes ``last`` an abbreviation."""
    word, position = follow["word"], follow.start("word")
    if _NUMBER.match(word) or is_clause(text, follow, scan):
        return True
    if last.lower() == "no":
        return False
    return kind_of(word) is Kind.NUMBERED or _NUMBERED_ACT.match(text, position) is not None


def _ends_after_time(text: str, kind: Kind, follow: re.Match[str]) -> bool:
    """Decide after a month, a day or a clock time: a date or a time zone goes on."""
    word = follow["word"]
    if word in CALENDAR:
        return False
    if kind is Kind.MONTH:
        return not word[0].isdigit()
    return "(" not in follow["open"] and not _TIME_ZONE.match(text, follow.start("word"))


def _ends_after_abbreviation(text: str, last: str, kind: Kind, start: int, close: str, follow: re.Match[str]) -> bool:
    """Decide after any other abbreviation ``last``, which starts at ``start``, by its kind and what follows."""
    word, position = follow["word"], follow.start("word")
    if kind is Kind.TITLE:
        return word in CERTAIN_OPENERS and last[0].isupper() and len(last) > 1
    if word[0].isdigit() or "(" in follow["open"]:
        return False
    if _GOES_ON.match(text, position):
        return False
    before = text[max(0, start - LOOK_BACK) : start].rstrip()
    if any(quote in close for quote in QUOTES):  # “He left the U.S.” Roe stayed; but: the “U.S.” Army
        return text[start - 1] not in QUOTES
    if word in OPENERS or (len(last) == 1 and before.lower().endswith(LETTERED)):
        return True
    if kind is Kind.PLACE and before.endswith(","):
        return True
    if last in UNITS and (before[-1:].isdigit() or before.lower().endswith(("sq.", "square"))):
        return True
    if len(last) > 1 and any(quote in follow["open"] for quote in '"“«'):
        return True
    subject = _SUBJECT.match(text, position)
    is_plural_subject = word in PLURALS and _LOWER_NEXT.match(text, follow.end())
    if not is_plural_subject and (subject is None or subject["name"] in INSTITUTIONS):
        return False
    previous = before.split()[-1:]
    if kind is Kind.SUFFIX:  # "He joined Acme Inc. Marlowe said", but not "the nun Sr. Maria said"
        return bool(previous) and previous[0][0].isupper()
    return "." in last and previous == ["the"]  # "fled to the U.A.E. Marlowe said", but not "J.K. Marlowe said"
