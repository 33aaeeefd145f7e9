"""Progress of a run: a bar on a terminal, plain lines in a log, nothing where none is wanted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from ctclassify.corpus.progress import Progress, ProgressReport

__all__ = ["describe", "reporting"]

_LINE_S = 10.0
"""Seconds between the lines of a log."""


def describe(progress: Progress) -> str:
    """Return articles, rejected items, rate and time left on one line."""
    left = ""
    if progress.seconds_left is not None and not progress.is_finished:
        left = f", about {_duration(progress.seconds_left)} left"
    return (
        f"{progress.n_articles:,} articles, {progress.n_sentences:,} sentences, {progress.n_rejected:,} rejected, "
        f"{progress.articles_per_second:,.1f} articles/s{left}"
    )


def _duration(seconds: float) -> str:
    """Return hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


@contextmanager
def reporting(stream: TextIO, *, is_quiet: bool) -> Iterator[ProgressReport | None]:
    """Yield what shows the progress on a stream: a bar where it is a terminal, else a line every ten seconds."""
    if is_quiet:
        yield None
    elif stream.isatty():
        columns = (BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TextColumn("{task.description}", markup=False))
        with Bar(*columns, console=Console(file=stream)) as bar:
            task = bar.add_task("reading", total=None)

            def draw(progress: Progress) -> None:
                total = max(progress.n_bytes, 1)
                bar.update(task, total=total, completed=progress.bytes_read, description=describe(progress))

            yield draw
    else:
        yield _line_writer(stream)


def _line_writer(stream: TextIO) -> ProgressReport:
    """Return what writes a line now and then, and the last one always."""
    last = 0.0

    def write(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if progress.is_finished or now - last >= _LINE_S:
            last = now
            stream.write(f"ctclassify: {describe(progress)}\n")
            stream.flush()

    return write
