r"""List the training sentences whose labels a model that never saw them doubts, the most doubtful first.

    python training/evaluate.py --cv training/configs/mine.toml
    python training/find_label_noise.py --data train.jsonl --predictions training/runs/mine-cv/out-of-fold.jsonl \
        --output suspects.csv

Confident learning's first step [1]_: rank by self-confidence, the out-of-fold probability of the label as given, least
first; a sentence is as doubtful as its most doubtful label. The list is to be read by a person (or a second annotator):
on the annotated corpus most doubts were the model's own errors, so nothing is changed here. What was read goes into the
data with the reason beside it.

References
----------
.. [1] Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in Dataset Labels, JAIR 70, 2021; its
   library is AGPL, which is why this is not it.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import numpy.typing as npt

from ctclassify.errors import CTClassifyError, DataError
from ctclassify.labels import LABEL_IDS
from training.data import LabelledSentences, indicator_matrix, read_labelled
from training.files import read_lines, write_text

__all__ = ["read_predictions", "self_confidence", "suspects"]

_COLUMNS = ("rank", "row", "document", "self_confidence", "labels", "suggested", "doubts", "text")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, help="the training files in the config's order, each once"
    )
    parser.add_argument("--predictions", type=Path, required=True, help="out-of-fold.jsonl of evaluate.py --cv")
    parser.add_argument(
        "--label-names", nargs="+", default=LABEL_IDS, help="the config's labels, unless the codebook's"
    )
    parser.add_argument("--below", type=float, default=0.3, help="list labels given less than this probability")
    parser.add_argument("--output", type=Path, required=True, help="a CSV file")
    args = parser.parse_args(argv)
    if not 0 < args.below <= 0.5:
        parser.error(f"--below: expected a probability up to 0.5, beyond which all are doubtful, got {args.below:g}")
    try:
        sentences = read_labelled(args.data, args.label_names)
        probabilities = read_predictions(args.predictions, sentences, args.label_names)
        rows = suspects(sentences, probabilities, args.label_names, below=args.below)
        table = io.StringIO()
        writer = csv.DictWriter(table, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(args.output, table.getvalue())
    except (CTClassifyError, OSError) as error:
        print(f"find_label_noise: {error}", file=sys.stderr)
        return 2
    print(f"{len(rows)} of {len(sentences)} sentences have a doubtful label; written to {args.output}")
    return 0


def read_predictions(path: Path, sentences: LabelledSentences, label_names: Sequence[str]) -> npt.NDArray[np.float64]:
    """Read out-of-fold probabilities and check that they are those of these sentences.

    Parameters
    ----------
    path : pathlib.Path
        ``out-of-fold.jsonl``, a line a sentence.
    sentences : LabelledSentences
        The training sentences, in the same order.
    label_names : sequence of str
        The labels, in the order of the columns.

    Returns
    -------
    ndarray of float64, shape (n_texts, n_labels)

    Raises
    ------
    DataError
        If a line has no such probabilities, or labels or number of lines are not those of the sentences.
    """
    rows: list[list[float]] = []
    for line_number, line in read_lines(path):
        i = len(rows)
        try:
            row: dict[str, Any] = json.loads(line)
            rows.append([float(row["probabilities"][name]) for name in label_names])
            is_same = i < len(sentences) and set(row["labels"]) == set(sentences.labels[i])
            if not all(0 <= p <= 1 for p in rows[-1]):
                raise ValueError("a probability is not in [0, 1]")
        except (ValueError, TypeError, KeyError) as error:
            message = f'expected an object with "labels" and "probabilities" of each label ({error!r})'
            raise DataError(message, path=path, line_number=line_number) from error
        if not is_same:
            message = "is not the prediction of the training sentence in this place; give the files of the config"
            raise DataError(message, path=path, line_number=line_number)
    if len(rows) != len(sentences):
        raise DataError(f"has {len(rows)} predictions for {len(sentences)} sentences", path=path)
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(label_names))


def self_confidence(y_true: npt.NDArray[np.int8], probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the probability of each decision as it was labelled: p where the label is given, 1 - p where it is not."""
    return np.where(y_true == 1, probabilities, 1 - probabilities)


def suspects(
    sentences: LabelledSentences,
    probabilities: npt.NDArray[np.float64],
    label_names: Sequence[str],
    *,
    below: float = 0.3,
) -> list[dict[str, Any]]:
    """Rank the sentences that have a label decision of low self-confidence.

    Parameters
    ----------
    sentences : LabelledSentences
        The training sentences.
    probabilities : ndarray of float64, shape (n_texts, n_labels)
        Out-of-fold, calibrated: on raw ones 0.5 means nothing.
    label_names : sequence of str
        The labels, in the order of the columns.
    below : float
        A decision is doubtful below this self-confidence.

    Returns
    -------
    list of dict
        Least self-confidence first, equals in the order of the sentences: ``rank`` and ``row`` (both from 1),
        ``document``, ``self_confidence`` (least of the sentence), ``labels`` and ``suggested`` (with each doubtful
        decision turned round) joined by ``|``, ``doubts`` (``label probability``, joined), ``text``. Empty where
        nothing is doubtful.
    """
    y_true = indicator_matrix(sentences.labels, label_names)
    confidence = self_confidence(y_true, probabilities)
    least = confidence.min(1) if len(sentences) else np.zeros(0)
    found: list[dict[str, Any]] = []
    for i in np.argsort(least, kind="stable").tolist():
        doubtful = confidence[i] < below
        if not doubtful.any():
            break
        turned = y_true[i].astype(bool) ^ doubtful
        found.append(
            {
                "rank": len(found) + 1,
                "row": i + 1,
                "document": sentences.documents[i],
                "self_confidence": round(float(least[i]), 4),
                "labels": _joined(label_names, y_true[i].astype(bool)),
                "suggested": _joined(label_names, turned),
                "doubts": "; ".join(
                    f"{label_names[j]} {probabilities[i, j]:.2f}" for j in np.flatnonzero(doubtful).tolist()
                ),
                "text": sentences.texts[i],
            }
        )
    return found


def _joined(label_names: Sequence[str], chosen: npt.NDArray[np.bool_]) -> str:
    """Return the chosen labels joined by bars."""
    return "|".join(label_names[j] for j in np.flatnonzero(chosen).tolist())


if __name__ == "__main__":
    sys.exit(main())
