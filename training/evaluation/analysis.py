"""All figures of one model's probabilities on labelled sentences."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ctclassify.errors import DataError
from training.data import LabelledSentences, indicator_matrix, read_labelled
from training.evaluation.confusion import confusion
from training.evaluation.curves import precision_recall_curves
from training.evaluation.metrics import evaluate_predictions
from training.evaluation.reliability import reliability
from training.evaluation.review_figures import review_figures
from training.evaluation.slices import field_values, length_values, slice_figures
from training.files import read_lines

__all__ = ["Predictions", "analyse", "headline", "read_sliceable"]

_USUAL_FIELDS = ("source", "genre")
"""Slices that are made unasked where the data has the field."""


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Probabilities beside the truth.

    Attributes
    ----------
    sentences : LabelledSentences
        The data.
    label_names : tuple of str
        Labels in the order of the columns.
    y_score : ndarray of float32, shape (n_texts, n_labels)
        Probabilities.
    thresholds : ndarray of float64, shape (n_labels,) or (n_texts, n_labels)
        Of each label, or of each label for each text where several models answer.
    needs_review : ndarray of bool, shape (n_texts,), or None
        Which sentences a person should check; None where the model has no review band.
    """

    sentences: LabelledSentences
    label_names: tuple[str, ...]
    y_score: npt.NDArray[np.float32]
    thresholds: npt.NDArray[np.float64]
    needs_review: npt.NDArray[np.bool_] | None = None

    @cached_property
    def y_true(self) -> npt.NDArray[np.int8]:
        """Indicator matrix of the truth, shape (n_texts, n_labels)."""
        return indicator_matrix(self.sentences.labels, self.label_names)

    @cached_property
    def y_pred(self) -> npt.NDArray[np.bool_]:
        """The decisions, shape (n_texts, n_labels)."""
        return np.asarray(self.y_score >= self.thresholds)


def read_sliceable(
    paths: Sequence[Path], label_names: Sequence[str], slice_by: Sequence[str] | None
) -> LabelledSentences:
    """Read labelled sentences with the fields to slice by.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        As for :func:`training.data.read_labelled`.
    label_names : sequence of str
        The labels that may occur.
    slice_by : sequence of str or None
        Fields that some row must have; None takes ``source`` and ``genre`` where a row has them
        and none has anything but text there.

    Raises
    ------
    DataError
        As ``read_labelled``, and if no row has a field of ``slice_by``.
    """
    wanted = _text_fields(paths, _USUAL_FIELDS) if slice_by is None else tuple(dict.fromkeys(slice_by))
    sentences = read_labelled(paths, label_names, keep_fields=wanted)
    absent = [name for name in wanted if all(value is None for value in sentences.fields[name])]
    if absent and slice_by is not None and len(sentences):
        message = f'no row has the field "{absent[0]}" that --slice-by names; expected a field of the data'
        raise DataError(message, path=paths[0])
    present = {name: values for name, values in sentences.fields.items() if name not in absent}
    return LabelledSentences(
        texts=sentences.texts, labels=sentences.labels, documents=sentences.documents, fields=present
    )


def _text_fields(paths: Sequence[Path], names: Sequence[str]) -> tuple[str, ...]:
    """Return the fields that hold text or nothing in every row; ``read_labelled`` names what is no row or no file."""
    kept = tuple(names)
    for path in filter(Path.is_file, paths):
        for _, line in read_lines(path):
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(row, dict):
                kept = tuple(name for name in kept if isinstance(row.get(name), str | None))
    return kept


def headline(predictions: Predictions) -> dict[str, Any]:
    """Return the figures of :func:`training.evaluation.metrics.evaluate_predictions`."""
    return evaluate_predictions(
        predictions.y_true,
        predictions.y_score,
        predictions.thresholds,
        label_names=predictions.label_names,
        documents=predictions.sentences.documents,
    )


def analyse(predictions: Predictions) -> dict[str, Any]:
    """Return what lies behind the headline.

    Returns
    -------
    dict
        JSON types. ``reliability``, ``review``, ``confusion`` and ``precision_recall`` as the functions of their
        modules give them; ``slices``: for each field that the sentences keep, and by ``length in words``, the figures
        of :func:`training.evaluation.slices.slice_figures`.
    """
    y_true, y_score, y_pred = predictions.y_true, predictions.y_score, predictions.y_pred
    names, sentences = predictions.label_names, predictions.sentences
    slices = {
        field: slice_figures(y_true, y_pred, field_values(field, values), sentences.documents)
        for field, values in sentences.fields.items()
    }
    lengths, order = length_values(sentences.texts)
    slices["length in words"] = slice_figures(y_true, y_pred, lengths, sentences.documents, order=order)
    return {
        "reliability": reliability(y_true, y_score, names),
        "review": review_figures(y_true, y_score, y_pred, needs_review=predictions.needs_review),
        "slices": slices,
        "confusion": confusion(y_true, y_pred, names),
        "precision_recall": precision_recall_curves(y_true, y_score, names),
    }
