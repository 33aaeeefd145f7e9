"""The sentence classifier: texts or articles in, labels and probabilities out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from ctclassify.article import Article, Sentence
from ctclassify.decoding import names_of_rows
from ctclassify.engines.base import Engine, LowPrecisionEngine
from ctclassify.engines.selection import import_ahead, make_engine
from ctclassify.errors import CTClassifyError, InputTypeError, ModelFolderError
from ctclassify.inference import TEXTS_AT_ONCE, PreparedTexts, SentenceScorer, map_ahead
from ctclassify.inputs import checked_texts, gather_articles, is_no_sequence, type_name
from ctclassify.model_folder import ModelFolder, read_model_folder
from ctclassify.review import expected_errors
from ctclassify.shipped import shipped_model_path
from ctclassify.splitting import split_sentences
from ctclassify.thresholds import Thresholds, resolve_thresholds
from ctclassify.tokenization import TextEncoder

__all__ = ["SentenceClassifier", "load"]

_LOADING = Lock()
"""Held while a classifier that was sent is loaded, so that threads of one process do not load it twice."""


def load(model: str | Path | None = None, *, engine: str = "auto") -> SentenceClassifier:
    """Load a model.

    Parameters
    ----------
    model : str, pathlib.Path or None
        A model folder that this project saved; None is the shipped model. Nothing is fetched from a network, and no
        code from the folder is run.
    engine : str
        ``auto``, ``openvino``, ``openvino-bf16``, ``openvino-fp32``, ``openvino-int8``, ``torch``, ``torch-cpu``,
        ``torch-cpu-bf16`` or ``torch-cuda``.

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
    import_ahead(engine)
    folder = read_model_folder(shipped_model_path() if model is None else Path(model))
    classifier = SentenceClassifier(folder, make_engine(engine, folder))
    classifier._loaded_by = (None if model is None else str(folder.path.absolute()), engine)
    return classifier


@lru_cache(maxsize=8)
def _load_again(model: str | None, engine: str, identity: str) -> SentenceClassifier:
    """Load in another process the model that a classifier was sent from: once a process, however often it is sent."""
    classifier = load(model, engine=engine)
    if _identity(classifier.folder) != identity:
        raise ModelFolderError(
            f"{classifier.folder.path}: holds another model than the process that sent the classifier, or other "
            "thresholds; install the same version there, or give the same folder",
            path=classifier.folder.path,
        )
    return classifier


def _identity(folder: ModelFolder) -> str:
    """Return what two folders have in common that give the same labels."""
    return json.dumps([folder.checksums, folder.manifest.to_dict()], sort_keys=True)


def _receive(model: str | None, engine: str, identity: str) -> SentenceClassifier:
    """Return a classifier that was sent here; one that cannot be loaded says why when it is used.

    An error on arrival would never reach the sender: a pool loses the task and waits for ever.
    """
    try:
        with _LOADING:
            return _load_again(model, engine, identity)
    except CTClassifyError as error:
        return _NotLoaded(error)


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
    label. The same input gives the same output for one engine and number of threads. Sent to another process
    (multiprocessing, joblib, Ray, Spark), a classifier travels as the folder's name and checksums, and is loaded there
    once. Where it cannot be, using it raises the error.
    """

    def __init__(self, folder: ModelFolder, engine: Engine) -> None:
        self.folder = folder
        self.engine = engine
        encoder = TextEncoder(folder.tokenizer_path, folder.max_tokens)
        n_known = folder.config.get("vocab_size")
        if isinstance(n_known, int) and encoder.n_words > n_known:
            raise ModelFolderError(
                f"{folder.tokenizer_path} has {encoder.n_words} tokens, config.json: vocab_size is {n_known}; save the "
                "model again with its own tokenizer",
                path=folder.tokenizer_path,
            )
        self._scorer = SentenceScorer(encoder, engine, len(folder.label_names))
        self._loaded_by: tuple[str | None, str] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what loads this classifier in another process; neither weights nor engine are pickled."""
        if self._loaded_by is None:
            raise TypeError("a classifier that ctclassify.load did not make cannot be sent; load one in each process")
        return _receive, (*self._loaded_by, _identity(self.folder))

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
            "float32_within": self.engine.margin if isinstance(self.engine, LowPrecisionEngine) else 0.0,
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
            of the decisions with probability 0.8, about 80% are right on text like its validation data. Near the
            stored thresholds they are float32's whatever the engine's precision; :meth:`predict` sees to it at others.

        Raises
        ------
        InputTypeError
            If ``texts`` is a bare ``str``, a set, a mapping, a table or no iterable, or an item is not a ``str``; it
            names the item.
        """
        return self._probabilities(texts, self.folder.borders)

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
        probabilities = self._probabilities(texts, self.folder.borders_at(limits))
        return names_of_rows(probabilities >= limits, self.label_names)

    def expected_errors(
        self, probabilities: npt.ArrayLike, *, thresholds: Thresholds = None
    ) -> npt.NDArray[np.float64]:
        """Return how many of each text's label decisions are expected to be wrong: what to check first.

        Parameters
        ----------
        probabilities : array_like of float, shape (n_texts, n_labels)
            As :meth:`predict_proba` gives them.
        thresholds : None, float, str, or mapping of str to float
            As for :meth:`predict`.

        Returns
        -------
        ndarray of float64, shape (n_texts,)
            In [0, n_labels], see :func:`ctclassify.review.expected_errors`; on a calibrated model.

        Raises
        ------
        InputTypeError
            If the probabilities have another shape, or are no numbers in [0, 1].
        LabelError
            As for :meth:`predict`.
        """
        checked = self._checked_probabilities(probabilities)
        return expected_errors(checked, checked >= self._limits(thresholds))

    def needs_review(self, probabilities: npt.ArrayLike, *, thresholds: Thresholds = None) -> npt.NDArray[np.bool_]:
        """Return which texts a person should check: those above the model's review limit.

        Parameters
        ----------
        probabilities : array_like of float, shape (n_texts, n_labels)
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
        InputTypeError
            If the probabilities have another shape, or are no numbers in [0, 1].
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
            raise InputTypeError(f"predict_article: expected one article as a str, got {type_name(text)}")
        return next(self._tag(self._split([text]), self._limits(thresholds)))

    def predict_stream(self, articles: Iterable[str], *, thresholds: Thresholds = None) -> Iterator[Article]:
        """Tag any number of articles in bounded memory.

        Parameters
        ----------
        articles : iterable of str
            Read as needed, in the caller's thread: at most about 520,000 characters or 1,000 articles ahead.
        thresholds : None, float, str, or mapping of str to float
            As for :meth:`predict`.

        Yields
        ------
        Article
            One an article, in order. Sentences of neighbouring articles share batches.

        Raises
        ------
        InputTypeError
            At once if ``articles`` is a bare ``str``, a set, a mapping, a table or not iterable; on reaching it, after
            every article before it was yielded, if an item is not a ``str``. An error that the iterable itself raises
            comes as late.
        LabelError
            At once, as for :meth:`predict`.
        """
        if is_no_sequence(articles):
            raise InputTypeError(
                f"predict_stream: expected an iterable of articles, got {type_name(articles)}; "
                "for one article call predict_article, of a table pass the column of the texts"
            )
        return self._stream(articles, self._limits(thresholds))

    def _limits(self, thresholds: Thresholds) -> npt.NDArray[np.float64]:
        """Return the threshold of each label."""
        folder = self.folder
        return resolve_thresholds(thresholds, self.label_names, folder.thresholds, folder.threshold_sets)

    def _checked_probabilities(self, probabilities: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return probabilities as an array of the model's labels."""
        expected = f"expected numbers of shape (n_texts, {len(self.label_names)}), as predict_proba gives them"
        try:
            checked = np.asarray(probabilities, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise InputTypeError(f"probabilities: {error}; {expected}") from error
        if checked.ndim != 2 or checked.shape[1] != len(self.label_names):
            raise InputTypeError(f"probabilities: got shape {checked.shape}, {expected}")
        wrong = np.argwhere(~((checked >= 0) & (checked <= 1)))
        if len(wrong):
            i, j = wrong[0]
            raise InputTypeError(
                f"probabilities[{i}, {j}] is {checked[i, j]}: expected numbers in [0, 1]; leave out rows without a text"
            )
        return checked

    def _is_uncertain(self, errors: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return which expected errors lie above the review limit."""
        review = self.folder.review
        return errors > (np.inf if review is None else review.limit)

    def _stream(self, articles: Iterable[str], limits: npt.NDArray[np.float64]) -> Iterator[Article]:
        """Tag articles together, yield them one by one; the next ones are split and tokenised meanwhile."""
        for split in map_ahead(self._split, gather_articles(articles)):
            yield from self._tag(split, limits)

    def _split(self, articles: list[str]) -> _SplitArticles:
        """Split articles and tokenise their sentences together, unless a book among them makes these too many."""
        spans = [split_sentences(text) for text in articles]
        texts = [text[start:end] for text, its in zip(articles, spans, strict=True) for start, end in its]
        prepared = self._scorer.prepare(texts) if len(texts) <= TEXTS_AT_ONCE else None
        return _SplitArticles(articles, spans, texts, prepared)

    def _tag(self, split: _SplitArticles, limits: npt.NDArray[np.float64]) -> Iterator[Article]:
        """Score the sentences of articles together, yield the articles."""
        scorer, prepared, borders = self._scorer, split.prepared, self.folder.borders_at(limits)
        raw, is_windowed = scorer.score(split.texts, borders) if prepared is None else scorer.run(prepared, borders)
        probabilities = self._calibrated(raw)
        indicators = probabilities >= limits
        errors = expected_errors(probabilities, indicators)
        # Python objects are made column by column: numpy converts a column at once, several times faster than by item.
        rows = zip(
            split.texts,
            names_of_rows(indicators, self.label_names),
            probabilities.tolist(),
            is_windowed.tolist(),
            errors.tolist(),
            self._is_uncertain(errors).tolist(),
            strict=True,
        )
        for text, spans in zip(split.articles, split.spans, strict=True):
            sentences = tuple(
                self._sentence(span, *row) for span, row in zip(spans, islice(rows, len(spans)), strict=True)
            )
            found = {name for sentence in sentences for name in sentence.labels}
            labels = tuple(name for name in self.label_names if name in found)
            yield Article(text=text, sentences=sentences, labels=labels)

    def _sentence(
        self,
        span: tuple[int, int],
        text: str,
        labels: tuple[str, ...],
        probabilities: list[float],
        is_truncated: bool,
        errors: float,
        needs_review: bool,
    ) -> Sentence:
        """Return one tagged sentence."""
        return Sentence(
            text=text,
            start=span[0],
            end=span[1],
            labels=labels,
            probabilities=dict(zip(self.label_names, probabilities, strict=True)),
            is_truncated=is_truncated,
            expected_errors=errors,
            needs_review=needs_review,
        )

    def _probabilities(self, texts: Sequence[str], borders: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        """Return calibrated probabilities, of float32 near the borders at which decisions turn."""
        return self._calibrated(self._scorer.score(checked_texts(texts), borders)[0])

    def _calibrated(self, raw: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return calibrated probabilities; those of blank texts stay 0."""
        calibration = self.folder.calibration
        if calibration is None:
            return raw
        calibrated = calibration.apply(raw)
        calibrated[~raw.any(axis=1)] = 0
        return calibrated


class _NotLoaded(SentenceClassifier):
    """A classifier that was sent and could not be loaded: whatever is asked of it raises the error."""

    def __init__(self, error: CTClassifyError) -> None:
        object.__setattr__(self, "_error", error)

    def __getattribute__(self, name: str) -> Any:
        """Raise the error, for a method when it is called: tasks name methods before they can fail."""
        if name.startswith("__"):
            return object.__getattribute__(self, name)
        error = object.__getattribute__(self, "_error")

        def fail(*_: Any, **__: Any) -> NoReturn:
            raise error

        if callable(getattr(SentenceClassifier, name, None)):
            return fail
        raise error


class _SplitArticles(NamedTuple):
    """Articles, the spans of each one's sentences, the sentences of all, and what the engine needs of these.

    ``prepared`` is None where the sentences are too many to hold the token ids of all.
    """

    articles: list[str]
    spans: list[list[tuple[int, int]]]
    texts: list[str]
    prepared: PreparedTexts | None
