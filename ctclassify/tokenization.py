"""Texts to token ids: windows over long texts, batches by a budget of tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from ctclassify.errors import ModelFolderError

__all__ = [
    "BATCH_COST",
    "TextEncoder",
    "TokenWindows",
    "iter_batches",
    "iter_fixed_batches",
    "without_surrogates",
]

BATCH_COST = 32
"""Tokens that the default engine computes in the time that a batch takes beyond its tokens (1 ms on two cores)."""

_MANY_BATCHES = 16
"""After as many, a quarter of one more that is padding costs at most 1.6%, and 0.8% on average."""

_FIXED_LENGTHS = (24, 32, 48, 64, 96, 128)
_FIXED_TOKENS = (512, 128)

_SURROGATE = re.compile("[\ud800-\udfff]")
_OVERLAP = 64
"""Tokens that two neighbouring windows share, so that no phrase is seen only in halves."""


@dataclass(frozen=True, kw_only=True)
class TokenWindows:
    """Token ids of some texts, one or more windows a text.

    Attributes
    ----------
    ids : list of list of int
        Token ids of each window, special tokens included.
    owner : ndarray of int64, shape (n_windows,)
        Index of the text that a window belongs to; never decreasing.
    is_windowed : ndarray of bool, shape (n_texts,)
        True for texts that did not fit one window.
    """

    ids: list[list[int]]
    owner: npt.NDArray[np.int64]
    is_windowed: npt.NDArray[np.bool_]


class TextEncoder:
    """A tokenizer with a limit.

    Parameters
    ----------
    path : pathlib.Path
        A ``tokenizer.json``. Its own truncation and padding are switched off.
    max_tokens : int
        Most tokens of a window, special tokens included.

    Raises
    ------
    ModelFolderError
        If the file is not a tokenizer, or does not put one special token at either end.
    """

    def __init__(self, path: Path, max_tokens: int) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the tokenizers library raises bare Exception
            raise ModelFolderError(f"{path}: not a tokenizer: {error}", path=path) from error
        self._tokenizer.encode_special_tokens = True  # "[SEP]" in an article is text
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        if len(self._tokenizer.encode("").ids) != 2:
            raise ModelFolderError(f"{path}: expected a tokenizer that adds one special token at either end", path=path)
        self.max_tokens = max_tokens

    @property
    def n_words(self) -> int:
        """How many tokens the tokenizer knows, special ones included: every id is below."""
        return int(self._tokenizer.get_vocab_size())

    def encode(self, texts: Sequence[str]) -> TokenWindows:
        """Tokenise texts.

        Parameters
        ----------
        texts : sequence of str
            May be empty. Lone surrogates, which no encoding can hold, are read as U+FFFD.

        Returns
        -------
        TokenWindows
            At least one window a text, in the order of the texts.
        """
        encodings = self._tokenizer.encode_batch_fast([without_surrogates(text) for text in texts])
        ids: list[list[int]] = []
        owner: list[int] = []
        is_windowed = np.zeros(len(texts), dtype=np.bool_)
        for i, encoding in enumerate(encodings):
            windows = self._windows(encoding.ids)
            ids.extend(windows)
            owner.extend([i] * len(windows))
            is_windowed[i] = len(windows) > 1
        return TokenWindows(ids=ids, owner=np.array(owner, dtype=np.int64), is_windowed=is_windowed)

    def _windows(self, ids: list[int]) -> list[list[int]]:
        """Return the windows of one text: itself where it fits."""
        if len(ids) <= self.max_tokens:
            return [ids]
        first, body, last = ids[0], ids[1:-1], ids[-1]
        size = self.max_tokens - 2
        step = size - min(_OVERLAP, size // 2)
        starts = range(0, max(len(body) - size, 0) + step, step)
        return [[first, *body[start : start + size], last] for start in starts]


def iter_batches(
    lengths: Sequence[int], token_budget: int, *, max_tokens: int, batch_cost: int = BATCH_COST
) -> Iterator[tuple[npt.NDArray[np.int64], tuple[int, int]]]:
    """Group items of like length into batches, those of the longest items first.

    Parameters
    ----------
    lengths : sequence of int
        Tokens of each item, at most ``max_tokens``.
    token_budget : int
        Most tokens of a batch, padding included; an item longer than that is a batch alone.
    max_tokens : int
        Tokens that the model reads at once.
    batch_cost : int, optional
        Tokens that could be computed in the time that a batch takes beyond its tokens. Where the items left fit one
        batch, they are split so that this, and the padding of shorter items, cost least together.

    Yields
    ------
    chosen : ndarray of int64
        Indices of the items of a batch, shortest first. Every index occurs once. Ties keep their order, so the batches
        depend on the lengths alone.
    shape : tuple of int and int
        Rows and tokens to pad it to. Tokens: up to 64 an even number, up to 128 a multiple of 8, beyond one of 32, or
        ``max_tokens`` where that is less. Rows: what the budget holds, or, of batches that items were split into,
        the next number of the form 2**k or 3 * 2**k.

    Notes
    -----
    A runtime sets itself up for each shape and keeps memory for it: over a corpus, few shapes keep its memory flat.
    So the items left after many whole batches become one more of as many rows, or a quarter, half or three quarters.
    """
    order = np.argsort(np.asarray(lengths, dtype=np.int64), kind="stable")
    padded = _padded_lengths(np.asarray(lengths, dtype=np.int64)[order], max_tokens)
    stop = len(order)
    n_whole = 0
    while stop:
        longest = int(padded[stop - 1])
        n_rows = max(1, token_budget // longest)
        if n_rows >= stop and n_whole < _MANY_BATCHES:
            break
        start = max(0, stop - n_rows)
        quarter = -(-n_rows // 4)
        yield order[start:stop], (min(-(-(stop - start) // quarter) * quarter, n_rows), longest)
        stop = start
        n_whole += 1
    for start, end in _least_padding(padded[:stop], batch_cost):
        longest = int(padded[end - 1])
        n_items = end - start
        yield order[start:end], (max(n_items, min(_next_rows(n_items), token_budget // longest)), longest)


def _padded_lengths(lengths: npt.NDArray[np.int64], max_tokens: int) -> npt.NDArray[np.int64]:
    """Return what items of these lengths are padded to."""
    step = np.select([lengths <= 64, lengths <= 128], [2, 8], 32)
    return np.asarray(np.minimum(-(-lengths // step) * step, max_tokens), dtype=np.int64)


def _next_rows(n_rows: int) -> int:
    """Return the least number of rows, of the form 2**k or 3 * 2**k, that holds ``n_rows``."""
    power = 1 << (n_rows - 1).bit_length()
    return power // 4 * 3 if n_rows <= power // 4 * 3 else power


def iter_fixed_batches(
    lengths: Sequence[int], max_tokens: int
) -> Iterator[tuple[npt.NDArray[np.int64], tuple[int, int]]]:
    """Group items into batches of few shapes, fourteen in all: for a runtime that keeps memory for each.

    Parameters
    ----------
    lengths : sequence of int
        Tokens of each item, at most ``max_tokens``.
    max_tokens : int
        Tokens that the model reads at once.

    Yields
    ------
    chosen : ndarray of int64
        Indices of the items of a batch, shortest first. Every index occurs once; ties keep their order.
    shape : tuple of int and int
        Rows and tokens to pad it to: tokens of 24, 32, 48, 64, 96, 128 or ``max_tokens``, rows for 512 tokens where
        they are nearly filled, else for 128.
    """
    order = np.argsort(np.asarray(lengths, dtype=np.int64), kind="stable")
    ascending = np.asarray(lengths, dtype=np.int64)[order]
    start = 0
    for longest in (*(n for n in _FIXED_LENGTHS if n < max_tokens), max_tokens):
        stop = int(np.searchsorted(ascending, longest, side="right"))
        many, few = (max(1, n_tokens // longest) for n_tokens in _FIXED_TOKENS)
        while start < stop:
            n_rows = many if stop - start > many - few else few
            yield order[start : min(start + n_rows, stop)], (n_rows, longest)
            start = min(start + n_rows, stop)


def _least_padding(padded: npt.NDArray[np.int64], batch_cost: int) -> list[tuple[int, int]]:
    """Split ascending lengths into runs of least cost, each padded to its longest; return them, the longest first."""
    n_items = len(padded)
    # Rows of a run that ends at the last item: of one item, of two, and so on.
    rows = np.array([_next_rows(n) for n in range(1, n_items + 1)], dtype=np.int64)
    least = np.zeros(n_items + 1, dtype=np.int64)
    starts = np.zeros(n_items + 1, dtype=np.int64)
    for end in range(1, n_items + 1):
        costs = least[:end] + rows[:end][::-1] * padded[end - 1] + batch_cost
        starts[end] = np.argmin(costs)
        least[end] = costs[starts[end]]
    runs = []
    end = n_items
    while end:
        runs.append((int(starts[end]), end))
        end = int(starts[end])
    return runs


def without_surrogates(text: str) -> str:
    """Return a text that UTF-8 can hold, of the same length."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
    return text
