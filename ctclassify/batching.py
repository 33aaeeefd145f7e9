"""Items of like length in batches of few sizes: a runtime sets itself up for each, and keeps memory for it.

Notes
-----
Most of a transformer sees of a batch only its size, rows times tokens of a row; the rest is quickly set up. Measured
on two cores (OpenVINO 2026.4, int8): the first batch of a new size took 10 to 40 ms longer and kept 2 to 6 MB, one of
a new shape of a size that was there before 4 ms and 0.7 MB. So every batch has one of few sizes, numbers with many
divisors, and its rows one of their divisors as length, or the most that the model reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["BATCH_COST", "batch_sizes", "iter_batches"]

BATCH_COST = 32
"""Tokens that the default engine computes in the time that a batch takes beyond its tokens (1 ms on two cores)."""

_LARGE = (1680, 1820, 1980, 2016)
"""Their divisors are so dense that 3% of 8,000 sentences of news is padding, and 6% of 2,000."""

_SMALL = (24, 40, 60, 90, 120, 180, 240, 360, 480)
"""For the rest of what was asked for: articles, single sentences. Up to 25 are padded by a tenth to a third more
than to lengths in steps of two: 6 to 16% of the time of a single one, for the memory of hundreds of shapes."""

_MANY_BATCHES = 24
"""With more than that, small sizes would save 1 to 2% of the time, and cost the runtime shapes."""

_Shapes: TypeAlias = tuple[tuple[int, int], ...]
"""Rows and tokens of a row."""

_SHORTEST = 4
"""Tokens of a row at least, unless told: two special ones, and two of a word or more."""


def batch_sizes(token_budget: int) -> tuple[int, ...]:
    """Return the sizes of batches that a budget allows.

    Parameters
    ----------
    token_budget : int
        Most tokens of a batch, padding included; above 0.

    Returns
    -------
    tuple of int
        Ascending, at most ``token_budget``; at least one.
    """
    doubled = [size << k for k in range(token_budget.bit_length()) for size in _LARGE]
    return tuple(sorted(size for size in (*_SMALL, *doubled) if size <= token_budget)) or (token_budget,)


def iter_batches(
    lengths: Sequence[int],
    sizes: tuple[int, ...],
    *,
    max_tokens: int,
    batch_cost: int = BATCH_COST,
    shortest: int = _SHORTEST,
) -> Iterator[tuple[npt.NDArray[np.int64], tuple[int, int]]]:
    """Group items of like length into batches, those of the longest items first.

    Parameters
    ----------
    lengths : sequence of int
        Tokens of each item, at most ``max_tokens``.
    sizes : tuple of int
        Tokens that a batch may have, padding included, such as :func:`batch_sizes` gives.
    max_tokens : int
        Tokens that the model reads at once.
    batch_cost : int, optional
        Tokens that could be computed in the time that a batch takes beyond its tokens. Batches are chosen so that
        this, and all padding, cost least together.
    shortest : int, optional
        Tokens of a row at least. The greater, the fewer shapes there are.

    Yields
    ------
    chosen : ndarray of int64
        Indices of the items of a batch, shortest first. Every index occurs once. Ties keep their order, so the batches
        depend on the lengths alone.
    shape : tuple of int and int
        Rows and tokens to pad it to. Their product is one of ``sizes``, unless the tokens are ``max_tokens``: then
        the rows are what a size holds, at least one.

    Notes
    -----
    Of very many items, batches have more than half of the largest size, and rows of one length are of one size: the
    largest that it divides.
    """
    order = np.argsort(np.asarray(lengths, dtype=np.int64), kind="stable")
    ascending = np.asarray(lengths, dtype=np.int64)[order]
    is_many = int(ascending.sum()) > _MANY_BATCHES * max(sizes)
    stop = len(order)
    for n_rows, longest in _cheapest(ascending, _shapes(sizes, max_tokens, shortest, is_many), batch_cost):
        start = max(0, stop - n_rows)
        yield order[start:stop], (n_rows, longest)
        stop = start


def _cheapest(ascending: npt.NDArray[np.int64], shapes: _Shapes, batch_cost: int) -> list[tuple[int, int]]:
    """Return those of batches of ascending lengths, the longest first, that cost least together."""
    least = [0]  # of the first item, the first two, and so on; more items never cost less, so every row is used
    last = [(0, 0)]
    before, choices = -1, shapes
    for end, length in enumerate(ascending.tolist(), start=1):
        if length != before:  # looked up once a length: the key holds all shapes
            before, choices = length, _choices(length, shapes)
        cost, n_rows, longest = min(
            (least[end - n_rows if end > n_rows else 0] + n_rows * longest, -n_rows, longest)
            for n_rows, longest in choices
        )
        least.append(cost + batch_cost)
        last.append((-n_rows, longest))
    chosen = []
    end = len(ascending)
    while end > 0:
        chosen.append(last[end])
        end -= last[end][0]
    return chosen


@lru_cache(maxsize=1 << 12)
def _choices(length: int, shapes: _Shapes) -> _Shapes:
    """Return the shapes whose rows hold an item, without those that another has more rows than at no more cost."""
    choices = []
    most_rows = 0
    for n_rows, longest in shapes:
        if longest >= length and n_rows > most_rows:
            choices.append((n_rows, longest))
            most_rows = n_rows
    return tuple(choices)


@lru_cache(maxsize=64)
def _shapes(sizes: tuple[int, ...], max_tokens: int, shortest: int, is_many: bool) -> _Shapes:
    """Return the shapes to choose from, by their tokens, of as many those of more rows first."""
    if is_many:
        sizes = tuple(size for size in sizes if 2 * size > max(sizes))
    shapes = {(max(1, size // max_tokens), max_tokens) for size in sizes}
    for size in sizes:
        shapes.update((size // n, n) for n in range(shortest, min(size, max_tokens) + 1) if size % n == 0)
    if is_many:
        most_rows = {longest: n_rows for n_rows, longest in sorted(shapes)}
        shapes = {(n_rows, longest) for longest, n_rows in most_rows.items()}
    return tuple(sorted(shapes, key=lambda shape: (shape[0] * shape[1], -shape[0])))
