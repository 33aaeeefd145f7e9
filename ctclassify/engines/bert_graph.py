"""A BERT sentence classifier as an OpenVINO graph, built from its safetensors weights.

Follows transformers' ``BertForSequenceClassification`` operation by operation (and this project's mean-pooling
class), so that a model folder needs no second, exported copy of its weights and no torch to be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ctclassify.engines.int8_ranges import STEPS, Int8Ranges
from ctclassify.engines.quiet_openvino import op, ov
from ctclassify.errors import EngineError
from ctclassify.model_folder import ModelFolder, check_bert_shapes, read_weights

__all__ = ["BertParts", "BertShape", "build_bert_graph"]

_WORDS = "bert.embeddings.word_embeddings.weight"
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


@dataclass(frozen=True, kw_only=True)
class BertParts:
    """A BERT's weights, read once for several graphs.

    Attributes
    ----------
    shape : BertShape
        Numbers of the architecture.
    words : openvino.Tensor
        Word embeddings, bf16 where that is exact: they are half of the model.
    weights : mapping of str to ndarray of float32
        Others, by the names of transformers' classes.
    matrices : mapping of str to openvino.Tensor
        The weights of the encoder's linear layers, bf16 where that is exact, if they are not among ``weights``: the
        graph takes them as inputs of these names, and the runtime makes no copy of them.
    """

    shape: BertShape
    words: ov.Tensor
    weights: Mapping[str, npt.NDArray[np.float32]]
    matrices: Mapping[str, ov.Tensor] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: ModelFolder) -> BertParts:
        """Read a checked folder.

        Raises
        ------
        EngineError
            If the architecture is another one, or the word embeddings are missing.
        ModelFolderError
            If the weights cannot be read, or do not fit the folder's config.
        """
        shape = BertShape.from_config(folder.config)
        weights = read_weights(folder.weights_path)
        check_bert_shapes(weights, folder)
        words = weights.pop(_WORDS, None)
        if words is None:
            raise _lacking(repr(_WORDS), shape)
        return cls(shape=shape, words=_tensor(words), weights=weights)

    def compact(self) -> BertParts:
        """Return the parts with matrices as inputs: a quarter of the memory, once the weights are let go."""
        is_matrix = {name: name.startswith("bert.encoder.") and array.ndim == 2 for name, array in self.weights.items()}
        return BertParts(
            shape=self.shape,
            words=self.words,
            weights={name: array for name, array in self.weights.items() if not is_matrix[name]},
            matrices={name: _tensor(array) for name, array in self.weights.items() if is_matrix[name]},
        )


def _tensor(matrix: npt.NDArray[np.float32]) -> ov.Tensor:
    """Return a tensor of its own memory, in bf16 where that is exact."""
    halves = np.ascontiguousarray(matrix, dtype="<f4").view("<u2")
    is_exact = not halves[:, ::2].any()
    tensor = ov.Tensor(ov.Type.bf16 if is_exact else ov.Type.f32, ov.Shape(list(matrix.shape)))
    if is_exact:
        tensor.data.view("<u2")[:] = halves[:, 1::2]
    else:
        tensor.data[:] = matrix
    return tensor


def _lacking(what: str, shape: BertShape) -> EngineError:
    """Return the error of a missing weight."""
    return EngineError(f"the model's weights lack {what}; expected those of {shape.pooling}-pooled BERT")


def build_bert_graph(parts: BertParts, *, is_int8: bool = False, ranges: Int8Ranges | None = None) -> ov.Model:
    """Build the graph from token ids to probabilities.

    Parameters
    ----------
    parts : BertParts
        Weights, which the graph shares, and numbers of the architecture.
    is_int8 : bool
        Hold the encoder's linear weights in int8, symmetrically with one scale an output: 127 steps either side of 0.
        Not for parts with matrices.
    ranges : Int8Ranges or None
        With ``is_int8``: how what enters a linear layer is rounded. None leaves that to the runtime, see
        :mod:`ctclassify.engines.openvino_engine`.

    Returns
    -------
    openvino.Model
        Inputs ``input_ids``, int32 (n_windows, longest), ``n_tokens``, int32 (n_windows,), and the parts' matrices;
        output float32 (n_windows, n_labels).

    Raises
    ------
    EngineError
        If a weight is missing.
    """
    try:
        return _Builder(parts, is_int8=is_int8, ranges=ranges).build()
    except KeyError as error:
        raise _lacking(str(error), parts.shape) from error


class _Builder:
    """Holds weights and shape while the graph grows."""

    def __init__(self, parts: BertParts, *, is_int8: bool, ranges: Int8Ranges | None) -> None:
        self._weights = parts.weights
        self._matrices = {
            name: op.parameter(list(tensor.shape), tensor.element_type, name=name)
            for name, tensor in parts.matrices.items()
        }
        self._shape = parts.shape
        self._words = parts.words
        self._is_int8 = is_int8
        self._inputs = ranges.inputs if is_int8 and ranges is not None else {}
        self._hidden_size = int(parts.words.shape[1])

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
        return ov.Model(
            [op.squeeze(probabilities, _int([1]))],
            [input_ids, n_tokens, *self._matrices.values()],
            "sentence_classifier",
        )

    def _positions(self, input_ids: ov.Node) -> ov.Node:
        """Return 0, 1, ... for the columns of the batch."""
        longest = op.gather(op.shape_of(input_ids, "i32"), _int(1), _int(0))
        return op.range(_int(0), longest, _int(1), "i32")

    def _embed(self, input_ids: ov.Node, positions: ov.Node) -> ov.Node:
        """Return word, position and (always the first) segment embeddings, summed and normalised."""
        name = "bert.embeddings."
        words = op.convert(op.gather(ov.op.Constant(self._words), input_ids, _int(0)), "f32")
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
        rounded = self._rounded(states, layer, "attention.self")
        asking = rounded if queries_from is states else self._rounded(queries_from, layer, "attention.self")
        head_size = self._hidden_size // self._shape.n_heads
        # Not OpenVINO's one operation for it: spelled out, the runtime makes a faster kernel of it.
        scores = op.matmul(
            self._heads(asking, layer, "attention.self.query", scale=head_size**-0.5),
            self._heads(rounded, layer, "attention.self.key"),
            False,
            True,
        )
        shares = op.softmax(op.add(scores, bias), -1)
        context = op.matmul(shares, self._heads(rounded, layer, "attention.self.value"), False, False)
        joined = op.reshape(op.transpose(context, _int([0, 2, 1, 3])), _int([0, 0, self._hidden_size]), True)
        joined = self._rounded(joined, layer, "attention.output")
        attended = op.add(self._inner_linear(joined, layer, "attention.output.dense"), queries_from)
        attended = self._layer_norm(attended, name + "attention.output.LayerNorm")
        inner = self._inner_linear(self._rounded(attended, layer, "intermediate"), layer, "intermediate.dense")
        inner = self._rounded(op.gelu(inner, "erf"), layer, "output")
        outer = op.add(self._inner_linear(inner, layer, "output.dense"), attended)
        return self._layer_norm(outer, name + "output.LayerNorm")

    def _heads(self, states: ov.Node, layer: int, name: str, scale: float = 1.0) -> ov.Node:
        """Return a projection of the states times a scale, shape (n_windows, n_heads, n_tokens, head_size)."""
        n_heads = self._shape.n_heads
        projected = self._inner_linear(states, layer, name)
        if scale != 1.0:
            projected = op.multiply(projected, _float(scale))
        split = op.reshape(projected, _int([0, 0, n_heads, self._hidden_size // n_heads]), True)
        return op.transpose(split, _int([0, 2, 1, 3]))

    def _rounded(self, states: ov.Node, layer: int, name: str) -> ov.Node:
        """Return what enters a linear layer: divided by its channels' scales and rounded where there are ranges."""
        each = self._inputs.get((layer, name))
        if each is None:
            return states
        low, high = _float(each.step * each.lowest), _float(each.step * (each.lowest + STEPS))
        return op.fake_quantize(
            op.multiply(states, _constant(np.float32(1) / each.scales)), low, high, low, high, STEPS + 1
        )

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
        return op.add(op.matmul(states, self._weight(name + ".weight"), False, True), self._weight(name + ".bias"))

    def _inner_linear(self, states: ov.Node, layer: int, name: str) -> ov.Node:
        """Return ``states @ weight.T + bias`` of a linear map of the encoder, whose weight may be int8."""
        whole = f"bert.encoder.layer.{layer}.{name}"
        if not self._is_int8:
            return self._linear(states, whole)
        each = self._inputs.get((layer, name.rpartition(".")[0]))
        weight = self._weights[whole + ".weight"]
        weight = _int8(weight if each is None else weight * each.scales)
        return op.add(op.matmul(states, weight, False, True), self._weight(whole + ".bias"))

    def _layer_norm(self, states: ov.Node, name: str) -> ov.Node:
        """Return the states normalised over their last axis, scaled and shifted."""
        normal = op.mvn(states, _int([2]), True, self._shape.layer_norm_eps, "inside_sqrt")
        return op.add(op.multiply(normal, self._weight(name + ".weight")), self._weight(name + ".bias"))

    def _weight(self, name: str) -> ov.Node:
        """Return a weight."""
        if name in self._matrices:
            return op.convert(self._matrices[name], "f32")
        return _constant(self._weights[name])


def _int8(weight: npt.NDArray[np.float32]) -> ov.Node:
    """Return a weight as int8 times one scale an output."""
    scale = np.maximum(np.abs(weight).max(axis=1, keepdims=True), np.float32(1e-12)) / np.float32(127)
    steps = op.constant(np.rint(weight / scale).astype(np.int8))
    return op.multiply(op.convert(steps, "f32"), _constant(scale))


def _constant(array: npt.NDArray[np.float32]) -> ov.Node:
    """Return a constant that shares the array's memory."""
    return op.constant(np.ascontiguousarray(array), shared_memory=True)


def _int(value: int | list[int]) -> ov.Node:
    """Return an int32 constant."""
    return op.constant(np.array(value, dtype=np.int32))


def _float(value: float | np.float32) -> ov.Node:
    """Return a float32 constant."""
    return op.constant(np.array(value, dtype=np.float32))
