"""The contenders of ``benchmark_gpu.py``: ways to run one BERT model on one card, from token ids and from texts."""

from __future__ import annotations

import argparse
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoConfig, AutoTokenizer, pipeline

from ctclassify.engines.cuda_engine import PackedEngine
from ctclassify.model_folder import ModelFolder
from ctclassify.tokenization import TextEncoder
from ctclassify.torch_model import load_torch_model

Scores = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
CHUNK = 8192
"""Texts that are tokenised, sorted and packed together."""

_AHEAD = 3
"""Batches that the card may have in hand before the oldest is fetched."""


@dataclass
class Tokens:
    """Token ids of windows, end to end, and the text of each window."""

    ids: Ints
    lengths: Ints
    owner: npt.NDArray[np.int64]
    n_texts: int

    def batches(self, budget: int) -> Iterator[tuple[npt.NDArray[np.int64], Ints, Ints]]:
        """Yield windows, ids and lengths of batches with at most ``budget`` tokens, longest windows first."""
        order = np.argsort(-self.lengths, kind="stable")
        starts = np.cumsum(self.lengths) - self.lengths
        ends = np.cumsum(self.lengths[order])
        begin = 0
        while begin < len(order):
            filled = budget + (int(ends[begin - 1]) if begin else 0)
            stop = max(begin + 1, int(np.searchsorted(ends, filled, side="right")))
            chosen = order[begin:stop]
            lengths = self.lengths[chosen]
            shift = np.repeat(starts[chosen] - (np.cumsum(lengths) - lengths), lengths)
            yield chosen, self.ids[np.arange(len(shift)) + shift], lengths
            begin = stop


@dataclass
class Contender:
    """One way to run the model."""

    name: str
    engine: Callable[[Tokens], Scores]
    whole: Callable[[list[str]], Scores]
    budget: int
    is_baseline: bool = False
    row: dict[str, Any] = field(default_factory=dict)


class PaddedModel:
    """transformers' model in one type, batches padded to their longest window."""

    def __init__(self, folder: ModelFolder, device: torch.device, dtype: torch.dtype) -> None:
        self.model = load_torch_model(folder.path, _config(folder)).to(device, dtype).eval()
        self._device = device

    def submit(self, ids: Ints, lengths: Ints) -> torch.Tensor:
        """Start scoring a batch."""
        mask = np.arange(int(lengths.max())) < lengths[:, None]
        padded = np.zeros(mask.shape, dtype=np.int64)
        padded[mask] = ids
        both = torch.from_numpy(np.stack([padded, mask.astype(np.int64)]))
        if self._device.type == "cuda":
            both = both.pin_memory()
        both = both.to(self._device, non_blocking=True)
        with torch.inference_mode():
            return torch.sigmoid(self.model(input_ids=both[0], attention_mask=both[1]).logits.float())


def tokenise(encoder: TextEncoder, texts: list[str]) -> Tokens:
    """Return the tokens of texts."""
    windows = encoder.encode(texts)
    lengths = np.fromiter(map(len, windows.ids), dtype=np.int32, count=len(windows.ids))
    ids = np.concatenate([np.zeros(0, dtype=np.int32), *windows.ids])
    return Tokens(ids=ids, lengths=lengths, owner=windows.owner, n_texts=len(texts))


def run_batches(submit: Callable[[Ints, Ints], Any], tokens: Tokens, budget: int) -> Scores:
    """Score tokens batch by batch with a few in flight; return the maximum over the windows of each text."""
    scores: Scores | None = None
    pending: list[tuple[npt.NDArray[np.int64], Any]] = []

    def fetch() -> None:
        nonlocal scores
        chosen, handle = pending.pop(0)
        rows = handle.cpu().numpy() if isinstance(handle, torch.Tensor) else handle.result()
        if scores is None:
            scores = np.zeros((tokens.n_texts, rows.shape[1]), dtype=np.float32)
        np.maximum.at(scores, tokens.owner[chosen], rows)

    for chosen, ids, lengths in tokens.batches(budget):
        pending.append((chosen, submit(ids, lengths)))
        if len(pending) > _AHEAD:
            fetch()
    while pending:
        fetch()
    assert scores is not None
    return scores


def stream(submit: Callable[[Ints, Ints], Any], encoder: TextEncoder, texts: list[str], budget: int) -> Scores:
    """Score texts; a thread tokenises the next chunks meanwhile."""
    chunks: queue.Queue[Tokens | Exception | None] = queue.Queue(maxsize=2)

    def produce() -> None:
        try:
            for start in range(0, len(texts), CHUNK):
                chunks.put(tokenise(encoder, texts[start : start + CHUNK]))
            chunks.put(None)
        except Exception as error:
            chunks.put(error)

    threading.Thread(target=produce, daemon=True).start()
    scores = []
    while (chunk := chunks.get()) is not None:
        if isinstance(chunk, Exception):
            raise chunk
        scores.append(run_batches(submit, chunk, budget))
    return np.concatenate(scores)


def make_contenders(
    args: argparse.Namespace, folder: ModelFolder, device: torch.device, encoder: TextEncoder
) -> dict[str, Callable[[], Contender]]:
    """Return how to make each contender."""

    def submitter(name: str, submit: Callable[[Ints, Ints], Any], budget: int) -> Contender:
        return Contender(
            name=name,
            engine=lambda tokens: run_batches(submit, tokens, budget),
            whole=lambda texts: stream(submit, encoder, texts, budget),
            budget=budget,
        )

    def packed(name: str, budget: int, options: dict[str, Any]) -> Contender:
        engine = PackedEngine(folder, device=device.type, token_budget=budget, **options)
        return submitter(name, engine.submit, budget)

    low = torch.bfloat16
    makers: dict[str, Callable[[], Contender]] = {"pipeline": lambda: _pipeline(folder, device)}
    middle = args.budgets[min(1, len(args.budgets) - 1)]
    makers[f"padded@{middle}"] = lambda: submitter(f"padded@{middle}", PaddedModel(folder, device, low).submit, middle)
    for name, options in _packed_kinds(device).items():
        for budget in args.budgets:
            key = f"{name}@{budget}"
            makers[key] = lambda key=key, budget=budget, options=options: packed(key, budget, options)  # type: ignore[misc]
    return makers


def _packed_kinds(device: torch.device) -> dict[str, dict[str, Any]]:
    """Return the options of the packed engine to compare."""
    if device.type == "cpu":
        return {"packed": {}, "packed-bf16": {"precision": "bf16"}, "packed+compile": {"compiled": True}}
    return {
        "varlen": {"attention": "varlen"},
        "varlen+graphs": {"attention": "varlen", "graphs": True},
        "varlen+compile": {"attention": "varlen", "compiled": True},
        "varlen+compile+graphs": {"attention": "varlen", "compiled": True, "graphs": True},
    }


def _pipeline(folder: ModelFolder, device: torch.device) -> Contender:
    """Return the usual way; its ``engine`` is the same model over the same batches of 32, already tokenised."""
    half = torch.float16 if device.type == "cuda" else torch.float32
    padded = PaddedModel(folder, device, half)
    usual = pipeline(
        "text-classification",
        model=padded.model,
        tokenizer=AutoTokenizer.from_pretrained(folder.path, local_files_only=True),
        top_k=None,
        function_to_apply="sigmoid",
        batch_size=32,
        dtype=half,
        device=0 if device.type == "cuda" else -1,
    )

    def whole(texts: list[str]) -> Scores:
        rows = usual(texts, truncation=True, max_length=folder.max_tokens)
        by_name = [{entry["label"]: entry["score"] for entry in row} for row in rows]
        return np.array([[row[name] for name in folder.label_names] for row in by_name], dtype=np.float32)

    def engine(tokens: Tokens) -> Scores:
        scores = np.zeros((tokens.n_texts, len(folder.label_names)), dtype=np.float32)
        ends = np.cumsum(tokens.lengths)
        for start in range(0, len(ends), 32):
            lengths = tokens.lengths[start : start + 32]
            first = int(ends[start - 1]) if start else 0
            rows = padded.submit(tokens.ids[first : first + int(lengths.sum())], lengths).cpu().numpy()
            np.maximum.at(scores, tokens.owner[start : start + 32], rows)
        return scores

    return Contender(name="pipeline", engine=engine, whole=whole, budget=0, is_baseline=True)


def _config(folder: ModelFolder) -> Any:
    """Return the config as transformers reads it."""
    return AutoConfig.from_pretrained(folder.path, trust_remote_code=False, local_files_only=True)
