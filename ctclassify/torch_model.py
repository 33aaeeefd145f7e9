"""The torch form of a model: transformers' own class for ``cls`` pooling, a thin head for ``mean``.

Needs the extra ``[train]``. Imported only by the torch engine and by training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertModel,
    BertPreTrainedModel,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from ctclassify.errors import EngineError

__all__ = ["MEAN_POOLING_ARCHITECTURE", "BertMeanForSequenceClassification", "load_torch_model", "model_class"]

MEAN_POOLING_ARCHITECTURE = "BertMeanForSequenceClassification"


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
        weights = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * weights).sum(1) / weights.sum(1)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(mean)))


def model_class(config: PretrainedConfig) -> Any:
    """Return the class that ``config.architectures`` names: ours for mean pooling, else transformers' own."""
    if MEAN_POOLING_ARCHITECTURE in (config.architectures or []):
        return BertMeanForSequenceClassification
    return AutoModelForSequenceClassification


def load_torch_model(folder: Path, config: PretrainedConfig, **kwargs: Any) -> PreTrainedModel:
    """Load a saved model folder in float32, from safetensors alone and with no code from the folder.

    Raises
    ------
    EngineError
        If the weights cannot be read, or do not fill the model: transformers would leave the rest random.
    """
    try:
        model, report = model_class(config).from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            dtype=torch.float32,
            output_loading_info=True,
            **kwargs,
        )
    except (OSError, RuntimeError) as error:
        raise EngineError(f"torch cannot load {folder}: {error}") from error
    if report["missing_keys"] or report["mismatched_keys"]:
        lacking = sorted(map(str, {*report["missing_keys"], *report["mismatched_keys"]}))
        raise EngineError(f"{folder}: the weights lack {', '.join(lacking[:3])}; save the model again")
    loaded: PreTrainedModel = model
    return loaded
