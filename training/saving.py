"""From a trained torch model to a model folder: bf16 weights, tuned thresholds, checksums."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ctclassify.model_folder import write_manifest
from training.data import LabelledSentences, indicator_matrix
from training.thresholds import tune_thresholds

__all__ = ["predict_proba_torch", "save_model_folder"]

_MOST_TOKENS = 512
"""Longest window that a saved model reads, where its encoder has room for it."""


def save_model_folder(
    folder: Path,
    model: Any,
    tokenizer: Any,
    validation: LabelledSentences,
    label_names: Sequence[str],
) -> dict[str, float]:
    """Save a model folder that ``ctclassify.load`` takes.

    The weights are rounded to bfloat16 first, so that the thresholds are tuned on the very weights that are saved.

    Returns
    -------
    dict
        ``micro_f1`` and ``macro_f1`` on the validation data at the tuned thresholds: good for choosing between
        runs, optimistic as a measure of quality.
    """
    model = model.to("cpu").to(torch.bfloat16)
    model.save_pretrained(folder)
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(folder)
    model = model.to(torch.float32)
    max_tokens = min(_MOST_TOKENS, tokenizer.model_max_length, model.config.max_position_embeddings)
    y_score = predict_proba_torch(model, tokenizer, validation.texts, max_length=max_tokens)
    y_true = indicator_matrix(validation.labels, label_names)
    thresholds = tune_thresholds(y_true, y_score)
    write_manifest(folder, dict(zip(label_names, map(float, thresholds), strict=True)), max_tokens=max_tokens)
    y_pred = y_score >= thresholds
    true_positives = (y_true.astype(bool) & y_pred).sum(0)
    total = y_pred.sum(0) + y_true.sum(0)
    per_label = 2 * true_positives / np.maximum(total, 1)
    return {
        "micro_f1": round(float(2 * true_positives.sum() / total.sum()), 4),
        "macro_f1": round(float(per_label[y_true.sum(0) > 0].mean()), 4),
    }


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
