"""The sentence classifier: texts or articles in, labels and probabilities out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ctclassify.article import Article, Sentence
from ctclassify.engines.base import Engine
from ctclassify.engines.selection import make_engine
from ctclassify.errors import InputTypeError
from ctclassify.model_folder import ModelFolder, read_model_folder
from ctclassify.review import expected_errors
from ctclassify.shipped import shipped_model_path
from ctclassify.splitting import split_sentences
from ctclassify.thresholds import Thresholds, resolve_thresholds
from ctclassify.tokenization import TextEncoder, TokenWindows, iter_batches

__all__ = ["SentenceClassifier", "load"]

_TOKEN_BUDGET = 4096
"""Tokens of a batch, padding included: less wastes calls, more leaves the processor's caches."""

_TEXTS_AT_ONCE = 1 << 14
"""Texts whose token ids are held at a time: batches are sorted by length within them."""

_STREAM_CHARACTERS = 1 << 18
"""Characters of article text that ``predict_stream`` gathers before it computes."""

_STREAM_ARTICLES = 1 << 10
"""The same in articles, so that short and empty ones do not pile up."""


def load(model: str | Path | None = None, *, engine: str = "auto") -> SentenceClassifier:
    """Load a model.

    Parameters
    ----------
    model : str, pathlib.Path or None
        A model folder that this project saved; None is the shipped model. Nothing is fetched from a network, and no
        code from the folder is run.
    engine : str
        ``auto``, ``openvino``, ``openvino-bf16``, ``openvino-fp32``, ``torch``, ``torch-cpu``, ``torch-cpu-bf16``
        or ``torch-cuda``.

    Returns
    -------
    SentenceClassifier

    Raises
    ------
    ModelFolderError
        If the folder is not a model folder, or a file in it is missing or altered.
    EngineError
        If the engine is unknown, not installed, or cannot run the model.
    """
    folder = read_model_folder(shipped_model_path() if model is None else Path(model))
    return SentenceClassifier(folder, make_engine(engine, folder))


class SentenceClassifier:
    """Tags sentences with any number of labels each. Made by :func:`load`.

    Parameters
    ----------
    folder : ModelFolder
        The checked model folder.
    engine : Engine
        What runs the model.

    Notes
    -----
    One input, one output, in order, always. A blank text (empty, or whitespace alone) has probability 0 for every
    label. The same input gives the same output for one engine and number of threads.
    """

    def __init__(self, folder: ModelFolder, engine: Engine) -> None:
        self.folder = folder
        self.engine = engine
        self._encoder = TextEncoder(folder.tokenizer_path, folder.max_tokens)

    def __repr__(self) -> str:
        """Return the model's folder name, its number of labels and what runs it."""
        runs_on = f"{self.engine.name} {self.engine.precision}"
        return f"<SentenceClassifier {self.folder.path.name}, {len(self.label_names)} labels, {runs_on}>"

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of :meth:`predict_proba`."""
        return self.folder.label_names

    @property
    def thresholds(self) -> dict[str, float]:
        """The stored decision threshold of each label."""
        return dict(zip(self.label_names, self.folder.thresholds, strict=True))

    @property
    def threshold_sets(self) -> dict[str, dict[str, float]]:
        """The further sets of thresholds that ``thresholds`` takes by name, such as ``precision-0.9``."""
        return {
            name: dict(zip(self.label_names, values, strict=True))
            for name, values in self.folder.threshold_sets.items()
        }

    def info(self) -> dict[str, Any]:
        """Return the model's path, thresholds, review band, checksums, and what runs it, in JSON types."""
        review = self.folder.review
        return {
            "model": str(self.folder.path),
            "architecture": self.folder.architecture,
            "max_tokens": self.folder.max_tokens,
            "sha256": dict(self.folder.checksums),
            "engine": self.engine.name,
            "engine_version": self.engine.version,
            "precision": self.engine.precision,
            "device": self.engine.device,
            "is_calibrated": self.folder.calibration is not None,
            "thresholds": self.thresholds,
            "threshold_sets": self.threshold_sets,
            "review": asdict(review) if review is not None else None,
        }

    def predict_proba(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the probability of every label for each text.

        Parameters
        ----------
        texts : sequence of str
            Sentences. May be empty. A text longer than the model reads at once is read in overlapping windows.

        Returns
        -------
        ndarray of float32, shape (n_texts, n_labels)
            In [0, 1], rows in the order of ``texts``, columns in that of ``label_names``. Labels are independent:
            rows need not sum to 1. Rows of blank texts are 0. Calibrated where the model folder holds a calibration:
            of the decisions with probability 0.8, about 80% are right on text like its validation data.

        Raises
        ------
        InputTypeError
            If ``texts`` is a bare ``str`` or no sequence, or an item is not a ``str``; it names the item.
        """
        return self._score(_checked_texts(texts))[0]

    def predict(self, texts: Sequence[str], *, thresholds: Thresholds = None) -> list[tuple[str, ...]]:
        """Return the labels of each text.

        Parameters
        ----------
        texts : sequence of str
            As for :meth:`predict_proba`.
        thresholds : None, float, str, or mapping of str to float
            A label is given where its probability is at least its threshold. None takes the stored ones; a number
            holds for all labels; a str names one of :attr:`threshold_sets`; a mapping holds for the labels it names,
            the stored ones for the others.

        Returns
        -------
        list of tuple of str
            One tuple a text, in order, labels in the model's order; empty where none applies.

        Raises
        ------
        InputTypeError
            As for :meth:`predict_proba`.
        LabelError
            If a threshold names no label and no set of the model, or is not a number in [0, 1].
        """
        limits = self._limits(thresholds)
        return [self._names(row) for row in self.predict_proba(texts) >= limits]

    def expected_errors(
        self, probabilities: npt.NDArray[np.float32], *, thresholds: Thresholds = None
    ) -> npt.NDArray[np.float64]:
        """Return how many of each text's label decisions are expected to be wrong: what to check first.

        Parameters
        ----------
        probabilities : ndarray of float32, shape (n_texts, n_labels)
            As :meth:`predict_proba` gives them.
        thresholds : None, float, str, or mapping of str to float
            As for :meth:`predict`.

        Returns
        -------
        ndarray of float64, shape (n_texts,)
            In [0, n_labels], see :func:`ctclassify.review.expected_errors`; on a calibrated model.

        Raises
        ------
        LabelError
            As for :meth:`predict`.
        """
        return expected_errors(probabilities, probabilities >= self._limits(thresholds))

    def needs_review(
        self, probabilities: npt.NDArray[np.float32], *, thresholds: Thresholds = None
    ) -> npt.NDArray[np.bool_]:
        """Return which texts a person should check: those above the model's review limit.

        Parameters
        ----------
        probabilities : ndarray of float32, shape (n_texts, n_labels)
            As :meth:`predict_proba` gives them.
        thresholds : None, float, str, or mapping of str to float
            As for :meth:`predict`.

        Returns
        -------
        ndarray of bool, shape (n_texts,)
            All False where the model folder has no review band, see :attr:`ModelFolder.review`. The band was chosen at
            the stored thresholds: at others its precision is not known.

        Raises
        ------
        LabelError
            As for :meth:`predict`.
        """
        return self._is_uncertain(self.expected_errors(probabilities, thresholds=thresholds))

    def predict_article(self, text: str, *, thresholds: Thresholds = None) -> Article:
        """Split an article into sentences and tag each.

        Parameters
        ----------
        text : str
            The article.
        thresholds : None, float, str, or mapping of str to float
            As for :meth:`predict`.

        Returns
        -------
        Article
            Without sentences where the text is blank.

        Raises
        ------
        InputTypeError
            If ``text`` is not a ``str``.
        LabelError
            As for :meth:`predict`.
        """
        if not isinstance(text, str):
            raise InputTypeError(f"predict_article: expected one article as a str, got {_type_name(text)}")
        return self._tag([text], self._limits(thresholds))[0]

    def predict_stream(self, articles: Iterable[str], *, thresholds: Thresholds = None) -> Iterator[Article]:
        """Tag any number of articles in bounded memory.

        Parameters
        ----------
        articles : iterable of str
            Read as needed: about 260,000 characters or 1,000 articles ahead.
        thresholds : None, float, str, or mapping of str to float
            As for :meth:`predict`.

        Yields
        ------
        Article
            One an article, in order. Sentences of neighbouring articles share batches.

        Raises
        ------
        InputTypeError
            At once if ``articles`` is a bare ``str`` or not iterable; on reaching it, after every article before it
            was yielded, if an item is not a ``str``. An error that the iterable itself raises comes as late.
        LabelError
            At once, as for :meth:`predict`.
        """
        if isinstance(articles, str | bytes) or not isinstance(articles, Iterable):
            raise InputTypeError(
                f"predict_stream: expected an iterable of articles, got {_type_name(articles)}; "
                "for one article call predict_article"
            )
        return self._stream(articles, self._limits(thresholds))

    def _limits(self, thresholds: Thresholds) -> npt.NDArray[np.float64]:
        """Return the threshold of each label."""
        folder = self.folder
        return resolve_thresholds(thresholds, self.label_names, folder.thresholds, folder.threshold_sets)

    def _is_uncertain(self, errors: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return which expected errors lie above the review limit."""
        review = self.folder.review
        return errors > (np.inf if review is None else review.limit)

    def _stream(self, articles: Iterable[str], limits: npt.NDArray[np.float64]) -> Iterator[Article]:
        """Tag articles together, yield them one by one."""
        for gathered in _gather(articles):
            yield from self._tag(gathered, limits)

    def _tag(self, articles: list[str], limits: npt.NDArray[np.float64]) -> list[Article]:
        """Split and score articles together."""
        spans = [split_sentences(text) for text in articles]
        texts = [text[start:end] for text, its in zip(articles, spans, strict=True) for start, end in its]
        probabilities, is_windowed = self._score(texts)
        indicators = probabilities >= limits
        errors = expected_errors(probabilities, indicators)
        is_uncertain = self._is_uncertain(errors)
        tagged = []
        row = 0
        for text, its in zip(articles, spans, strict=True):
            rows = range(row, row + len(its))
            row += len(its)
            sentences = tuple(
                Sentence(
                    text=texts[i],
                    start=start,
                    end=end,
                    labels=self._names(indicators[i]),
                    probabilities=dict(zip(self.label_names, probabilities[i].tolist(), strict=True)),
                    is_truncated=bool(is_windowed[i]),
                    expected_errors=float(errors[i]),
                    needs_review=bool(is_uncertain[i]),
                )
                for i, (start, end) in zip(rows, its, strict=True)
            )
            labels = self._names(np.logical_or.reduce(indicators[rows.start : rows.stop], axis=0))
            tagged.append(Article(text=text, sentences=sentences, labels=labels))
        return tagged

    def _score(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Return probabilities, and which texts were read in windows."""
        probabilities = np.zeros((len(texts), len(self.label_names)), dtype=np.float32)
        is_windowed = np.zeros(len(texts), dtype=np.bool_)
        filled = [i for i, text in enumerate(texts) if text.strip()]
        for start in range(0, len(filled), _TEXTS_AT_ONCE):
            chosen = filled[start : start + _TEXTS_AT_ONCE]
            windows = self._encoder.encode([texts[i] for i in chosen])
            raw = self._score_windows(windows)
            calibration = self.folder.calibration
            probabilities[chosen] = raw if calibration is None else calibration.apply(raw)
            is_windowed[chosen] = windows.is_windowed
        return probabilities, is_windowed

    def _score_windows(self, windows: TokenWindows) -> npt.NDArray[np.float32]:
        """Return the maximum over the windows of each text."""
        scores = np.zeros((len(windows.is_windowed), len(self.label_names)), dtype=np.float32)
        for chosen in iter_batches([len(ids) for ids in windows.ids], _TOKEN_BUDGET):
            batch = self.engine.probabilities(*_padded([windows.ids[i] for i in chosen]))
            np.maximum.at(scores, windows.owner[chosen], batch)
        return scores

    def _names(self, indicators: npt.NDArray[np.bool_]) -> tuple[str, ...]:
        """Return the names of the labels that one row of the indicator matrix gives."""
        return tuple(self.label_names[j] for j in np.flatnonzero(indicators))


def _gather(articles: Iterable[str]) -> Iterator[list[str]]:
    """Yield lists of articles to tag together; what was read before an error comes before the error."""
    gathered: list[str] = []
    n_characters = 0
    numbered = enumerate(articles)
    while True:
        try:
            i, text = next(numbered)
            if not isinstance(text, str):
                raise InputTypeError(f"predict_stream: article {i}: expected str, got {_type_name(text)}")
        except StopIteration:
            break
        except Exception:
            yield gathered
            raise
        gathered.append(text)
        n_characters += len(text)
        if n_characters >= _STREAM_CHARACTERS or len(gathered) >= _STREAM_ARTICLES:
            yield gathered
            gathered, n_characters = [], 0
    yield gathered


def _padded(ids: list[list[int]]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return token ids padded with 0 on the right, and the length of each row."""
    n_tokens = np.array([len(row) for row in ids], dtype=np.int32)
    matrix = np.zeros((len(ids), int(n_tokens.max())), dtype=np.int32)
    matrix[np.arange(matrix.shape[1]) < n_tokens[:, None]] = np.concatenate(
        [np.array(row, dtype=np.int32) for row in ids]
    )
    return matrix, n_tokens


def _checked_texts(texts: Sequence[str]) -> Sequence[str]:
    """Return the texts once each is known to be a ``str``."""
    if isinstance(texts, str | bytes | Set | Mapping) or not isinstance(texts, Iterable):
        raise InputTypeError(f"expected a sequence of texts, got {_type_name(texts)}; for one text pass a list: [text]")
    checked = list(texts)
    for i, text in enumerate(checked):
        if not isinstance(text, str):
            raise InputTypeError(f"texts[{i}]: expected str, got {_type_name(text)}; remove or decode it first")
    return checked


def _type_name(value: object) -> str:
    """Return the name of a value's type."""
    return type(value).__name__
