"""From a model or the baseline to predictions on labelled sentences; the test of the difference between two models."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import ctclassify
from ctclassify.errors import DataError, LabelError
from ctclassify.manifest import MANIFEST
from ctclassify.model_folder import sha256_file
from training.config import TrainingConfig
from training.data import LabelledSentences, indicator_matrix, read_labelled
from training.evaluation.analysis import Predictions
from training.evaluation.bootstrap import N_RESAMPLES, paired_bootstrap
from training.evaluation.counts import label_counts, rounded
from training.folds import take_share
from training.thresholds import tune_thresholds

__all__ = ["compare_models", "describe_engine", "describe_model", "score_baseline", "score_model", "short_name"]


def score_model(
    classifier: ctclassify.SentenceClassifier,
    sentences: LabelledSentences,
    *,
    label_names: Sequence[str] | None = None,
) -> Predictions:
    """Score a model on sentences, with its own thresholds and review band.

    Parameters
    ----------
    classifier : SentenceClassifier
        The model.
    sentences : LabelledSentences
        The data; may be empty.
    label_names : sequence of str or None
        Order of the columns; the model's own unless given.

    Returns
    -------
    Predictions

    Raises
    ------
    LabelError
        If the model has not exactly these labels.
    """
    own = classifier.label_names
    names = own if label_names is None else tuple(label_names)
    if set(names) != set(own):
        differing = ", ".join(sorted(set(names) ^ set(own)))
        raise LabelError(
            f"{classifier.folder.path}: the labels differ from the first model's in {differing}; "
            "models can be compared where they have the same labels"
        )
    probabilities = classifier.predict_proba(sentences.texts)
    has_band = classifier.folder.review is not None
    needs_review = classifier.needs_review(probabilities) if has_band else None
    columns = [own.index(name) for name in names]
    return Predictions(
        sentences=sentences,
        label_names=names,
        y_score=probabilities[:, columns],
        thresholds=np.asarray(list(classifier.thresholds.values()))[columns],
        needs_review=needs_review,
    )


def score_baseline(config: TrainingConfig, sentences: LabelledSentences, label_names: Sequence[str]) -> Predictions:
    """Score the TF-IDF baseline on sentences.

    Parameters
    ----------
    config : TrainingConfig
        Its training rows are what the baseline is fitted on, its validation rows what the thresholds are tuned on.
    sentences : LabelledSentences
        The data; may be empty.
    label_names : sequence of str
        Order of the columns.

    Returns
    -------
    Predictions

    Raises
    ------
    DataError
        As for reading data, and if there is no training row, or too few to fit the baseline on.
    """
    from training.baseline import baseline_scores  # scikit-learn's solvers load slowly

    train = take_share(read_labelled(config.data.train, label_names), config.data.share)
    if not len(train):
        raise DataError("no sentence in the files that the baseline learns from", path=config.data.train[0])
    validation = read_labelled(config.data.validation, label_names)
    texts = [validation.texts, sentences.texts]
    try:
        on_validation, on_data = baseline_scores(train, texts, label_names, seed=config.seed)
    except ValueError as error:
        raise DataError(str(error), path=config.data.train[0]) from error
    thresholds = tune_thresholds(indicator_matrix(validation.labels, label_names), on_validation)
    return Predictions(
        sentences=sentences, label_names=tuple(label_names), y_score=on_data, thresholds=np.asarray(thresholds)
    )


def compare_models(predictions: Predictions, other: ctclassify.SentenceClassifier) -> dict[str, Any]:
    """Test the difference between a model's predictions and another model on the same sentences.

    Parameters
    ----------
    predictions : Predictions
        Of the model in question.
    other : SentenceClassifier
        A model of the same labels, in any order.

    Returns
    -------
    dict
        ``model_folder`` of the other, ``n_resamples``, ``n_documents``, and for ``micro_f1`` and ``macro_f1`` what
        :func:`training.evaluation.bootstrap.paired_bootstrap` gives, above 0 where the model in question is better,
        with ``other``, the other model's figure.

    Raises
    ------
    LabelError
        If the labels differ.
    """
    second = score_model(other, predictions.sentences, label_names=predictions.label_names)
    y_true = predictions.y_true
    tested = paired_bootstrap(y_true, predictions.y_pred, second.y_pred, predictions.sentences.documents)
    counts = label_counts(y_true, second.y_pred)
    return {
        "model_folder": describe_model(other),
        "n_resamples": N_RESAMPLES,
        "n_documents": tested["n_documents"],
        "micro_f1": {"other": rounded(counts.micro_f1()), **tested["micro_f1"]},
        "macro_f1": {"other": rounded(counts.macro_f1()), **tested["macro_f1"]},
    }


def describe_engine(classifier: ctclassify.SentenceClassifier) -> dict[str, Any]:
    """Return what runs a model."""
    return {key: classifier.info()[key] for key in ("engine", "engine_version", "precision")}


def describe_model(classifier: ctclassify.SentenceClassifier) -> dict[str, Any]:
    """Return ``name`` of a model's folder and ``sha256`` of its files, with that of the manifest and its thresholds."""
    folder = classifier.folder
    manifest = {MANIFEST: sha256_file(folder.path / MANIFEST)}
    return {"name": short_name(str(folder.path.resolve())), "sha256": {**folder.checksums, **manifest}}


def short_name(model: str) -> str:
    """Return a model's short name, safe in a file name.

    Parameters
    ----------
    model : str
        A folder or a name on the Hub.

    Returns
    -------
    str
        The last part, or that of the run for ``runs/<name>/model``; a hyphen for what is no letter, digit, ``.``,
        ``_`` or ``-``.
    """
    path = Path(model)
    name = path.parent.name if path.name == "model" and path.parent.name else path.name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)
