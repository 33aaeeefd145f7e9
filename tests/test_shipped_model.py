"""The shipped model: engines agree on real sentences, the folder fits transformers, an article is tagged with sense."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ctclassify
from ctclassify.engines.cpus import has_vnni
from ctclassify.gate import gate_sentences, judge
from ctclassify.labels import LABEL_IDS
from ctclassify.model_folder import read_model_folder
from ctclassify.shipped import shipped_model_path
from training.data import indicator_matrix, read_labelled
from training.evaluation.metrics import evaluate_predictions

pytestmark = pytest.mark.model

ROOT = Path(__file__).resolve().parents[1]
PROJECT = [ROOT / "training" / "data" / "project" / f"{split}.jsonl" for split in ("validation", "test")]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Sentences written for the project, and one over 512 tokens."""
    return [*read_labelled(PROJECT, LABEL_IDS).texts, "The convoy was attacked near the river crossing. " * 80]


@pytest.fixture(scope="module")
def reference(texts):
    """Probabilities of the torch reference."""
    return ctclassify.load(engine="torch-cpu").predict_proba(texts)


def test_labels_are_the_codebooks(shipped):
    assert shipped.label_names == LABEL_IDS


def test_float32_agrees_with_torch(texts, reference):
    scores = ctclassify.load(engine="openvino-fp32").predict_proba(texts)
    assert np.abs(scores - reference).max() <= 1e-4


def test_the_default_precision_changes_at_most_one_decision_in_a_thousand(shipped, texts, reference):
    limits = np.array(list(shipped.thresholds.values()))
    changed = (shipped.predict_proba(texts) >= limits) != (reference >= limits)
    assert changed.mean() <= 0.001


@pytest.mark.parametrize("engine", ["auto", "openvino-int8"])
def test_the_default_engines_pass_the_gate(engine):
    if engine == "openvino-int8" and not has_vnni():
        pytest.skip("this processor has no int8 dot products, so int8 is never taken here")
    classifier = ctclassify.load(engine=engine)
    sentences = gate_sentences()
    exact = ctclassify.load(engine="openvino-fp32").predict_proba(sentences.texts)
    found = judge(classifier.predict_proba(sentences.texts), exact, sentences.labels, classifier.thresholds)
    assert found.passed, found


def test_transformers_reads_the_folder(reference, texts):
    transformers = pytest.importorskip("transformers")
    path = shipped_model_path()
    config = transformers.AutoConfig.from_pretrained(path)
    assert tuple(config.id2label[i] for i in range(14)) == LABEL_IDS
    assert config.problem_type == "multi_label_classification"
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    import torch

    from ctclassify.torch_model import load_torch_model

    model = load_torch_model(path, config).eval()
    batch = tokenizer(texts[:20], padding=True, return_tensors="pt")
    with torch.inference_mode():
        scores = torch.sigmoid(model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits)
    calibrated = read_model_folder(path).calibration.apply(scores.numpy())  # transformers gives the raw ones
    np.testing.assert_allclose(calibrated, reference[:20], atol=1e-5)


def test_weights_are_under_50_megabytes_and_nothing_is_pickled():
    path = shipped_model_path()
    assert (path / "model.safetensors").stat().st_size < 50_000_000
    assert {file.suffix for file in path.iterdir()} <= {".json", ".safetensors", ".md"}


def test_it_still_knows_the_project_articles(shipped):
    sentences = read_labelled([PROJECT[1]], LABEL_IDS)
    report = evaluate_predictions(
        indicator_matrix(sentences.labels, LABEL_IDS),
        shipped.predict_proba(sentences.texts),
        list(shipped.thresholds.values()),
        label_names=LABEL_IDS,
        documents=sentences.documents,
    )
    stored = json.loads((shipped_model_path() / "metrics.json").read_text())["project_test"]["model"]["micro"]["f1"]
    assert abs(report["micro"]["f1"] - stored) < 0.01


def test_the_card_shows_the_stored_figures():
    metrics = json.loads((shipped_model_path() / "metrics.json").read_text())["test"]["model"]
    for page in (shipped_model_path() / "README.md", ROOT / "README.md"):
        text = page.read_text(encoding="utf-8")
        for name, row in metrics["labels"].items():
            cells = " | ".join(f"{row[key]:.3f}" for key in ("precision", "recall", "f1"))
            assert f"| `{name}` | {cells} |" in text, f"{page.name}: {name}"
        assert f"{metrics['micro']['f1']:.3f}" in text
        assert f"{metrics['macro']['f1']:.3f}" in text


def test_the_example_article_is_tagged_with_sense(shipped):
    article = shipped.predict_article((ROOT / "examples" / "article.txt").read_text(encoding="utf-8"))
    assert len(article.sentences) >= 15

    def labels(part: str) -> tuple[str, ...]:
        (found,) = [sentence.labels for sentence in article.sentences if part in sentence.text]
        return found

    assert {"attack", "casualties"} <= set(labels("hidden in a delivery van"))
    assert "responsibility_claim" in labels("claimed responsibility in a statement")
    assert "security_operation" in labels("Police commandos raided two flats")
    assert "condemnation" in labels("accused neighbouring Marrash")
    assert "diplomatic_dialogue" in labels("ambassadors met in Geneva")
    assert "threat" in labels("raised the threat level")
    assert labels("still shooting for the title") == ()
    assert labels("Rain is forecast") == ()


_WATCHED = """
import os, sys
def watch(event, details):
    if event in ("socket.connect", "socket.getaddrinfo", "os.fork", "subprocess.Popen"):
        with open("attempts", "a") as file:
            file.write(event + "\\n")
sys.addaudithook(watch)
import ctclassify
print(ctclassify.load().predict(["A bomb killed nine people in the market."]))
assert "openvino_telemetry" not in sys.modules
from openvino import convert_model
"""


def test_nothing_is_asked_of_the_network_and_nothing_is_left_at_home(tmp_path):
    # Runtimes send no telemetry where these are set, as they are on servers that run tests.
    quiet = ("CI", "TF_BUILD", "JENKINS_URL")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and k not in quiet}
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**environment, "HOME": str(home), "PYTHONPATH": str(ROOT)},
    )
    assert "attack" in done.stdout, done.stderr
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "attempts").exists(), (tmp_path / "attempts").read_text()
    assert not list(home.rglob("*"))
