"""Count the labels of a finished run over time, by source and together."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from itertools import combinations
from pathlib import Path

from ctclassify.corpus.files import write_atomically
from ctclassify.corpus.results import RunResults

__all__ = ["PERIODS", "UNKNOWN", "Group", "Summary", "period_of", "source_of", "summarize_run", "write_csv_files"]

PERIODS = ("day", "week", "month", "year")
UNKNOWN = "unknown"
"""Period or source of articles that name none, or a date in none of the forms of :func:`period_of`."""

_URL = re.compile(r"https?://(?:[^/?#\s@]*@)?(?:www\.)?([^/?#\s:)]+)[^\s)]*", re.IGNORECASE)
_DATE = re.compile(r"\s*(\d{4})(?:([-/.])(\d\d?)\2(\d\d?)(?!\d)|(\d\d)(\d\d)((?:\d\d){0,3})(?!\d))")
_PART_OF_DATE = re.compile(r"\s*(\d{4})(?:-(\d\d))?\s*")
_BESIDE_DATE = re.compile(r"(?<=[a-z])\. |(?<=\d)(?:st|nd|rd|th)\b ?|(?<=\d)-(?=[A-Z])|(?<=[a-z])-(?=\d)")
"""What is written beside a date's words and numbers: ``Nov. 12``, ``12th November``, ``12-Nov-2026``."""
_EPOCH = re.compile(r"\s*(?:(\d{9,10})(?:\.\d*)?|(\d{10})\d{3})\s*")
_YEARS_WITH_TIME = range(1950, 2100)
"""Years of a compact date that has a time: seconds since 1970 look like earlier ones for years to come."""


@dataclass(kw_only=True)
class Group:
    """Articles of one period or one source.

    Attributes
    ----------
    n_articles, n_sentences : int
        How many.
    labels : Counter of str
        Sentences by label.
    """

    n_articles: int = 0
    n_sentences: int = 0
    labels: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A run in numbers.

    Attributes
    ----------
    label_names : tuple of str
        The model's labels, in order.
    by : str
        One of :data:`PERIODS`.
    periods, sources : dict of str to Group
        Periods in order, sources by falling number of articles; :data:`UNKNOWN` last.
    together : Counter of (str, str)
        Sentences that have both labels, the pair in the model's order.
    """

    label_names: tuple[str, ...]
    by: str
    periods: dict[str, Group]
    sources: dict[str, Group]
    together: Counter[tuple[str, str]]


def period_of(text: str | None, by: str) -> str:
    """Return the period that a date lies in.

    Parameters
    ----------
    text : str or None
        ISO 8601 with or without a time, or its parts joined by ``/`` or ``.`` with the year first; ``20240501``, also
        with hour, minute and second behind it; the form of e-mail and RSS (RFC 2822, ``Wed, 01 May 2024 12:30:00
        GMT``, also without weekday or time), also with the month first, ``Nov. 12, 2024``; seconds or milliseconds
        since 1970, taken as UTC; for months or years also ``2024-05``, for years ``2024``. Dates like ``01/05/2024``
        are not read: day and month may be either.
    by : str
        One of :data:`PERIODS`.

    Returns
    -------
    str
        ``2024-05-01``, ``2024-W18`` (ISO 8601), ``2024-05``, ``2024``, or :data:`UNKNOWN`.
    """
    found = _date_of(_completed(text or "", by))
    if found is None:
        return UNKNOWN
    if by == "week":
        iso = found.isocalendar()
        return f"{iso.year}-W{iso.week:02}"
    return found.isoformat()[: {"day": 10, "month": 7, "year": 4}[by]]


def _completed(text: str, by: str) -> str:
    """Return a month or a year that is as much of a date as the period asks for as its first day; others as given."""
    match = _PART_OF_DATE.fullmatch(text)
    if match is None or by not in ("month", "year") or (match[2] is None and by != "year"):
        return text
    return f"{match[1]}-{match[2] or '01'}-01"


def _date_of(text: str) -> date | None:
    """Return the day of a date as written, None where it is in no known form."""
    try:
        if match := _DATE.match(text):
            year, month, day = int(match[1]), int(match[3] or match[5]), int(match[4] or match[6])
            if not match[7] or (year in _YEARS_WITH_TIME and month <= 12):
                return date(year, month, day)
        if match := _EPOCH.fullmatch(text):
            return datetime.fromtimestamp(int(match[1] or match[2]), tz=UTC).date()
        plain = _BESIDE_DATE.sub(" ", text).replace("Sept ", "Sep ")
        return parsedate_to_datetime(plain if ":" in plain else f"{plain} 00:00").date()  # it asks for a time
    except (ValueError, OverflowError):
        return None


def source_of(source: str | None, url: str | None) -> str:
    """Return the source that an article counts for.

    Parameters
    ----------
    source, url : str or None
        As the article's row has them.

    Returns
    -------
    str
        ``source``, each web address in it cut down to its host, without ``www.`` and in lower case: a row an article
        would say nothing. Without a source, the host of ``url``, or :data:`UNKNOWN` where that is no web address.
    """
    if source:
        return _URL.sub(lambda match: match[1].lower(), source).strip()
    found = _URL.match(url or "")
    return found[1].lower() if found else UNKNOWN


def summarize_run(path: Path, *, by: str) -> Summary:
    """Count the labels of a run.

    Parameters
    ----------
    path : pathlib.Path
        Its folder.
    by : str
        One of :data:`PERIODS`.

    Returns
    -------
    Summary
        Near copies count like other articles: leave them out of the tables (``near_copy_of``) for other counts. Web
        addresses count under their hosts, see :func:`source_of`.

    Raises
    ------
    RunFolderError
        If the folder holds no finished run.
    """
    run = RunResults(path)
    names = run.label_names
    periods: dict[str, Group] = {}
    sources: dict[str, Group] = {}
    for when, source, url, n_sentences, *counts in run.articles(
        ["date", "source", "url", "n_sentences", *map("n_{}".format, names)]
    ):
        for groups, key in ((periods, period_of(when, by)), (sources, source_of(source, url))):
            group = groups.setdefault(key, Group())
            group.n_articles += 1
            group.n_sentences += n_sentences
            group.labels.update({name: n for name, n in zip(names, counts, strict=True) if n})
    together: Counter[tuple[str, str]] = Counter()
    for (labels,) in run.sentences(["labels"]):
        together.update(combinations(labels, 2))
    return Summary(
        label_names=names,
        by=by,
        periods=dict(sorted(periods.items(), key=lambda each: (each[0] == UNKNOWN, each[0]))),
        sources=dict(sorted(sources.items(), key=lambda each: (each[0] == UNKNOWN, -each[1].n_articles, each[0]))),
        together=together,
    )


def write_csv_files(summary: Summary, folder: Path) -> None:
    """Write ``labels_over_time.csv``, ``labels_by_source.csv`` and ``labels_together.csv``: counts of sentences."""
    head = ["n_articles", "n_sentences", *summary.label_names]
    for name, key, groups in (
        ("labels_over_time.csv", summary.by, summary.periods),
        ("labels_by_source.csv", "source", summary.sources),
    ):
        rows = [
            [each, group.n_articles, group.n_sentences, *(group.labels[label] for label in summary.label_names)]
            for each, group in groups.items()
        ]
        _write(folder / name, [[key, *head], *rows])
    pairs = [[*pair, summary.together[pair]] for pair in combinations(summary.label_names, 2)]
    _write(folder / "labels_together.csv", [["label", "other_label", "n_sentences"], *pairs])


def _write(path: Path, rows: list[list[object]]) -> None:
    """Write rows as CSV, text quoted."""

    class _Encoded:
        """What csv writes to: lines become bytes."""

        def __init__(self, stream: object) -> None:
            self._write = stream.write  # type: ignore[attr-defined]

        def write(self, line: str) -> None:
            self._write(line.encode("utf-8"))

    write_atomically(
        path,
        lambda stream: csv.writer(_Encoded(stream), lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC).writerows(rows),
    )
