"""Texts to token ids, windows over long texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from ctclassify.errors import ModelFolderError

__all__ = ["TextEncoder", "TokenWindows", "without_surrogates"]

_ENCODED_AT_ONCE = 1024
"""Texts: what the tokenizer keeps of each until all are done is a hundred times its token ids."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_OVERLAP = 64
"""Tokens that two neighbouring windows share, so that no phrase is seen only in halves."""


@dataclass(frozen=True, kw_only=True)
class TokenWindows:
    """Token ids of some texts, one or more windows a text.

    Attributes
    ----------
    ids : list of ndarray of int32, shape (n_tokens,)
        Token ids of each window, special tokens included.
    owner : ndarray of int64, shape (n_windows,)
        Index of the text that a window belongs to; never decreasing.
    is_windowed : ndarray of bool, shape (n_texts,)
        True for texts that did not fit one window.
    """

    ids: list[npt.NDArray[np.int32]]
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
        ids: list[npt.NDArray[np.int32]] = []
        owner: list[int] = []
        is_windowed = np.zeros(len(texts), dtype=np.bool_)
        for i, its in enumerate(self._token_ids(texts)):
            windows = self._windows(its)
            ids.extend(np.array(window, dtype=np.int32) for window in windows)
            owner.extend([i] * len(windows))
            is_windowed[i] = len(windows) > 1
        return TokenWindows(ids=ids, owner=np.array(owner, dtype=np.int64), is_windowed=is_windowed)

    def _token_ids(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Yield the token ids of each text, however many they are."""
        for start in range(0, len(texts), _ENCODED_AT_ONCE):
            some = [without_surrogates(text) for text in texts[start : start + _ENCODED_AT_ONCE]]
            for encoding in self._tokenizer.encode_batch_fast(some):
                yield encoding.ids

    def _windows(self, ids: list[int]) -> list[list[int]]:
        """Return the windows of one text: itself where it fits."""
        if len(ids) <= self.max_tokens:
            return [ids]
        first, body, last = ids[0], ids[1:-1], ids[-1]
        size = self.max_tokens - 2
        step = size - min(_OVERLAP, size // 2)
        starts = range(0, max(len(body) - size, 0) + step, step)
        return [[first, *body[start : start + size], last] for start in starts]


def without_surrogates(text: str) -> str:
    """Return a text that UTF-8 can hold, of the same length."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
    return text
