"""Cross-validation by document: every training sentence is scored once, by a model that did not see its document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import ctclassify
from ctclassify.errors import DataError
from ctclassify.labels import LABEL_IDS
from ctclassify.manifest import MANIFEST
from ctclassify.model_folder import sha256_file
from training import finetune
from training.config import TrainingConfig
from training.data import LabelledSentences, read_labelled
from training.evaluation.analysis import Predictions, analyse, headline, read_sliceable
from training.evaluation.model_scores import describe_engine, score_model
from training.evaluation.spread import spread_of_reports
from training.files import write_text
from training.folds import assign_folds, count_seen_elsewhere
from training.once import train_once

__all__ = ["cross_validate", "cross_validation_folder"]


def cross_validation_folder(config: TrainingConfig) -> Path:
    """Return the folder of a config's cross-validation, ``training/runs/<name>-cv``."""
    return finetune.RUNS / f"{config.name}-cv"


def cross_validate(
    config: TrainingConfig,
    folder: Path | None = None,
    *,
    n_folds: int = 5,
    engine: str = "auto",
    slice_by: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Fine-tune one model a fold and score all of them together.

    Parameters
    ----------
    config : TrainingConfig
        Its training files are cut into folds; one that is given several times, to weigh it, is scored once and learned
        from as often as given. Its validation files serve every fold for calibration and thresholds, less the documents
        that stand in the training files too: those must not decide how they are judged.
    folder : pathlib.Path or None
        Where to write; ``training/runs/<name>-cv`` unless given. A fold that is trained is kept, one that was stopped
        goes on.
    n_folds : int
        At least 2, at most the number of documents.
    engine : str
        As for ``ctclassify.load``.
    slice_by : sequence of str or None
        As for :func:`training.evaluation.analysis.read_sliceable`.

    Returns
    -------
    dict
        As :func:`training.evaluate.evaluate`, ``model`` over the predictions of all folds, each decided with its own
        model's thresholds; and ``cross_validation``: ``folder`` (its name), ``seed``,
        ``n_validation_left_out`` (sentences of documents in both), ``n_seen_elsewhere`` (sentences that stand word for
        word in another fold), ``folds`` (metrics of each, with
        ``fold``), and the spread of their F1. The folder gets ``out-of-fold.jsonl``, one object a training sentence
        in the order of the distinct files: ``document`` (name and line of the file for a line that names none),
        ``fold``, ``labels``, ``probabilities``; no text.

    Raises
    ------
    DataError
        As for ``finetune``; if there are fewer documents than folds, every validation document stands in the training
        files too, a fold in the folder was trained from something else, the config distils a teacher, whose
        answers to the sentences of a fold tell their labels, or starts from the model of an earlier run, which has
        learned them.
    ModelFolderError
        If the encoder cannot be loaded.
    """
    folder = cross_validation_folder(config) if folder is None else folder
    label_names = LABEL_IDS if config.data.label_names is None else config.data.label_names
    files = tuple(dict.fromkeys(config.data.train))
    train = read_sliceable(files, label_names, slice_by)
    _check(train, n_folds, config)
    given = read_labelled(config.data.validation, label_names)
    config, n_left_out = _with_validation_apart(config, folder, train, given)
    folds = assign_folds(train, label_names, n_folds, seed=config.seed)
    shown = _without_local_paths(train, files)  # written alone: two files of one name hold different documents
    as_given = _places_as_given(config.data.train, label_names)
    parts, engines = [], []
    for fold in range(1, n_folds + 1):
        run = _train_fold(config, folder, fold, _rows(shown, as_given[folds[as_given] != fold]))
        classifier = ctclassify.load(run / "model", engine=engine)
        held_out = _rows(train, np.flatnonzero(folds == fold))
        parts.append(score_model(classifier, held_out, label_names=label_names))
        engines.append(describe_engine(classifier))
    predictions = _joined(train, tuple(label_names), folds, parts)
    write_text(folder / "out-of-fold.jsonl", _out_of_fold(predictions, shown.documents, folds))
    scored = [{"fold": fold, **headline(part)} for fold, part in enumerate(parts, start=1)]
    return {
        "data": [{"file": path.name, "sha256": sha256_file(path)} for path in files],
        "engine": engines[0],
        "model_folder": {"name": f"{config.name}, {n_folds} folds", "sha256": {}},
        "model": headline(predictions),
        "cross_validation": {
            "folder": folder.name,
            "seed": config.seed,
            "n_validation_left_out": n_left_out,
            "n_seen_elsewhere": count_seen_elsewhere(train, folds),
            "folds": scored,
            **spread_of_reports(scored),
        },
        **analyse(predictions),
    }


def _check(train: LabelledSentences, n_folds: int, config: TrainingConfig) -> None:
    """Refuse data that cannot be cut into folds, or would tell a fold's labels to its model."""
    if config.distillation is not None:
        message = "the teacher has learned the labels that are held out, and its answers stand in this file"
        raise DataError(f"{message}; leave [distillation] out of the config", path=config.distillation.soft[0])
    base = Path(config.model.base)
    if (base / MANIFEST).is_file():
        message = "the encoder is a model that was fine-tuned already and may have learned the labels that are held out"
        raise DataError(f"{message}; set [model] base to the encoder that it was made from", path=base)
    n_documents = len(set(train.documents))
    if n_documents < n_folds:
        message = f"{n_documents} documents in the train files, expected at least one a fold ({n_folds})"
        raise DataError(f"{message}; ask for fewer folds", path=config.data.train[0])


def _with_validation_apart(
    config: TrainingConfig, folder: Path, train: LabelledSentences, validation: LabelledSentences
) -> tuple[TrainingConfig, int]:
    """Return the config without the validation documents that stand in the training files too, and their sentences."""
    documents = set(train.documents)
    is_apart = np.array([document not in documents for document in validation.documents], dtype=np.bool_)
    if is_apart.all():
        return config, 0
    if not is_apart.any():
        message = (
            "every document stands in the train files too, so thresholds would be tuned on what they are judged on"
        )
        raise DataError(f"{message}; give validation files of other documents", path=config.data.validation[0])
    n_left_out = int((~is_apart).sum())
    print(f"{n_left_out} validation sentences are left out: their documents stand in the train files too")
    apart, path = _rows(validation, np.flatnonzero(is_apart)), folder / "data" / "validation.jsonl"
    _write_rows(path, _without_local_paths(apart, config.data.validation), folder)
    return config.model_copy(update={"data": config.data.model_copy(update={"validation": (path,)})}), n_left_out


def _places_as_given(paths: Sequence[Path], label_names: Sequence[str]) -> npt.NDArray[np.intp]:
    """Return the places of the sentences of all files in the joined distinct ones, a file's as often as it is given."""
    n_before, places = 0, dict[Path, npt.NDArray[np.intp]]()
    for path in dict.fromkeys(paths):
        n = len(read_labelled([path], label_names))
        places[path] = np.arange(n_before, n_before + n, dtype=np.intp)
        n_before += n
    return np.concatenate([places[path] for path in paths])


def _without_local_paths(sentences: LabelledSentences, paths: Sequence[Path]) -> LabelledSentences:
    """Return the sentences with file name and line as the document where ``read_labelled`` gives path and line."""
    names = {str(path.resolve()): path.name for path in paths}

    def shown(document: str) -> str:
        path, _, line = document.rpartition(":")
        return f"{names[path]}:{line}" if path in names else document

    return replace(sentences, documents=tuple(map(shown, sentences.documents)))


def _write_rows(path: Path, sentences: LabelledSentences, folder: Path) -> None:
    """Write sentences as the JSON lines that ``read_labelled`` takes; refuse to where trained folds rest on others."""
    keys = ("text", "labels", "document")
    rows = zip(sentences.texts, sentences.labels, sentences.documents, strict=True)
    lines = (json.dumps(dict(zip(keys, row, strict=True)), ensure_ascii=False) + "\n" for row in rows)
    text = "".join(lines)
    if path.is_file():
        if path.read_bytes() == text.encode("utf-8"):
            return
        if any(folder.glob("fold-*/run.json")):
            message = (
                "folds were trained on these rows: of other data, another seed or another number of folds than now"
            )
            raise DataError(
                f"{message}; give data, seed and --folds as before, or move {folder} away to train all anew", path=path
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)


def _rows(sentences: LabelledSentences, places: npt.NDArray[np.intp]) -> LabelledSentences:
    """Return the rows at some places, in their order."""
    return LabelledSentences(
        texts=tuple(sentences.texts[i] for i in places),
        labels=tuple(sentences.labels[i] for i in places),
        documents=tuple(sentences.documents[i] for i in places),
        fields={name: tuple(values[i] for i in places) for name, values in sentences.fields.items()},
    )


def _train_fold(config: TrainingConfig, folder: Path, fold: int, train: LabelledSentences) -> Path:
    """Fine-tune the model of a fold, go on with it, or take it as it is where it is trained; return its folder."""
    data = folder / "data" / f"fold-{fold}-train.jsonl"
    _write_rows(data, train, folder)
    own = config.model_copy(update={"data": config.data.model_copy(update={"train": (data,)})})
    return train_once(own, folder / f"fold-{fold}")


def _joined(
    train: LabelledSentences, label_names: tuple[str, ...], folds: npt.NDArray[np.intp], parts: Sequence[Predictions]
) -> Predictions:
    """Return the predictions of all folds in the order of the training rows."""
    y_score = np.zeros((len(train), len(label_names)), dtype=np.float32)
    thresholds = np.zeros((len(train), len(label_names)))
    needs_review = np.zeros(len(train), dtype=np.bool_)
    has_band = all(part.needs_review is not None for part in parts)
    for fold, part in enumerate(parts, start=1):
        y_score[folds == fold] = part.y_score
        thresholds[folds == fold] = part.thresholds
        if part.needs_review is not None:
            needs_review[folds == fold] = part.needs_review
    return Predictions(
        sentences=train,
        label_names=label_names,
        y_score=y_score,
        thresholds=thresholds,
        needs_review=needs_review if has_band else None,
    )


def _out_of_fold(predictions: Predictions, documents: Sequence[str], folds: npt.NDArray[np.intp]) -> str:
    """Return the lines of out-of-fold.jsonl."""
    sentences, names = predictions.sentences, predictions.label_names
    lines = []
    for i, row in enumerate(predictions.y_score.tolist()):
        probabilities = {name: round(value, 6) for name, value in zip(names, row, strict=True)}
        line = {
            "document": documents[i],
            "fold": int(folds[i]),
            "labels": list(sentences.labels[i]),
            "probabilities": probabilities,
        }
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    return "".join(lines)
