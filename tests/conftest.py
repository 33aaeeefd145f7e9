"""Fixtures: a seeded two-layer model with a thirty-word tokenizer, built once a run; the shipped model, loaded once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"

import ctclassify

LABELS = ("attack", "casualties", "policy")

WORDS = [
    *("the", "a", "in", "of", "and", "to", "by", "on", "##s", "##ed", ".", ","),
    *("bomb", "troops", "police", "killed", "wounded", "raid", "group", "town", "river"),
    *("court", "bill", "law", "match", "goal", "rain", "bank", "envoy", "talks"),
]


def save_tiny_model(folder: Path, *, pooling: str = "cls", max_tokens: int = 32) -> Path:
    """Save a seeded random model folder of two layers with a width of 16."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    from ctclassify.manifest import Manifest
    from ctclassify.model_folder import write_manifest
    from ctclassify.torch_model import BertMeanForSequenceClassification

    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=max_tokens,
        num_labels=len(LABELS),
        id2label=dict(enumerate(LABELS)),
        label2id={name: i for i, name in enumerate(LABELS)},
        problem_type="multi_label_classification",
        initializer_range=0.5,
    )
    kind = {"cls": BertForSequenceClassification, "mean": BertMeanForSequenceClassification}[pooling]
    kind(config).save_pretrained(folder)
    write_manifest(
        folder, Manifest(thresholds={"attack": 0.5, "casualties": 0.4, "policy": 0.6}, max_tokens=max_tokens)
    )
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model folder; tests that alter it work on a copy."""
    return save_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_mean_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with mean pooling."""
    return save_tiny_model(tmp_path_factory.mktemp("tiny-mean"), pooling="mean")


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> ctclassify.SentenceClassifier:
    """The tiny model on the float32 engine."""
    return ctclassify.load(tiny_folder, engine="openvino-fp32")


@pytest.fixture(scope="session")
def shipped() -> ctclassify.SentenceClassifier:
    """The shipped model on the default engine."""
    return ctclassify.load()
