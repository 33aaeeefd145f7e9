"""Part a text into units, at blank lines and at those line breaks that its author set."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from ctclassify.abbreviations import LINKERS, OPENERS, PARTICLES, Kind, kind_of
from ctclassify.signs import (
    DASHES,
    DATELINE,
    LOOK_BACK,
    MARKS,
    NAME_IN_LOWER_CASE,
    QUOTES,
    abbreviation_kind,
    match_following,
)

__all__ = ["iter_units"]

_BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_ENDINGS = tuple(MARKS)
_LIST_SIGNS = (":", ";", "; and", "; or")

_NARROWEST, _WIDEST = 30, 140
"""Columns of hard-wrapped text."""
_RAGGED = 12
"""Columns by which the lines of one wrapped block differ: about one long word."""
_REGULAR = 0.8
"""Share of a wrapped block's lines that keep to its column; the others hold a long web address, say."""
_PROSE = 55
"""Columns from which a line without a mark at its end is rather wrapped prose than a headline."""

# Every repetition is possessive or bounded: no input makes a pattern read a character more than a few times.
_LINE = re.compile(rf"\S[^{_BREAKS}]*+")
_BREAK = re.compile(rf"\r\n|[{_BREAKS}]")
_ALWAYS_FIRST = re.compile(r"[•‣⁃◦▪●○■□*·∙➢➤►▶✓✔]\s|By [A-Z]|(?:[QA]|[A-Z][A-Z .'’-]{1,30}):\s")
_LABEL = re.compile(r"[@\w.-]{1,20}(?: [\w.-]{1,20})?: ")
_ITEM = re.compile(r"[–—-]\s|[(\[]?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,4})[.)\]]\s")


class _Line(NamedTuple):
    """A line that is not blank: where it begins, and where its text without surrounding whitespace starts and ends."""

    begin: int
    start: int
    end: int

    @property
    def width(self) -> int:
        """Columns of the line, indentation included."""
        return self.end - self.begin


class _Layout(NamedTuple):
    """How a block was set: the width of its lines, whether a program wrapped them, whether the last ends in a mark."""

    width: int
    is_wrapped: bool
    ends_in_mark: bool


def iter_units(text: str) -> Iterator[tuple[int, int]]:
    """Yield the stretches of running text: paragraphs, headlines, list items."""
    blocks = list(_iter_blocks(text))
    layouts = [_layout(text, block) for block in blocks]
    page_width = max((layout.width for layout in layouts if layout.is_wrapped), default=0)
    for block, layout in zip(blocks, layouts, strict=True):
        start = block[0].start
        if not layout.is_wrapped:
            layout = layout._replace(width=max(page_width, layout.width))
        for n, (line, following) in enumerate(pairwise(block)):
            if _is_deliberate(text, line, following, layout, is_first=n == 0):
                yield start, line.end
                start = following.start
        yield start, block[-1].end


def _iter_blocks(text: str) -> Iterator[list[_Line]]:
    """Yield the runs of lines that no blank line parts."""
    block: list[_Line] = []
    previous_end = 0
    for match in _LINE.finditer(text):
        start, end = match.span()
        begin = start
        gap = text[previous_end:start]
        if gap != "\n":
            begin, n_breaks = previous_end, 0
            for line_break in _BREAK.finditer(gap):
                begin = previous_end + line_break.end()
                n_breaks += 1
            if block and (n_breaks > 1 or "\u2029" in gap):
                yield block
                block = []
        block.append(_Line(begin, start, start + len(match[0].rstrip())))
        previous_end = end
    if block:
        yield block


def _layout(text: str, block: list[_Line]) -> _Layout:
    """Measure a block: it was wrapped where breaks fall inside phrases and hardly a line is longer than those lines."""
    widths = [line.width for line in block]
    inside = [line.width for line, following in pairwise(block) if _is_inside_phrase(text, line, following)]
    column = max(inside, default=0)
    fitting = [width for width in widths if width <= column + _RAGGED]
    is_wrapped = _NARROWEST <= column <= _WIDEST and len(fitting) >= _REGULAR * len(widths)
    ends_in_mark = _tail(text, block[-1]).endswith(_ENDINGS)
    return _Layout(max(fitting if is_wrapped else widths), is_wrapped, ends_in_mark)


def _tail(text: str, line: _Line) -> str:
    """Return the last characters of a line, without closing quotation marks and brackets."""
    return text[max(line.start, line.end - LOOK_BACK) : line.end].rstrip("\"'”’»)]}*_")


def _is_inside_phrase(text: str, line: _Line, following: _Line) -> bool:
    """Return whether the line break clearly falls inside a sentence, and at the column of the text."""
    if _ITEM.match(text, following.start) or text.find("://", line.start, line.end) >= 0:
        return False  # a web address cannot be broken and sticks out
    last = text[max(line.start, line.end - LOOK_BACK) : line.end].split()[-1]
    if text[following.start].islower():
        return last[-1] not in ":;" and not NAME_IN_LOWER_CASE.match(text, following.start)
    return last in LINKERS or (last[-1] == "." and kind_of(last[:-1]) is Kind.TITLE)


def _is_deliberate(text: str, line: _Line, following: _Line, layout: _Layout, *, is_first: bool) -> bool:
    """Return whether a line break was set by the author, rather than by wrapping at a column."""
    if _ALWAYS_FIRST.match(text, following.start):
        return True
    if _LABEL.match(text, following.start) and _LABEL.match(text, line.start):
        return True
    # Wrapping breaks a line only where the next word does not fit any more.
    fits = layout.width > _WIDEST or line.width + _room(text, following) <= layout.width
    tail = _tail(text, line)
    if _ITEM.match(text, following.start) and (
        fits or tail.endswith(_LIST_SIGNS + _ENDINGS) or (_ITEM.match(text, line.start) and not layout.is_wrapped)
    ):
        return True
    follow = match_following(text, following.start, following.end)
    word = follow["word"] or ""
    is_lower = word[:1].islower() and not NAME_IN_LOWER_CASE.match(text, follow.start("word"))
    last = (tail.split() or [""])[-1].lstrip(QUOTES + "([")  # the tail may be blank, as where a bracket stands far off
    if tail.endswith(_ENDINGS):
        kind = abbreviation_kind(last[:-1]) if last.endswith(".") else None
        if kind is Kind.TITLE or (is_lower and (kind is not None or not fits)):
            return False
        return fits
    if is_lower:
        return fits and tail.endswith(_LIST_SIGNS)
    if last in LINKERS or last in PARTICLES:
        return fits and (last in PARTICLES or tail.endswith(_LIST_SIGNS))
    if tail.endswith(tuple(DASHES)) or (tail.endswith(",") and not fits):
        return fits and line.width > DATELINE
    if fits:
        return True
    if layout.is_wrapped:
        return is_first and word in OPENERS
    return line.width < _PROSE or word in OPENERS or not layout.ends_in_mark


def _room(text: str, line: _Line) -> int:
    """Return the columns that the first word of a line would have taken at the end of the line before."""
    first = text[line.start]
    if "\u3040" <= first <= "\u9fff" or "\uac00" <= first <= "\ud7a3" or "\uff00" <= first <= "\uffef":
        return 2  # scripts without spaces break anywhere, save before a mark
    return 1 + len(text[line.start : min(line.end, line.start + LOOK_BACK)].split(None, 1)[0])
