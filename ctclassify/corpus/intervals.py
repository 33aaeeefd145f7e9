"""Intervals for rates of sentences that come in articles."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["ClusteredRate", "Difference", "difference"]

_Z = 1.959963984540054
"""Of a two-sided 95% interval."""


@dataclass(kw_only=True)
class ClusteredRate:
    """A rate over sentences, gathered article by article: ``total / size``.

    Attributes
    ----------
    n_articles : int
        Articles with a sentence.
    total, size : float
        Sum of what is counted, and of the sentences.
    """

    n_articles: int = 0
    total: float = 0.0
    size: float = 0.0
    _total2: float = 0.0
    _size2: float = 0.0
    _both: float = 0.0

    def add(self, total: float, size: float) -> None:
        """Add an article: what of it is counted, and its number of sentences."""
        self.n_articles += 1
        self.total += total
        self.size += size
        self._total2 += total * total
        self._size2 += size * size
        self._both += total * size

    @property
    def rate(self) -> float:
        """The rate; NaN without a sentence."""
        return self.total / self.size if self.size else math.nan

    @property
    def variance(self) -> float:
        """Of the rate as a ratio estimator with articles as clusters (Cochran, Sampling Techniques, 1977, eq. 6.9)."""
        if self.n_articles < 2 or not self.size:
            return math.nan
        residual = self._total2 - 2 * self.rate * self._both + self.rate**2 * self._size2
        return max(residual, 0.0) / self.size**2 * self.n_articles / (self.n_articles - 1)

    def wilson(self) -> tuple[float, float]:
        """Return the 95% Wilson interval of a rate in [0, 1] at the effective number of sentences.

        That number is what a simple random sample would need for the same variance (Korn and Graubard, 1998); where
        none or all are counted, it is the number of articles. NaN without a sentence.
        """
        if not self.size:
            return math.nan, math.nan
        p, variance = self.rate, self.variance
        n = float(self.n_articles)
        if 0 < p < 1 and variance > 0:
            n = min(p * (1 - p) / variance, self.size)
        centre = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z / (1 + _Z**2 / n) * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A rate in two runs.

    Attributes
    ----------
    first, second : float
        The rates.
    low, high : float
        95% interval of ``second - first``.
    has_moved : bool
        Whether the interval leaves 0 out.
    """

    first: float
    second: float
    low: float
    high: float
    has_moved: bool


def difference(first: ClusteredRate, second: ClusteredRate, *, is_share: bool) -> Difference:
    """Compare a rate of two runs.

    Parameters
    ----------
    first, second : ClusteredRate
        The runs.
    is_share : bool
        Whether the rate is a share, in [0, 1]: then the interval is Newcombe's hybrid of the two Wilson intervals
        (Newcombe 1998, method 10), else it is normal.

    Returns
    -------
    Difference
        NaN, and not moved, where a run has no sentence.
    """
    p, q = first.rate, second.rate
    if is_share:
        (p_low, p_high), (q_low, q_high) = first.wilson(), second.wilson()
        low = q - p - math.hypot(q - q_low, p_high - p)
        high = q - p + math.hypot(q_high - q, p - p_low)
    else:
        half = _Z * math.sqrt(first.variance + second.variance)
        low, high = q - p - half, q - p + half
    return Difference(first=p, second=q, low=low, high=high, has_moved=low > 0 or high < 0)
