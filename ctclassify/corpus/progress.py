"""How far a run is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Progress", "ProgressReport"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a run is, after a part.

    Attributes
    ----------
    n_articles, n_sentences, n_rejected : int
        Written so far, by earlier starts of the run too.
    n_parts : int
        Parts committed.
    bytes_read, n_bytes : int
        Of the inputs as they lie on the disk; near enough for showing.
    seconds : float
        Since this start of the run.
    articles_per_second : float
        Of this start alone; 0 before its first part.
    seconds_left : float or None
        Expected from the bytes that are left; None before this start's first part.
    is_finished : bool
        True in the last report.
    """

    n_articles: int
    n_sentences: int
    n_rejected: int
    n_parts: int
    bytes_read: int
    n_bytes: int
    seconds: float
    articles_per_second: float
    seconds_left: float | None
    is_finished: bool = False


ProgressReport: TypeAlias = Callable[[Progress], None]
"""Called after each part, in the thread that runs the corpus."""
