"""From a trained torch model to a model folder: bf16 weights, calibration, thresholds, checksums."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ctclassify.model_folder import write_manifest
from training.config import DecisionConfig
from training.data import LabelledSentences, indicator_matrix
from training.decision import decide
from training.evaluation.metrics import label_counts, rounded

__all__ = ["count_truncated", "predict_proba_torch", "save_model_folder"]

_MOST_TOKENS = 512
"""Longest window that a saved model reads, where its encoder has room for it."""


def save_model_folder(
    folder: Path,
    model: Any,
    tokenizer: Any,
    validation: LabelledSentences,
    label_names: Sequence[str],
    decision: DecisionConfig,
) -> dict[str, float | None]:
    """Save a model folder that ``ctclassify.load`` takes.

    The weights are rounded to bfloat16 first, so that calibration and thresholds fit the very weights that are saved.

    Returns
    -------
    dict
        ``micro_f1`` and ``macro_f1`` on the validation data at the tuned thresholds: good for choosing between
        runs, optimistic as a measure of quality. None where it is undefined.
    """
    model = model.to("cpu").to(torch.bfloat16)
    model.save_pretrained(folder)
    # safetensors writes for the owner alone; a model is there to be read like the files beside it.
    (folder / "model.safetensors").chmod((folder / "config.json").stat().st_mode & 0o777)
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(folder)
    model = model.to(torch.float32)
    max_tokens = _max_tokens(model, tokenizer)
    y_score = predict_proba_torch(model, tokenizer, validation.texts, max_length=max_tokens)
    y_true = indicator_matrix(validation.labels, label_names)
    manifest = decide(y_true, y_score, label_names, decision, max_tokens=max_tokens)
    write_manifest(folder, manifest)
    probabilities = y_score if manifest.calibration is None else manifest.calibration.apply(y_score)
    counts = label_counts(y_true, probabilities >= np.array(list(manifest.thresholds.values())))
    return {"micro_f1": rounded(counts.micro_f1()), "macro_f1": rounded(counts.macro_f1())}


def count_truncated(model: Any, tokenizer: Any, texts: Sequence[str]) -> int:
    """Return how many texts are longer than a saved model's window, special tokens included.

    Thresholds are tuned on the first window of such a text; an engine reads all of its windows.
    """
    if not texts:
        return 0
    encoded = tokenizer(list(texts), truncation=False, padding=False, verbose=False)
    most = _max_tokens(model, tokenizer)
    return sum(len(ids) > most for ids in encoded["input_ids"])


def _max_tokens(model: Any, tokenizer: Any) -> int:
    """Return the longest window of a saved model in tokens."""
    return int(min(_MOST_TOKENS, tokenizer.model_max_length, model.config.max_position_embeddings))


def predict_proba_torch(
    model: Any, tokenizer: Any, texts: Sequence[str], *, max_length: int, batch_size: int = 64
) -> npt.NDArray[np.float32]:
    """Return float32 probabilities, shape (n_texts, n_labels), in order, of texts cut at ``max_length`` tokens."""
    encoded = tokenizer(list(texts), truncation=True, max_length=max_length, padding=False)
    order = sorted(range(len(texts)), key=lambda i: len(encoded["input_ids"][i]))
    probabilities = np.zeros((len(texts), model.config.num_labels), dtype=np.float32)
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch = tokenizer.pad(
                {key: [encoded[key][i] for i in chosen] for key in ("input_ids", "attention_mask")},
                return_tensors="pt",
            )
            probabilities[chosen] = torch.sigmoid(model(**batch).logits).numpy()
    return probabilities
