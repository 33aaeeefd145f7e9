"""What contenders of ``benchmark.py`` need beforehand: an exported graph, models trained on the project's articles."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ctclassify.torch_model import load_torch_model
from training.data import LabelledSentences


def export_onnx(model_folder: Path, scratch: Path) -> None:
    """Export the shipped model to ``model.onnx``."""
    import torch
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(model_folder)
    model = load_torch_model(model_folder, config, attn_implementation="eager").eval()
    example = torch.ones((2, 8), dtype=torch.long)
    axes = {0: "batch", 1: "tokens"}
    torch.onnx.export(
        model,
        (example, example),
        str(scratch / "model.onnx"),
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_axes={"input_ids": axes, "attention_mask": axes, "logits": {0: "batch"}},
        dynamo=False,
    )


def train_head(model_folder: Path, scratch: Path, sentences: LabelledSentences, label_names: Sequence[str]) -> None:
    """Save the shipped encoder for sentence-transformers, and a head fitted to its vectors."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    from training.data import indicator_matrix

    words = Transformer(str(model_folder), max_seq_length=512)
    encoder = SentenceTransformer(modules=[words, Pooling(words.get_embedding_dimension())], device="cpu")
    encoder.save(str(scratch / "encoder"))
    vectors = encoder.encode(list(sentences.texts), batch_size=32, show_progress_bar=False)
    head = OneVsRestClassifier(LogisticRegression(max_iter=1000, class_weight="balanced"))
    head.fit(vectors, indicator_matrix(sentences.labels, label_names))
    np.savez(
        scratch / "head.npz",
        weight=np.concatenate([each.coef_ for each in head.estimators_]),
        bias=np.concatenate([each.intercept_ for each in head.estimators_]),
    )


def train_spacy(scratch: Path, sentences: LabelledSentences, label_names: Sequence[str], *, n_epochs: int = 4) -> None:
    """Train ``textcat_multilabel`` with spaCy's own defaults."""
    import spacy
    from spacy.training import Example
    from spacy.util import minibatch

    spacy.util.fix_random_seed(0)
    nlp = spacy.blank("en")
    textcat = nlp.add_pipe("textcat_multilabel")
    for name in label_names:
        textcat.add_label(name)
    examples = [
        Example.from_dict(nlp.make_doc(text), {"cats": {name: float(name in labels) for name in label_names}})
        for text, labels in zip(sentences.texts, sentences.labels, strict=True)
    ]
    optimizer = nlp.initialize(lambda: examples[:500])
    shuffler = random.Random(0)
    for _ in range(n_epochs):
        shuffler.shuffle(examples)
        for batch in minibatch(examples, 64):
            nlp.update(batch, sgd=optimizer, drop=0.1)
    nlp.to_disk(scratch / "spacy")
