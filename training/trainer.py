"""transformers' Trainer with the three things that a multi-label run here needs besides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import Trainer, TrainerCallback

from training.checkpoints import (
    AVERAGE,
    load_optimizer,
    load_random_state,
    open_checkpoint,
    save_optimizer,
    save_random_state,
)
from training.losses import Objective, bernoulli_divergence

__all__ = ["MovingAverage", "MultiLabelTrainer"]

_HOOKS = (
    "_save",
    "_save_optimizer_and_scheduler",
    "_load_optimizer_and_scheduler",
    "_save_rng_state",
    "_load_rng_state",
)
"""Private methods of Trainer that are overridden here; under another name Trainer's own would write pickles."""


class MovingAverage(TrainerCallback):
    """Keeps an exponential moving average of the trained weights.

    Parameters
    ----------
    model : torch.nn.Module
        The model that is trained.
    decay : float
        Weight of the old average a step, in [0, 1). Early on it is (1 + n) / (10 + n) where that is less, so that
        the random start is soon forgotten.
    """

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self.decay = decay
        self.average = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}

    def on_step_end(self, args: Any, state: Any, control: Any, model: torch.nn.Module, **kwargs: Any) -> None:
        """Fold the weights after a step into the average."""
        if state.global_step > state.max_steps:  # Trainer begins a finished run of half an epoch with one step more
            return
        decay = min(self.decay, (1 + state.global_step) / (10 + state.global_step))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.requires_grad:
                    self.average[name].lerp_(parameter.detach(), 1 - decay)

    def save(self, checkpoint: Path) -> None:
        """Write the average beside a checkpoint's weights."""
        save_file(self.average, checkpoint / AVERAGE)

    def load(self, checkpoint: Path) -> None:
        """Read back what :meth:`save` wrote."""
        for name, value in load_file(checkpoint / AVERAGE).items():
            self.average[name].copy_(value)

    def copy_to(self, model: torch.nn.Module) -> None:
        """Put the average in the place of the model's weights."""
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name in self.average:
                    parameter.copy_(self.average[name])


class MultiLabelTrainer(Trainer):
    """Trainer with a multi-label objective, a learning rate for each depth, and checkpoints without pickle.

    Parameters
    ----------
    objective : Objective
        The loss of a batch.
    r_drop : float
        Weight of the divergence between two passes with different dropout; 0 makes one pass.
    layer_decay : float
        Factor on the learning rate for each layer further from the head.
    ema_decay : float
        Decay of a :class:`MovingAverage` of the weights, which is kept as ``average``; 0 for none.
    **kwargs
        As for ``transformers.Trainer``.

    Raises
    ------
    RuntimeError
        If transformers' Trainer lacks one of the private methods that are overridden here.
    """

    def __init__(
        self,
        *,
        objective: Objective,
        layer_decay: float,
        ema_decay: float = 0.0,
        r_drop: float = 0.0,
        **kwargs: Any,
    ) -> None:
        _check_hooks()
        super().__init__(**kwargs)
        self.optimizer: Any
        self.objective = objective
        self.r_drop = r_drop
        self.layer_decay = layer_decay
        self.average = MovingAverage(self.model, ema_decay) if ema_decay else None
        if self.average is not None:
            self.add_callback(self.average)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the mean loss over texts and labels, computed in float32."""
        labels, soft_labels = inputs.pop("labels"), inputs.pop("soft_labels", None)
        outputs = model(**inputs)
        loss = self.objective(outputs.logits, labels, soft_labels)
        if self.r_drop:
            again = model(**inputs).logits
            loss = 0.5 * (loss + self.objective(again, labels, soft_labels))
            loss = loss + self.r_drop * bernoulli_divergence(outputs.logits.float(), again.float()).mean()
        return (loss, outputs) if return_outputs else loss

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Return AdamW with one parameter group for each depth and decay."""
        optimizer: torch.optim.Optimizer | None = self.optimizer
        if optimizer is None:
            model = self.model if model is None else model
            n_layers = model.config.num_hidden_layers
            decayed = set(self.get_decay_parameter_names(model))
            groups: dict[tuple[int, bool], list[torch.nn.Parameter]] = {}
            for name, parameter in model.named_parameters():
                if parameter.requires_grad:
                    groups.setdefault((_depth(name, n_layers), name in decayed), []).append(parameter)
            settings = [
                {
                    "params": parameters,
                    "lr": self.args.learning_rate * self.layer_decay**depth,
                    "weight_decay": self.args.weight_decay if is_decayed else 0.0,
                }
                for (depth, is_decayed), parameters in groups.items()
            ]
            optimizer_class, options = self.get_optimizer_cls_and_kwargs(self.args, model)
            optimizer = optimizer_class(settings, **options)
            self.optimizer = optimizer
        return optimizer

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Save the weights alone: the run's settings lie in run.json, Trainer would pickle them."""
        folder = output_dir or self.args.output_dir
        open_checkpoint(Path(folder))
        self.model.save_pretrained(folder, state_dict=state_dict)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        """Save without pickle, and the average, which must stand before Trainer removes the former checkpoint."""
        save_optimizer(Path(output_dir), self.optimizer, self.lr_scheduler)
        if self.average is not None:
            self.average.save(Path(output_dir))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Load without pickle."""
        if checkpoint is not None:
            load_optimizer(Path(checkpoint), self.optimizer, self.lr_scheduler)
            if self.average is not None:
                self.average.load(Path(checkpoint))

    def _save_rng_state(self, output_dir: str) -> None:
        """Save without pickle."""
        save_random_state(Path(output_dir))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Load without pickle."""
        if checkpoint is not None:
            load_random_state(Path(checkpoint))


def _check_hooks() -> None:
    """Refuse a Trainer that would not call what is overridden here."""
    missing = [name for name in _HOOKS if not hasattr(Trainer, name)]
    if missing:
        raise RuntimeError(
            f"transformers {transformers.__version__}: Trainer has no {', '.join(missing)}, so its "
            "checkpoints would hold pickles; install an earlier transformers, or adapt training/trainer.py"
        )


def _depth(parameter_name: str, n_layers: int) -> int:
    """Return how many layers lie between a parameter and the head: 0 for head and top layer."""
    parts = parameter_name.split(".")
    for name in ("layer", "layers"):  # ModernBERT has the plural
        if name in parts:
            return n_layers - 1 - int(parts[parts.index(name) + 1])
    return n_layers if {"embeddings", "relative_attention_bias"} & set(parts) else 0
