"""From validation data to a model folder's manifest: calibration, thresholds, review band."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ctclassify.errors import DataError
from ctclassify.manifest import Manifest
from ctclassify.review import ReviewBand, expected_errors
from training.calibration import fit_calibration
from training.config import DecisionConfig
from training.data import LabelledSentences, labels_without_positives
from training.thresholds import tune_for_precision, tune_thresholds

__all__ = ["check_positives", "choose_review_band", "decide"]


def check_positives(validation: LabelledSentences, label_names: Sequence[str], *, path: Path) -> None:
    """Warn on stderr of labels that no validation sentence has, and refuse data without any.

    Parameters
    ----------
    validation : LabelledSentences
        What thresholds are to be chosen on.
    label_names : sequence of str
        The model's labels.
    path : pathlib.Path
        The (first) file, which the error names.

    Raises
    ------
    DataError
        If no sentence has any label.
    """
    missing = labels_without_positives(validation, label_names)
    if len(missing) == len(label_names):
        message = f"no sentence has a label ({', '.join(label_names)}), so there is nothing to choose thresholds by"
        raise DataError(f"{message}; give validation data with positives of each label", path=path)
    if missing:
        print(
            f"warning: no positive in the validation data of {', '.join(missing)}: "
            "calibration and threshold follow the other labels there",
            file=sys.stderr,
        )


def decide(
    y_true: npt.NDArray[np.int8],
    y_score: npt.NDArray[np.float32],
    label_names: Sequence[str],
    how: DecisionConfig,
    *,
    max_tokens: int,
) -> Manifest:
    """Choose how probabilities become labels, on validation data.

    Parameters
    ----------
    y_true : ndarray of int8, shape (n_texts, n_labels)
        Indicator matrix.
    y_score : ndarray of float32, shape (n_texts, n_labels)
        The model's own probabilities, not calibrated.
    label_names : sequence of str
        The labels, in the order of the columns.
    how : DecisionConfig
        Method of calibration, objective of the thresholds, precision outside the review band.
    max_tokens : int
        Most tokens that the model reads at once: it stands in the manifest too.

    Returns
    -------
    Manifest
        The thresholds are those of ``how.objective``; every other objective is in ``threshold_sets``.
    """
    calibration = fit_calibration(y_true, y_score, how.calibration)
    probabilities = y_score if calibration is None else calibration.apply(y_score)
    sets = {
        "f1": tune_thresholds(y_true, probabilities),
        "f0.5": tune_thresholds(y_true, probabilities, beta=0.5),
        "f2": tune_thresholds(y_true, probabilities, beta=2.0),
        **{f"precision-{floor:g}": tune_for_precision(y_true, probabilities, floor) for floor in how.precision_floors},
    }
    chosen = sets[how.objective]
    review = None
    if how.review_precision:
        review = choose_review_band(y_true, probabilities, probabilities >= chosen, how.review_precision)
    return Manifest(
        thresholds=_named(label_names, chosen),
        threshold_sets={name: _named(label_names, values) for name, values in sets.items()},
        max_tokens=max_tokens,
        calibration=calibration,
        review=review,
    )


def choose_review_band(
    y_true: npt.NDArray[np.int8],
    probabilities: npt.NDArray[np.float32],
    indicators: npt.NDArray[np.bool_],
    target_precision: float,
) -> ReviewBand | None:
    """Choose the smallest review band that lets the other sentences reach a micro-precision.

    Parameters
    ----------
    y_true : ndarray of int8, shape (n_texts, n_labels)
        Indicator matrix.
    probabilities : ndarray of float32, shape (n_texts, n_labels)
        Calibrated probabilities.
    indicators : ndarray of bool, shape (n_texts, n_labels)
        The decisions.
    target_precision : float
        Micro-precision of the sentences outside the band, in (0, 1).

    Returns
    -------
    ReviewBand or None
        Its limit is one of the expected errors that occur; None where no band reaches the target, and for no texts.
    """
    errors = expected_errors(probabilities, indicators)
    order = np.argsort(errors, kind="stable")
    true_positives = np.cumsum((indicators & y_true.astype(bool)).sum(1)[order])
    n_predicted = np.cumsum(indicators.sum(1)[order])
    # Sentences without any label reach every precision: a band that leaves only those would promise nothing.
    reaches = (n_predicted > 0) & (true_positives >= target_precision * n_predicted)
    # Texts with equal errors go together: a limit can only stand after the last of them.
    is_last = np.append(np.diff(errors[order]) > 0, True)[: len(order)]
    ends = np.flatnonzero(reaches & is_last)
    if not len(ends):
        return None
    end = int(ends[-1])
    # Rounded up: the text at the limit stays outside the band.
    limit = float(np.ceil(errors[order][end] * 1e6) / 1e6)
    share = float((errors > limit).mean())
    return ReviewBand(limit=limit, target_precision=target_precision, share=round(share, 4))


def _named(label_names: Sequence[str], values: npt.NDArray[np.float64]) -> dict[str, float]:
    """Return values by label."""
    return dict(zip(label_names, map(float, values), strict=True))
