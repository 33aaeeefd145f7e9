"""A BERT sentence classifier as an OpenVINO graph, built from its safetensors weights.

Follows transformers' ``BertForSequenceClassification`` operation by operation (and this project's mean-pooling
class), so that a model folder needs no second, exported copy of its weights and no torch to be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as op

from ctclassify.errors import EngineError

__all__ = ["BertShape", "Ranges", "build_bert_graph", "build_range_graph"]

Ranges: TypeAlias = Mapping[str, tuple[float, float]]
"""Lowest and highest value that enters a linear layer, by the layer's name."""

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
    weights: Mapping[str, npt.NDArray[np.float32]], shape: BertShape, *, ranges: Ranges | None = None
) -> ov.Model:
    """Build the graph from token ids to probabilities.

    Parameters
    ----------
    weights : mapping of str to ndarray of float32
        By the names of transformers' classes.
    shape : BertShape
        Numbers of the architecture.
    ranges : mapping of str to tuple of float, or None
        Quantises to int8 every linear layer that it names: weights symmetrically with one scale an output, what enters
        the layer in 256 steps over its range. Values outside are clipped. None leaves the graph in float32.

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
        return _Builder(weights, shape, ranges).build()
    except KeyError as error:
        raise EngineError(f"the model's weights lack {error}; expected those of {shape.pooling}-pooled BERT") from error


def build_range_graph(
    weights: Mapping[str, npt.NDArray[np.float32]], shape: BertShape
) -> tuple[ov.Model, tuple[str, ...]]:
    """Build a graph that gives the range of what enters each linear layer of the encoder.

    Parameters
    ----------
    weights, shape
        As for :func:`build_bert_graph`.

    Returns
    -------
    model : openvino.Model
        Inputs as there; outputs the lowest and the highest value for each layer in turn, over all positions: batches
        must be free of padding.
    names : tuple of str
        The layers' names, in the order of the outputs.
    """
    builder = _Builder(weights, shape, None)
    whole = builder.build()
    outputs = [
        reduce(entering, _int([0, 1, 2]), False)
        for entering in builder.entering.values()
        for reduce in (op.reduce_min, op.reduce_max)
    ]
    return ov.Model(outputs, whole.get_parameters(), "ranges"), tuple(builder.entering)


class _Builder:
    """Holds weights and shape while the graph grows."""

    def __init__(self, weights: Mapping[str, npt.NDArray[np.float32]], shape: BertShape, ranges: Ranges | None) -> None:
        self._weights = weights
        self._shape = shape
        self._ranges = ranges or {}
        self._quantised: tuple[ov.Node, ov.Node] | None = None
        self.entering: dict[str, ov.Node] = {}
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
        weight = self._weight(name + ".weight")
        if name.startswith("bert.encoder"):
            self.entering[name] = states
        if name in self._ranges:
            states, weight = self._in_steps(states, name), self._weight_in_steps(name)
        return op.add(op.matmul(states, weight, False, True), self._weight(name + ".bias"))

    def _in_steps(self, states: ov.Node, name: str) -> ov.Node:
        """Return what enters a layer in 256 steps; queries, keys and values share them, as they share the range."""
        if self._quantised is None or self._quantised[0] is not states:
            low, high = (_float(value) for value in self._ranges[name])
            self._quantised = states, op.fake_quantize(states, low, high, low, high, 256)
        return self._quantised[1]

    def _weight_in_steps(self, name: str) -> ov.Node:
        """Return a weight in 255 steps either side of 0, one scale an output."""
        weight = self._weights[name + ".weight"]
        largest = np.maximum(np.abs(weight).max(axis=1, keepdims=True), np.float32(1e-12))
        low, high = _constant(-largest), _constant(largest)
        return op.fake_quantize(_constant(weight), low, high, low, high, 255)

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
