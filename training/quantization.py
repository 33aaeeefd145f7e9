"""Learn how what enters the linear layers of a BERT is rounded to 256 steps, with its weights left as they are.

The rounded model is run beside the float one; ranges and scales (:class:`ctclassify.engines.int8_ranges.InputRange`)
follow the gradient of the difference of their logits, through rounding as if it were none (LSQ [1]_).

References
----------
.. [1] Esser et al., Learned Step Size Quantization, ICLR 2020.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ctclassify.engines.int8_ranges import INPUT_NAMES, STEPS, InputRange

__all__ = ["QuantizedModel"]

_WEIGHT_STEPS = 127
_ALPHA = {"attention.self": 0.85, "attention.output": 1.0, "intermediate": 0.85, "output": 0.8}
"""How much of the spread between channels the weights take over at the start (SmoothQuant, equation 4)."""
_KEPT = 0.9999
"""Share of the values after the activation function that the first range holds: its few largest are ten times those."""
_LEARNING_RATE = 0.02
_FLOOR = 0.005
"""Weight of logits at which nothing turns, beside p * (1 - p) of those at which something may."""


class _Round(torch.autograd.Function):
    """Rounds, with the gradient of the identity."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        return torch.round(values)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return gradients[0]


def _rounded(values: torch.Tensor) -> torch.Tensor:
    """Return the values rounded."""
    result: torch.Tensor = _Round.apply(values)  # type: ignore[no-untyped-call]
    return result


class _Input(nn.Module):
    """What enters one or more linear maps: divided by its channels' scales, then rounded."""

    def __init__(self, values: torch.Tensor, weight: torch.Tensor, *, alpha: float, kept: float) -> None:
        super().__init__()
        largest = values.abs().amax(0).clamp_min(1e-3)
        scales = largest**alpha / weight.abs().amax(0).clamp_min(1e-3) ** (1 - alpha)
        scales = scales / scales.log().mean().exp()
        scaled = values / scales
        high = scaled.max() if kept == 1 else torch.tensor(np.quantile(scaled.numpy(), kept), dtype=torch.float32)
        self.log_scales = nn.Parameter(scales.log())
        self.low, self.high = nn.Parameter(scaled.min().clamp_max(0.0)), nn.Parameter(high.clamp_min(1e-3))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the values, scaled and rounded."""
        step = (self.high - self.low) / STEPS
        lowest = _rounded(self.low / step).clamp(-STEPS, 0)
        steps = _rounded(values / self.log_scales.exp() / step)
        return step * torch.minimum(torch.maximum(steps, lowest), lowest + STEPS)

    def learned(self) -> InputRange:
        """Return what has been learned."""
        with torch.no_grad():
            step = (self.high - self.low) / STEPS
            lowest = int(torch.round(self.low / step).clamp(-STEPS, 0))
            return InputRange(scales=self.log_scales.exp().numpy(), step=float(step), lowest=lowest)


class _Linear(nn.Module):
    """A linear map that is either the float one or computes with rounded input and weight."""

    def __init__(self, linear: nn.Linear, switch: dict[str, bool]) -> None:
        super().__init__()
        self.linear = linear
        self.input: _Input | None = None
        self.seen: list[torch.Tensor] | None = None
        self._switch = switch

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the outputs."""
        if self.seen is not None:
            self.seen.append(values.reshape(-1, values.shape[-1]))
        if self.input is None or not self._switch["is_rounded"]:
            outputs: torch.Tensor = self.linear(values)
            return outputs
        weight = self.linear.weight * self.input.log_scales.exp()
        step = weight.abs().amax(1, keepdim=True).clamp_min(1e-12) / _WEIGHT_STEPS
        return functional.linear(self.input(values), _rounded(weight / step) * step, self.linear.bias)


class QuantizedModel:
    """A BERT classifier beside its rounded form.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        A BERT classifier, of whose class ``model.bert.encoder.layer`` is the list of layers. Its linear maps are
        replaced in place, its weights stay.
    batches : sequence of tuple of Tensor
        Token ids and attention masks, from which the first ranges are taken; one or more.
    """

    def __init__(self, model: Any, batches: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> None:
        self._model = model.eval().requires_grad_(False)
        self._switch = {"is_rounded": False}
        self._maps: dict[tuple[int, str], list[_Linear]] = {}
        for i, layer in enumerate(model.bert.encoder.layer):
            for name in INPUT_NAMES:
                self._maps[i, name] = [self._replace(*place) for place in _places(layer, name)]
        self._first_ranges(batches)

    def _replace(self, parent: Any, name: str) -> _Linear:
        """Put a map that can round in a linear map's place."""
        replaced = _Linear(getattr(parent, name), self._switch)
        setattr(parent, name, replaced)
        return replaced

    def _first_ranges(self, batches: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Take ranges from what is seen, padding left out."""
        for maps in self._maps.values():
            maps[0].seen = []
        with torch.no_grad():
            for batch in batches:
                self.logits(*batch, is_rounded=False)
        is_token = torch.cat([mask.reshape(-1).bool() for _, mask in batches])
        for (_, name), maps in self._maps.items():
            values = torch.cat(maps[0].seen or [])[is_token]
            maps[0].seen = None
            weight = torch.cat([each.linear.weight for each in maps])
            shared = _Input(values, weight, alpha=_ALPHA[name], kept=_KEPT if name == "output" else 1.0)
            for each in maps:
                each.input = shared

    def logits(self, input_ids: torch.Tensor, mask: torch.Tensor, *, is_rounded: bool) -> torch.Tensor:
        """Return logits, shape (n_texts, n_labels), of the rounded or of the float model."""
        with self._rounding(is_rounded):
            result: torch.Tensor = self._model(input_ids=input_ids, attention_mask=mask).logits
        return result

    @contextmanager
    def _rounding(self, is_rounded: bool) -> Iterator[None]:
        """Switch rounding on or off for a while."""
        self._switch["is_rounded"] = is_rounded
        try:
            yield
        finally:
            self._switch["is_rounded"] = False

    def learn(
        self, batches: Sequence[tuple[torch.Tensor, torch.Tensor]], *, n_steps: int, seed: int
    ) -> Iterator[tuple[int, float]]:
        """Learn ranges and scales, a batch a step, chosen at random.

        Yields
        ------
        step : int
            From 1.
        loss : float
            A thousand times the mean squared difference of the logits, weighted by ``p * (1 - p)`` of the float
            model: about how far probabilities differ where decisions turn.
        """
        choice = random.Random(seed)
        inputs = [maps[0].input for maps in self._maps.values()]
        optimizer = torch.optim.Adam(
            [parameter for each in inputs if each is not None for parameter in each.parameters()], betas=(0.9, 0.99)
        )
        for step in range(n_steps):
            for group in optimizer.param_groups:
                group["lr"] = _LEARNING_RATE * (1 - step / n_steps)
            batch = choice.choice(batches)
            with torch.no_grad():
                expected = self.logits(*batch, is_rounded=False)
            weights = torch.sigmoid(expected) * torch.sigmoid(-expected) + _FLOOR
            difference = self.logits(*batch, is_rounded=True) - expected
            loss = 1000 * (difference.square() * weights).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            yield step + 1, loss.item()

    def ranges(self) -> dict[tuple[int, str], InputRange]:
        """Return what has been learned, by layer and name of the input."""
        return {key: maps[0].input.learned() for key, maps in self._maps.items() if maps[0].input is not None}


def _places(layer: Any, name: str) -> list[tuple[Any, str]]:
    """Return module and attribute of each linear map that an input of a layer enters."""
    return {
        "attention.self": [(layer.attention.self, each) for each in ("query", "key", "value")],
        "attention.output": [(layer.attention.output, "dense")],
        "intermediate": [(layer.intermediate, "dense")],
        "output": [(layer.output, "dense")],
    }[name]
