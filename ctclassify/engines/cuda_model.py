"""BERT over packed tokens: no padding, no dropout, weights in the type that the products are computed in.

Follows transformers' ``BertForSequenceClassification`` and this project's mean-pooling class. Embeddings, their norm,
the mean and the head are computed in float32; what lies between is in the weights' type, whose norms torch accumulates
in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from ctclassify.engines.cuda_attention import Attention, padded_attention
from ctclassify.engines.cuda_batch import PackedBatch
from ctclassify.errors import EngineError

__all__ = ["PACKED_ARCHITECTURES", "PackedBert", "is_packable"]

PACKED_ARCHITECTURES = {"BertForSequenceClassification": "cls", "BertMeanForSequenceClassification": "mean"}
"""Pooling of the architectures that run packed."""


@dataclass(frozen=True, kw_only=True)
class _Layer:
    """Weights of one transformer layer, in the order of use."""

    qkv_weight: torch.Tensor
    qkv_bias: torch.Tensor
    tail: tuple[torch.Tensor, ...]


def is_packable(config: Mapping[str, Any]) -> bool:
    """Return whether a model's ``config.json`` is of a BERT that :class:`PackedBert` computes."""
    return (
        (config.get("architectures") or ["?"])[0] in PACKED_ARCHITECTURES
        and config.get("hidden_act") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
    )


class PackedBert:
    """A BERT classifier over packed tokens.

    Parameters
    ----------
    weights : mapping of str to ndarray of float32
        By the names of transformers' classes.
    config : mapping
        ``config.json``, one that :func:`is_packable`.
    device : torch.device
        Where it runs.
    dtype : torch.dtype
        Of the weights and the states between layers.
    attention : callable, optional
        See :data:`ctclassify.engines.cuda_attention.Attention`.
    compiled : bool, optional
        Whether ``torch.compile`` fuses what lies between the matrix products; costs seconds at the first batch.

    Raises
    ------
    EngineError
        If the config is of another architecture, or a weight is missing.
    """

    def __init__(
        self,
        weights: Mapping[str, npt.NDArray[np.float32]],
        config: Mapping[str, Any],
        *,
        device: torch.device,
        dtype: torch.dtype,
        attention: Attention = padded_attention,
        compiled: bool = False,
    ) -> None:
        if not is_packable(config):
            raise EngineError(
                f"only BERT with gelu and absolute positions runs packed; this is {config['architectures']}"
            )
        self.attention = attention
        self._weights = weights
        self._device = device
        self._dtype = dtype
        self._pooling = PACKED_ARCHITECTURES[config["architectures"][0]]
        self._n_heads = int(config["num_attention_heads"])
        self._eps = float(config["layer_norm_eps"])
        self._finish: Callable[..., torch.Tensor] = _finish_layer
        self._embed: Callable[..., torch.Tensor] = _embed
        if compiled:
            self._finish = _compiled(_finish_layer)
            self._embed = _compiled(_embed)
        try:
            self._read(int(config["num_hidden_layers"]))
        except KeyError as error:
            raise EngineError(
                f"the model's weights lack {error}; expected those of {self._pooling}-pooled BERT"
            ) from error
        del self._weights  # a second copy, in float32 on the host

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self._words.shape[1] // self._n_heads

    @property
    def n_words(self) -> int:
        """Entries of the vocabulary."""
        return len(self._words)

    @property
    def n_positions(self) -> int:
        """Most tokens of a window."""
        return len(self._places)

    def __call__(self, batch: PackedBatch) -> torch.Tensor:
        """Return probabilities, float32, shape (n_windows, n_labels); the rows of spare windows hold anything."""
        states = self._embedded(batch)
        for layer in self._layers:
            states = self._finish(self._contexts(states, layer, batch), states, *layer.tail, self._eps)
        return torch.sigmoid(functional.linear(self._pool(states, batch.offsets), *self._head))

    def attend(self, batch: PackedBatch) -> torch.Tensor:
        """Return what the first layer's attention gives, shape (n_tokens, hidden_size): a trial of the attention."""
        return self._contexts(self._embedded(batch), self._layers[0], batch)

    def _embedded(self, batch: PackedBatch) -> torch.Tensor:
        """Return the states before the first layer, shape (n_tokens, hidden_size)."""
        return self._embed(
            batch.ids, batch.positions, self._words, self._places, *self._embedding_norm, self._eps, self._dtype
        )

    def _contexts(self, states: torch.Tensor, layer: _Layer, batch: PackedBatch) -> torch.Tensor:
        """Return what a layer's attention gives, shape (n_tokens, hidden_size)."""
        qkv = functional.linear(states, layer.qkv_weight, layer.qkv_bias)
        return self.attention(qkv.view(len(qkv), 3, self._n_heads, -1), batch)

    def _pool(self, states: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        """Return one vector a window, float32, shape (n_windows, hidden_size)."""
        if self._pooling == "mean":
            # Sums each window in order, without atomic additions: the same bits every time.
            return torch.segment_reduce(states.float(), "mean", offsets=offsets, axis=0, unsafe=True)
        at = offsets[:-1].clamp(max=len(states) - 1)  # a spare window may begin past the end
        return torch.tanh(functional.linear(states[at.long()].float(), *self._pooler))

    def _read(self, n_layers: int) -> None:
        """Move the weights to the device."""
        name = "bert.embeddings."
        self._words = self._tensor(name + "word_embeddings.weight")
        places = (
            self._weights[name + "position_embeddings.weight"] + self._weights[name + "token_type_embeddings.weight"][0]
        )
        self._places = self._parameter(places, torch.float32)
        self._embedding_norm = self._pair(name + "LayerNorm", torch.float32)
        self._layers = [self._layer(f"bert.encoder.layer.{i}.") for i in range(n_layers)]
        self._head = self._pair("classifier", torch.float32)
        if self._pooling == "cls":
            self._pooler = self._pair("bert.pooler.dense", torch.float32)

    def _layer(self, name: str) -> _Layer:
        """Return one layer's weights, those of queries, keys and values joined."""
        own = [f"{name}attention.self.{part}" for part in ("query", "key", "value")]
        tail = (
            "attention.output.dense",
            "attention.output.LayerNorm",
            "intermediate.dense",
            "output.dense",
            "output.LayerNorm",
        )
        return _Layer(
            qkv_weight=self._parameter(np.concatenate([self._weights[part + ".weight"] for part in own])),
            qkv_bias=self._parameter(np.concatenate([self._weights[part + ".bias"] for part in own])),
            tail=tuple(tensor for part in tail for tensor in self._pair(name + part)),
        )

    def _pair(self, name: str, dtype: torch.dtype | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weight and bias of one operation."""
        return self._tensor(name + ".weight", dtype), self._tensor(name + ".bias", dtype)

    def _tensor(self, name: str, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Return one weight."""
        return self._parameter(self._weights[name], dtype)

    def _parameter(self, array: npt.NDArray[np.float32], dtype: torch.dtype | None = None) -> torch.Tensor:
        """Return an array on the device; a parameter, whose shape ``torch.compile`` takes for a constant."""
        tensor = torch.from_numpy(np.array(array)).to(self._device, dtype or self._dtype)
        return torch.nn.Parameter(tensor, requires_grad=False)


def _compiled(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Return a function compiled once for every number of tokens: the first axis of its first two arguments."""
    compiled = torch.compile(function)

    def run(one: torch.Tensor, other: torch.Tensor, *rest: Any) -> torch.Tensor:
        # Not torch.compile(dynamic=True), to which every size and number is unknown, that of eps among them.
        for tensor in (one, other):
            torch._dynamo.maybe_mark_dynamic(tensor, 0)
        return compiled(one, other, *rest)

    return run


def _embed(
    ids: torch.Tensor,
    positions: torch.Tensor,
    words: torch.Tensor,
    places: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    eps: float,
    dtype: torch.dtype,
) -> torch.Tensor:
    """Return word, position and segment embeddings, summed and normalised in float32."""
    summed = functional.embedding(ids, words) + functional.embedding(positions, places)
    return functional.layer_norm(summed, weight.shape, weight, bias, eps).to(dtype)


def _finish_layer(
    contexts: torch.Tensor,
    states: torch.Tensor,
    out_weight: torch.Tensor,
    out_bias: torch.Tensor,
    out_scale: torch.Tensor,
    out_shift: torch.Tensor,
    up_weight: torch.Tensor,
    up_bias: torch.Tensor,
    down_weight: torch.Tensor,
    down_bias: torch.Tensor,
    down_scale: torch.Tensor,
    down_shift: torch.Tensor,
    eps: float,
) -> torch.Tensor:
    """Return the states after a layer, from what its attention gave."""
    attended = functional.linear(contexts, out_weight, out_bias) + states
    attended = functional.layer_norm(attended, out_scale.shape, out_scale, out_shift, eps)
    inner = functional.gelu(functional.linear(attended, up_weight, up_bias))
    added = functional.linear(inner, down_weight, down_bias) + attended
    return functional.layer_norm(added, down_scale.shape, down_scale, down_shift, eps)
