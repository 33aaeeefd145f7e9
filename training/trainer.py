"""transformers' Trainer with the three things that a multi-label run here needs besides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import Trainer, TrainerCallback

from training.checkpoints import load_optimizer, load_random_state, save_optimizer, save_random_state

__all__ = ["MovingAverage", "MultiLabelTrainer", "positive_weights"]


def positive_weights(n_positive: torch.Tensor, n_rows: int, cap: float) -> torch.Tensor:
    """Return the weight of each label's positives in the loss.

    Parameters
    ----------
    n_positive : torch.Tensor
        Rows with the label, shape (n_labels,).
    n_rows : int
        All rows.
    cap : float
        Largest weight, at least 1.

    Returns
    -------
    torch.Tensor
        float32, shape (n_labels,): sqrt(negatives / positives) held between 1 and ``cap``; ``cap`` where a label has
        no positive. The square root lies between no correction, which gives up rare labels, and full balance, which
        costs precision.
    """
    negatives = n_rows - n_positive
    return (negatives / n_positive.clamp(min=1)).sqrt().clamp(1.0, cap).float()


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
        decay = min(self.decay, (1 + state.global_step) / (10 + state.global_step))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.requires_grad:
                    self.average[name].lerp_(parameter.detach(), 1 - decay)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the average beside the checkpoint's weights."""
        save_file(self.average, _average_path(args, state))

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Read the average back where the run goes on from a checkpoint."""
        if state.global_step:
            for name, value in load_file(_average_path(args, state)).items():
                self.average[name].copy_(value)

    def copy_to(self, model: torch.nn.Module) -> None:
        """Put the average in the place of the model's weights."""
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name in self.average:
                    parameter.copy_(self.average[name])


def _average_path(args: Any, state: Any) -> Path:
    """Return the file of the average in the checkpoint of the present step."""
    return Path(args.output_dir) / f"checkpoint-{state.global_step}" / "average.safetensors"


class MultiLabelTrainer(Trainer):
    """Trainer with weighted binary cross-entropy, a learning rate for each depth, and checkpoints without pickle.

    Parameters
    ----------
    pos_weight : torch.Tensor
        float32, shape (n_labels,), see :func:`positive_weights`.
    layer_decay : float
        Factor on the learning rate for each layer further from the head.
    **kwargs
        As for ``transformers.Trainer``.
    """

    def __init__(self, *, pos_weight: torch.Tensor, layer_decay: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.optimizer: Any
        self.pos_weight = pos_weight
        self.layer_decay = layer_decay

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the mean loss over texts and labels, computed in float32."""
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            outputs.logits.float(), labels.float(), pos_weight=self.pos_weight.to(labels.device)
        )
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
        self.model.save_pretrained(output_dir or self.args.output_dir, state_dict=state_dict)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        """Save without pickle."""
        save_optimizer(Path(output_dir), self.optimizer, self.lr_scheduler)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Load without pickle."""
        if checkpoint is not None:
            load_optimizer(Path(checkpoint), self.optimizer, self.lr_scheduler)

    def _save_rng_state(self, output_dir: str) -> None:
        """Save without pickle."""
        save_random_state(Path(output_dir))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Load without pickle."""
        if checkpoint is not None:
            load_random_state(Path(checkpoint))


def _depth(parameter_name: str, n_layers: int) -> int:
    """Return how many layers lie between a parameter and the head: 0 for head and top layer."""
    parts = parameter_name.split(".")
    if "layer" in parts:
        return n_layers - 1 - int(parts[parts.index("layer") + 1])
    return n_layers if "embeddings" in parts else 0
