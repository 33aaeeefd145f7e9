"""A BERT sentence classifier as an OpenVINO graph, built from its safetensors weights.

Follows transformers' ``BertForSequenceClassification`` operation by operation (and this project's mean-pooling
class), so that a model folder needs no second, exported copy of its weights and no torch to be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ctclassify.engines.quiet_openvino import op, ov
from ctclassify.errors import EngineError

__all__ = ["BertShape", "build_bert_graph"]

_ACTIVATIONS = ("gelu",)
_MASKED = np.float32(-1e9)
"""Added to the attention score of padding: its softmax is exactly 0 in float32 and bfloat16."""


@dataclass(frozen=True, kw_only=True)
class BertShape:
    """The numbers of a BERT that its weights do not tell."""

    n_layers: int
    n_heads: int
    layer_norm_eps: float
    pooling: str

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> BertShape:
        """Read them from ``config.json``.

        Raises
        ------
        EngineError
            If the architecture is another one; the torch engine may still run it.
        """
        poolings = {"BertForSequenceClassification": "cls", "BertMeanForSequenceClassification": "mean"}
        architecture = (config.get("architectures") or ["?"])[0]
        activation = config.get("hidden_act")
        positions = config.get("position_embedding_type", "absolute")
        if architecture not in poolings or activation not in _ACTIVATIONS or positions != "absolute":
            raise EngineError(
                f"the openvino engine runs BERT with gelu and absolute positions; this model is {architecture} with "
                f"{activation} and {positions} positions; use engine='torch'"
            )
        try:
            return cls(
                n_layers=config["num_hidden_layers"],
                n_heads=config["num_attention_heads"],
                layer_norm_eps=config["layer_norm_eps"],
                pooling=poolings[architecture],
            )
        except KeyError as error:
            raise EngineError(f"the model's config.json lacks {error}; save the model again") from error


def build_bert_graph(
    weights: Mapping[str, npt.NDArray[np.float32]], shape: BertShape, *, is_int8: bool = False
) -> ov.Model:
    """Build the graph from token ids to probabilities.

    Parameters
    ----------
    weights : mapping of str to ndarray of float32
        By the names of transformers' classes.
    shape : BertShape
        Numbers of the architecture.
    is_int8 : bool
        Hold the encoder's linear weights in int8, symmetrically with one scale an output: 127 steps either side of 0.
        What enters a layer is quantised by the runtime as it runs, see :mod:`ctclassify.engines.openvino_engine`.

    Returns
    -------
    openvino.Model
        Inputs ``input_ids``, int32 (n_windows, longest), and ``n_tokens``, int32 (n_windows,); output float32
        (n_windows, n_labels).

    Raises
    ------
    EngineError
        If a weight is missing.
    """
    try:
        return _Builder(weights, shape, is_int8=is_int8).build()
    except KeyError as error:
        raise EngineError(f"the model's weights lack {error}; expected those of {shape.pooling}-pooled BERT") from error


class _Builder:
    """Holds weights and shape while the graph grows."""

    def __init__(self, weights: Mapping[str, npt.NDArray[np.float32]], shape: BertShape, *, is_int8: bool) -> None:
        self._weights = weights
        self._shape = shape
        self._is_int8 = is_int8
        self._hidden_size = weights["bert.embeddings.word_embeddings.weight"].shape[1]

    def build(self) -> ov.Model:
        """Return the whole graph."""
        input_ids = op.parameter([-1, -1], np.int32, name="input_ids")
        n_tokens = op.parameter([-1], np.int32, name="n_tokens")
        positions = self._positions(input_ids)
        is_token = op.less(op.unsqueeze(positions, _int([0])), op.unsqueeze(n_tokens, _int([1])))
        bias = op.unsqueeze(op.select(is_token, _float(0.0), _float(_MASKED)), _int([1, 2]))
        states = self._embed(input_ids, positions)
        for layer in range(self._shape.n_layers):
            states = self._layer(layer, states, bias)
        pooled = self._pool(states, is_token)
        probabilities = op.sigmoid(self._linear(pooled, "classifier"))
        return ov.Model([op.squeeze(probabilities, _int([1]))], [input_ids, n_tokens], "sentence_classifier")

    def _positions(self, input_ids: ov.Node) -> ov.Node:
        """Return 0, 1, ... for the columns of the batch."""
        longest = op.gather(op.shape_of(input_ids, "i32"), _int(1), _int(0))
        return op.range(_int(0), longest, _int(1), "i32")

    def _embed(self, input_ids: ov.Node, positions: ov.Node) -> ov.Node:
        """Return word, position and (always the first) segment embeddings, summed and normalised."""
        name = "bert.embeddings."
        words = op.gather(self._weight(name + "word_embeddings.weight"), input_ids, _int(0))
        place = (
            self._weights[name + "position_embeddings.weight"] + self._weights[name + "token_type_embeddings.weight"][0]
        )
        return self._layer_norm(op.add(words, op.gather(_constant(place), positions, _int(0))), name + "LayerNorm")

    def _layer(self, layer: int, states: ov.Node, bias: ov.Node) -> ov.Node:
        """Return the states after one transformer layer."""
        name = f"bert.encoder.layer.{layer}."
        queries_from = states
        if self._shape.pooling == "cls" and layer == self._shape.n_layers - 1:
            # Only [CLS] is read after the last layer: its other tokens are needed as keys and values alone.
            queries_from = op.slice(states, _int([0]), _int([1]), _int([1]), _int([1]))
        context = op.scaled_dot_product_attention(
            self._heads(queries_from, name + "attention.self.query"),
            self._heads(states, name + "attention.self.key"),
            self._heads(states, name + "attention.self.value"),
            bias,
        )
        joined = op.reshape(op.transpose(context, _int([0, 2, 1, 3])), _int([0, 0, self._hidden_size]), True)
        attended = op.add(self._linear(joined, name + "attention.output.dense"), queries_from)
        attended = self._layer_norm(attended, name + "attention.output.LayerNorm")
        inner = op.gelu(self._linear(attended, name + "intermediate.dense"), "erf")
        return self._layer_norm(op.add(self._linear(inner, name + "output.dense"), attended), name + "output.LayerNorm")

    def _heads(self, states: ov.Node, name: str) -> ov.Node:
        """Return a projection of the states, shape (n_windows, n_heads, n_tokens, head_size)."""
        n_heads = self._shape.n_heads
        split = op.reshape(self._linear(states, name), _int([0, 0, n_heads, self._hidden_size // n_heads]), True)
        return op.transpose(split, _int([0, 2, 1, 3]))

    def _pool(self, states: ov.Node, is_token: ov.Node) -> ov.Node:
        """Return one vector a window, shape (n_windows, 1, hidden_size)."""
        if self._shape.pooling == "cls":
            return op.tanh(self._linear(states, "bert.pooler.dense"))
        weights = op.unsqueeze(op.convert(is_token, "f32"), _int([2]))
        return op.divide(
            op.reduce_sum(op.multiply(states, weights), _int([1]), True), op.reduce_sum(weights, _int([1]), True)
        )

    def _linear(self, states: ov.Node, name: str) -> ov.Node:
        """Return ``states @ weight.T + bias``."""
        is_int8 = self._is_int8 and name.startswith("bert.encoder.")
        weight = self._int8_weight(name + ".weight") if is_int8 else self._weight(name + ".weight")
        return op.add(op.matmul(states, weight, False, True), self._weight(name + ".bias"))

    def _int8_weight(self, name: str) -> ov.Node:
        """Return a weight as int8 times one scale an output."""
        weight = self._weights[name]
        scale = np.maximum(np.abs(weight).max(axis=1, keepdims=True), np.float32(1e-12)) / np.float32(127)
        steps = op.constant(np.rint(weight / scale).astype(np.int8))
        return op.multiply(op.convert(steps, "f32"), _constant(scale))

    def _layer_norm(self, states: ov.Node, name: str) -> ov.Node:
        """Return the states normalised over their last axis, scaled and shifted."""
        normal = op.mvn(states, _int([2]), True, self._shape.layer_norm_eps, "inside_sqrt")
        return op.add(op.multiply(normal, self._weight(name + ".weight")), self._weight(name + ".bias"))

    def _weight(self, name: str) -> ov.Node:
        """Return a weight as a constant."""
        return _constant(self._weights[name])


def _constant(array: npt.NDArray[np.float32]) -> ov.Node:
    """Return a constant that shares the array's memory."""
    return op.constant(np.ascontiguousarray(array), shared_memory=True)


def _int(value: int | list[int]) -> ov.Node:
    """Return an int32 constant."""
    return op.constant(np.array(value, dtype=np.int32))


def _float(value: float | np.float32) -> ov.Node:
    """Return a float32 constant."""
    return op.constant(np.array(value, dtype=np.float32))
