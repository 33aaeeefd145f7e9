"""The torch form of a model: transformers' own class for ``cls`` pooling, a thin head for ``mean``.

Needs the extra ``[train]``. Imported only by the torch engine and by training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    CONFIG_MAPPING,
    AutoModelForSequenceClassification,
    BertConfig,
    BertModel,
    BertPreTrainedModel,
    MPNetConfig,
    MPNetModel,
    MPNetPreTrainedModel,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

from ctclassify.errors import EngineError

__all__ = [
    "MEAN_POOLING_ARCHITECTURES",
    "BertMeanForSequenceClassification",
    "MPNetMeanForSequenceClassification",
    "load_torch_model",
    "model_class",
    "torch_config",
]

_ADAPTER = "adapter_config.json"
_REACHING_OUT = frozenset(
    {"adapter_config", "attn_implementation", "auto_map", "experts_implementation", "quantization_config"}
    | {"transformers_weights", "use_kernels"}
)
"""Keys of a config by which transformers fetches or runs code, or reads files that no checksum covers."""


class BertMeanForSequenceClassification(BertPreTrainedModel):
    """BERT with a linear head on the average of its token states.

    Parameters
    ----------
    config : transformers.BertConfig
        With ``num_labels`` set; ``problem_type`` is always multi-label here.

    Notes
    -----
    The average runs over every token that the attention mask keeps, [CLS] and [SEP] among them, as the
    all-MiniLM checkpoints were trained.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **kwargs: Any) -> SequenceClassifierOutput:
        """Return logits, float, shape (n_texts, n_labels), for token ids of shape (n_texts, n_tokens)."""
        kwargs.pop("labels", None)
        states = self.bert(input_ids=input_ids, attention_mask=attention_mask, **kwargs).last_hidden_state
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(_mean(states, attention_mask))))


class MPNetMeanForSequenceClassification(MPNetPreTrainedModel):
    """MPNet with a linear head on the average of its token states: the teacher's form.

    Parameters
    ----------
    config : transformers.MPNetConfig
        With ``num_labels`` set; ``problem_type`` is always multi-label here.
    """

    def __init__(self, config: MPNetConfig) -> None:
        super().__init__(config)
        self.mpnet = MPNetModel(config, add_pooling_layer=False)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **kwargs: Any) -> SequenceClassifierOutput:
        """Return logits, float, shape (n_texts, n_labels), for token ids of shape (n_texts, n_tokens)."""
        kwargs.pop("labels", None)
        states = self.mpnet(input_ids=input_ids, attention_mask=attention_mask, **kwargs).last_hidden_state
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(_mean(states, attention_mask))))


def _mean(states: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """Return the average of the token states that the mask keeps, shape (n_texts, hidden_size)."""
    weights = attention_mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1)


MEAN_POOLING_ARCHITECTURES: dict[str, type[PreTrainedModel]] = {
    "bert": BertMeanForSequenceClassification,
    "mpnet": MPNetMeanForSequenceClassification,
}
"""The class for mean pooling by the encoder's ``model_type``."""


def model_class(config: PretrainedConfig) -> Any:
    """Return the class that ``config.architectures`` names: ours for mean pooling, else transformers' own."""
    ours = {kind.__name__: kind for kind in MEAN_POOLING_ARCHITECTURES.values()}
    names = [name for name in config.architectures or [] if name in ours]
    return ours[names[0]] if names else AutoModelForSequenceClassification


def torch_config(config: Mapping[str, Any]) -> PretrainedConfig:
    """Return a folder's ``config.json`` as transformers' object, without what would reach beyond the folder.

    Parameters
    ----------
    config : mapping
        The object in ``config.json``.

    Raises
    ------
    EngineError
        If transformers does not know the model, or cannot read the config.
    """
    kept = {name: value for name, value in config.items() if name not in _REACHING_OUT and not name.startswith("_")}
    try:
        return CONFIG_MAPPING[kept.get("model_type")].from_dict(kept)
    except Exception as error:  # transformers raises whatever a strange value meets
        raise EngineError(f"transformers cannot read config.json: {_told(error)}; save the model again") from error


def load_torch_model(folder: Path, config: PretrainedConfig, *, attn_implementation: str = "sdpa") -> PreTrainedModel:
    """Load a saved model folder in float32, from ``model.safetensors`` alone and with no code from the folder.

    Parameters
    ----------
    folder : pathlib.Path
        A model folder.
    config : transformers.PretrainedConfig
        Its config.
    attn_implementation : str
        As for transformers; where the model has no ``sdpa``, ``eager`` is taken.

    Raises
    ------
    EngineError
        If the class is unknown, the weights cannot be read, or do not fill the model (transformers would leave the rest
        random), or the folder holds an adapter.
    """
    if (folder / _ADAPTER).exists():
        raise EngineError(f"{folder}: {_ADAPTER} would change the model, and no checksum covers it; remove it")

    def load(attention: str) -> Any:
        return model_class(config).from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            dtype=torch.float32,
            output_loading_info=True,
            attn_implementation=attention,
        )

    try:
        with (
            _no_progress_bar(),
            torch.random.fork_rng(devices=[]),
        ):  # new layers are made at random before they are filled
            try:
                model, report = load(attn_implementation)
            except ValueError:  # what models without sdpa say
                if attn_implementation != "sdpa":
                    raise
                model, report = load("eager")
    except Exception as error:  # transformers raises whatever a strange value meets
        raise EngineError(f"torch cannot load {folder}: {_told(error)}") from error
    if report["missing_keys"] or report["mismatched_keys"]:
        lacking = sorted(map(str, {*report["missing_keys"], *report["mismatched_keys"]}))
        raise EngineError(f"{folder}: the weights lack {', '.join(lacking[:3])}; save the model again")
    loaded: PreTrainedModel = model
    return loaded


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Keep transformers from drawing a bar for the weights: this takes a moment, and standard error is the user's."""
    was_enabled = is_progress_bar_enabled()
    disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            enable_progress_bar()


def _told(error: Exception) -> str:
    """Return an error's type and text in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
