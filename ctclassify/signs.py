"""What marks and line breaks are judged by: signs, the words before and after, what stands in the unit."""

from __future__ import annotations

import re
from typing import cast

from ctclassify.abbreviations import ORDINARY_WORDS, Kind, kind_of

__all__ = [
    "CLOSING",
    "DASHES",
    "DATELINE",
    "INVISIBLE",
    "LOOK_BACK",
    "MARKS",
    "NAME_IN_LOWER_CASE",
    "OPENING",
    "QUOTES",
    "UNSPACED",
    "Scan",
    "abbreviation_kind",
    "is_clause",
    "is_dateline",
    "last_word",
    "match_following",
]

INVISIBLE = "\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
OPENING = "\"'“‘„‚«‹”’»(\\[{¿¡*_「『（【《〈"
CLOSING = "\"'”’»›)\\]}*_」』）】》〉"
UNSPACED = "。！？｡؟۔।॥።፧။។։"
"""Marks that end a sentence even where no space follows."""
MARKS = ".!?…‼⁇⁈⁉‽" + UNSPACED
QUOTES = "\"'“”‘’«»"
DASHES = "-–—―"

DATELINE = 60
"""Characters that a dateline, or the source after a dash at the end of a paragraph, does not exceed."""
LOOK_BACK = 48
"""Characters looked at before a mark: bounds the work, no abbreviation is longer."""

# Every repetition is possessive or bounded: no input makes a pattern read a character more than a few times.
NAME_IN_LOWER_CASE = re.compile(
    r"(?:a[ldnrstz]|as[hs]|e[dlnrst]|[du][lr]|[a-z])[-'’‘ʿ]{1,2}[A-ZÀ-Þ]"
    r"|(?:al|el|bin|ben|bint|ibn|abu|ould|d[aeiu]|das|dos|la|le|van|von|ter|zur?)(?: (?:de[rn]|la|al))?[ -][A-ZÀ-Þ]"
    r"|[a-z]{1,3}[A-Z]\w"
)
# Greedy, which is the same here, as nothing follows: possessive groups raise SystemError in CPython 3.11.2.
_FOLLOWING = re.compile(
    rf"\s*(?P<open>(?:[{OPENING}{INVISIBLE}]|(?<=[«„])[ \xa0\u202f])*)(?P<word>[^\W_][\w'’-]{{0,40}})?"
)
_CLAUSE = re.compile(rf"(?:[a-z]|i{{2,3}}|iv|vi{{1,3}}|ix|xi{{1,2}})[)\]]\s{{1,3}}[{OPENING}]{{0,3}}(?P<first>\w)")
_ACRONYM = re.compile(r"(?:[^\W\d_]{1,2}\.){1,8}[^\W\d_]{1,2}\Z")
_NO_VOWEL = re.compile(r"[B-DF-HJ-NP-TV-XZ]?[b-df-hj-np-tv-xz]{1,4}\Z")
_WORD_CHARACTER = re.compile(r"[^\W_]")
_LETTER = re.compile(r"[^\W\d_]")


class Scan:
    """Answers questions about a unit while its marks are judged from left to right; each question reads it once."""

    def __init__(self, text: str, start: int, stop: int, *, is_lower_case: bool) -> None:
        self._text, self._stop = text, stop
        self.is_lower_case = is_lower_case
        self._counted, self._n_quotes = start, 0
        self._word_character = self._letter = start - 1

    def is_open(self, position: int) -> bool:
        """Return whether an odd number of straight quotes stands before ``position``, which must not decrease."""
        self._n_quotes += self._text.count('"', self._counted, position)
        self._counted = position
        return self._n_quotes % 2 == 1

    def has_word(self, first: int, end: int) -> bool:
        """Return whether a letter or a digit stands from ``first`` to ``end``; only ``first`` must not decrease."""
        if self._word_character < first:
            self._word_character = self._find(_WORD_CHARACTER, first)
        return self._word_character < end

    def has_letter(self, first: int, end: int) -> bool:
        """Return whether a letter stands from ``first`` to ``end``; only ``first`` must not decrease."""
        if self._letter < first:
            self._letter = self._find(_LETTER, first)
        return self._letter < end

    def _find(self, pattern: re.Pattern[str], first: int) -> int:
        """Return where the pattern is first found in the unit from ``first``; the end of the unit if nowhere."""
        match = pattern.search(self._text, first, self._stop)
        return match.start() if match else self._stop


def match_following(text: str, start: int, stop: int) -> re.Match[str]:
    """Match whitespace, opening marks and the word after them; the pattern also matches nothing at all."""
    return cast("re.Match[str]", _FOLLOWING.match(text, start, stop))


def last_word(text: str, match: re.Match[str], first: int) -> str:
    """Return the word before a mark, without brackets, quotation marks and the parts before a hyphen."""
    start = match.start()
    chunk = text[max(first, start - LOOK_BACK) : start]
    if not chunk or chunk[-1].isspace():
        return ""
    word = chunk.split()[-1].strip(QUOTES + "„(*_[{)]")
    for dash in "-–—/":
        head, found, tail = word.rpartition(dash)
        # An acronym with a letter, as in ISIS-K, is a name and its letter no initial.
        if found and not (len(head) > 1 and head.isalpha() and head.isupper()):
            word = tail
    return word


def abbreviation_kind(word: str, *, is_lower_case: bool = False) -> Kind | None:
    """Return the kind of an abbreviation, from the tables or by its shape; None for an ordinary word."""
    kind = kind_of(word)
    if is_lower_case:
        if word in ORDINARY_WORDS:
            return kind
        kind = kind or kind_of(word.capitalize()) or kind_of(word.upper())
    # In small letters an acronym such as pkk or drc looks like a long abbreviation, and is more usual.
    longest = 2 if is_lower_case else LOOK_BACK
    if kind is None and (
        (len(word) == 1 and word.isalpha())
        or ("." in word and _ACRONYM.match(word))
        or (len(word) <= longest and _NO_VOWEL.match(word))
    ):
        return Kind.OTHER
    return kind


def is_clause(text: str, follow: re.Match[str], scan: Scan) -> bool:
    """Return whether the sign of a clause follows, before a capital where there are any: ``(b) No``, ``(iv) Any``."""
    clause = _CLAUSE.match(text, follow.start("word"))
    return clause is not None and (scan.is_lower_case or clause["first"].isupper())


def is_dateline(text: str, first: int, match: re.Match[str]) -> bool:
    """Return whether the sentence so far may be a dateline: short, from a place in capital letters."""
    return match.end() - first < DATELINE and text[first : first + 3].isupper()
