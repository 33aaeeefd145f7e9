"""The one path from texts to probabilities: distinct texts, token ids, batches, the engine, order restored.

Notes
-----
Measured on two cores (AVX-512 bf16, sentences of 33 tokens on average): batches of 2,048 tokens run as fast as smaller
ones and 3% faster than ones of 4,096. Running token-wise operations on packed tokens could gain no more than padding
takes, see :mod:`ctclassify.batching`. Two streams of one thread were no faster than one of two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from ctclassify.batching import BATCH_COST, batch_sizes, iter_batches
from ctclassify.engines.base import Engine, LowPrecisionEngine
from ctclassify.errors import EngineError
from ctclassify.tokenization import TextEncoder, TokenWindows

__all__ = ["TEXTS_AT_ONCE", "TOKEN_BUDGET", "PreparedTexts", "SentenceScorer", "map_ahead"]

TOKEN_BUDGET = 2048
"""Tokens of a batch, padding included, unless the engine has a ``token_budget`` of its own."""

_FINER_SIZES, _FINER_SHORTEST = (120, 480), 20
"""Sizes of batches of the few texts that are scored again, and tokens of a row at least: twenty shapes."""

TEXTS_AT_ONCE = 1 << 13
"""Texts whose token ids are held at a time: batches are sorted by length within them."""

_Batch: TypeAlias = tuple[npt.NDArray[np.int64], tuple[int, int]]
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True, kw_only=True)
class PreparedTexts:
    """Texts ready for an engine.

    Attributes
    ----------
    n_texts : int
        How many texts there were.
    filled : ndarray of int64, shape (n_filled,)
        Indices of the texts that are not blank.
    row : ndarray of int64, shape (n_filled,)
        Which of the distinct texts each of them is.
    windows : TokenWindows
        Of the distinct texts that are not blank.
    """

    n_texts: int
    filled: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    windows: TokenWindows


class SentenceScorer:
    """Scores texts with an engine.

    Parameters
    ----------
    encoder : TextEncoder
        The model's tokenizer.
    engine : Engine
        What runs the model.
    n_labels : int
        Columns of what the engine gives.

    Notes
    -----
    A text that occurs more than once in a call is computed once. :meth:`prepare` needs no
    engine and may run in another thread than :meth:`run`.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        engine: Engine,
        n_labels: int,
    ) -> None:
        self._encoder = encoder
        self._engine = engine
        self._n_labels = n_labels
        self._sizes = batch_sizes(int(getattr(engine, "token_budget", TOKEN_BUDGET)))
        self._batch_cost = int(getattr(engine, "batch_cost", BATCH_COST))

    def score(
        self, texts: Sequence[str], borders: npt.NDArray[np.float64] | None = None
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Score texts, however many.

        Parameters
        ----------
        texts : sequence of str
            May be empty.
        borders : ndarray of float64, shape (n_labels,), or None
            The logit of each label's raw probability at which a decision turns. Texts that an engine of lower
            precision puts within its ``margin`` of one are scored again by its ``finer()`` engine, and so on. None:
            none are.

        Returns
        -------
        probabilities : ndarray of float32, shape (n_texts, n_labels)
            As the engine gives them; 0 for blank texts.
        is_windowed : ndarray of bool, shape (n_texts,)
            True for texts longer than the model reads at once.
        """
        if len(texts) <= TEXTS_AT_ONCE:
            return self.run(self.prepare(texts), borders)
        rows: dict[str, int] = {}
        row = np.array([rows.setdefault(text, len(rows)) for text in texts], dtype=np.int64)
        distinct = list(rows)
        chunks = [distinct[start : start + TEXTS_AT_ONCE] for start in range(0, len(distinct), TEXTS_AT_ONCE)]
        probabilities, is_windowed = zip(
            *(self.run(each, borders) for each in map_ahead(self.prepare, chunks)), strict=True
        )
        return np.concatenate(probabilities)[row], np.concatenate(is_windowed)[row]

    def prepare(self, texts: Sequence[str]) -> PreparedTexts:
        """Find the distinct texts and tokenise each once."""
        rows: dict[str, int] = {}
        row = [rows.setdefault(text, len(rows)) if text and not text.isspace() else -1 for text in texts]
        owners = np.array(row, dtype=np.int64)
        filled = np.flatnonzero(owners >= 0)
        windows = self._encoder.encode(list(rows))
        return PreparedTexts(n_texts=len(texts), filled=filled, row=owners[filled], windows=windows)

    def run(
        self, prepared: PreparedTexts, borders: npt.NDArray[np.float64] | None = None
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Score prepared texts; see :meth:`score`."""
        probabilities = np.zeros((prepared.n_texts, self._n_labels), dtype=np.float32)
        is_windowed = np.zeros(prepared.n_texts, dtype=np.bool_)
        probabilities[prepared.filled] = self._run_windows(prepared.windows, borders)[prepared.row]
        is_windowed[prepared.filled] = prepared.windows.is_windowed[prepared.row]
        return probabilities, is_windowed

    def _run_windows(self, windows: TokenWindows, borders: npt.NDArray[np.float64] | None) -> npt.NDArray[np.float32]:
        """Return the maximum over the windows of each distinct text."""
        scores = self._scores(windows.ids, self._batches(windows.ids, self._sizes), self._engine)
        if borders is not None:
            self._look_again(scores, windows.ids, self._engine, borders)
        if not windows.is_windowed.any():
            return scores
        best = np.zeros((len(windows.is_windowed), self._n_labels), dtype=np.float32)
        np.maximum.at(best, windows.owner, scores)
        return best

    def _look_again(
        self,
        scores: npt.NDArray[np.float32],
        ids: Sequence[npt.NDArray[np.int32]],
        engine: Engine,
        borders: npt.NDArray[np.float64],
    ) -> None:
        """Replace the scores of windows whose decisions rounding may have turned by those of a finer engine."""
        if not isinstance(engine, LowPrecisionEngine) or engine.margin <= 0:
            return
        doubtful = _doubtful(scores, borders, engine.margin)
        if not len(doubtful):
            return
        finer = engine.finer()
        their_ids = [ids[i] for i in doubtful]
        batches = self._batches(their_ids, _FINER_SIZES, shortest=_FINER_SHORTEST)
        their_scores = self._scores(their_ids, batches, finer)
        self._look_again(their_scores, their_ids, finer, borders)
        scores[doubtful] = their_scores

    def _batches(
        self, ids: Sequence[npt.NDArray[np.int32]], sizes: tuple[int, ...], **options: int
    ) -> Iterator[_Batch]:
        """Return which windows to score together, and the shape to pad them to."""
        lengths = [len(row) for row in ids]
        return iter_batches(lengths, sizes, max_tokens=self._encoder.max_tokens, batch_cost=self._batch_cost, **options)

    def _scores(
        self, ids: Sequence[npt.NDArray[np.int32]], batches: Iterable[_Batch], engine: Engine
    ) -> npt.NDArray[np.float32]:
        """Return an engine's probabilities of windows, in their order."""
        scores = np.zeros((len(ids), self._n_labels), dtype=np.float32)
        for chosen, shape in batches:
            batch = _padded([ids[i] for i in chosen], shape)
            scores[chosen] = engine.probabilities(*batch)[: len(chosen)]
        if not np.isfinite(scores).all():
            raise EngineError(
                f"engine {engine.name} {engine.precision} gave probabilities that are no numbers; a weight "
                "that is none (a training that diverged) does that, or a value beyond the precision's range"
            )
        return scores


def _padded(
    ids: list[npt.NDArray[np.int32]], shape: tuple[int, int]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return token ids and the length of each row: ids padded with 0 on the right, then rows of one token."""
    n_rows, longest = shape
    n_tokens = np.ones(n_rows, dtype=np.int32)
    n_tokens[: len(ids)] = [len(row) for row in ids]
    matrix = np.zeros((n_rows, longest), dtype=np.int32)
    is_token = np.arange(longest) < n_tokens[:, None]
    is_token[len(ids) :] = False
    matrix[is_token] = np.concatenate(ids)
    return matrix, n_tokens


def _doubtful(
    scores: npt.NDArray[np.float32], borders: npt.NDArray[np.float64], margin: float
) -> npt.NDArray[np.int64]:
    """Return the rows that have a probability within a margin, in logits, of the border of its label."""
    # Bounds on probabilities, so that no logit is taken of what is scored.
    low, high = (_sigmoid(borders + sign * margin).astype(np.float32) for sign in (-1, 1))
    return np.flatnonzero(((scores > low) & (scores < high)).any(axis=1))


def _sigmoid(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return ``1 / (1 + exp(-x))`` without overflow."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * values))


def map_ahead(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """Apply a function to items in order, one item ahead of what the caller works on.

    Parameters
    ----------
    function : callable
        Called in a background thread, on one item at a time; where there is one item alone, in the caller's thread.
    items : iterable
        Read in the caller's thread, two items before the first result and one more before each further one.

    Yields
    ------
    object
        One result an item, in order. An error of ``items`` or of ``function`` comes after all results before it.
    """
    source = iter(items)
    try:
        first = next(source)
    except StopIteration:
        return
    failure: Exception | None = None
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ctclassify") as pool:
        is_over = False
        try:
            second = next(source)
        except StopIteration:
            is_over = True
        except Exception as error:
            is_over, failure = True, error
        if is_over:
            yield function(first)
        else:
            pending = pool.submit(function, first)
            following = pool.submit(function, second)
            while True:
                yield pending.result()
                pending = following
                try:
                    following = pool.submit(function, next(source))
                except StopIteration:
                    break
                except Exception as error:
                    failure = error
                    break
            yield pending.result()
    if failure is not None:
        raise failure
