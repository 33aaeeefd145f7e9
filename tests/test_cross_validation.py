"""Cross-validation by document, end to end on a tiny encoder."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest

pytest.importorskip("torch")

from safetensors.torch import load_file, save_file
from transformers.utils.logging import enable_progress_bar, is_progress_bar_enabled

import ctclassify
from ctclassify.errors import DataError
from tests.conftest import LABELS
from training import evaluate, finetune
from training.config import load_config
from training.cross_validation import cross_validate
from training.data import LabelledSentences, read_labelled
from training.folds import assign_folds, count_seen_elsewhere
from training.trainer import MultiLabelTrainer

SENTENCES = [
    ("A bomb killed police in the town.", ["attack", "casualties"]),
    ("A bomb in the bank.", ["attack"]),
    ("The court and the law.", ["policy"]),
    ("Rain on the river.", []),
    ("Troops wounded in the raid.", ["casualties"]),
    ("The bill on the bank by the group.", ["policy"]),
]


def write_rows(path, prefix, n):
    """Write n documents of two sentences each."""
    rows = [SENTENCES[i % len(SENTENCES)] for i in range(2 * n)]
    lines = [{"text": t, "labels": its, "key": f"{prefix}{i // 2}#{i % 2}"} for i, (t, its) in enumerate(rows)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def encoder(tmp_path, tiny_folder):
    """The tiny encoder as it is before fine-tuning: without thresholds."""
    return shutil.copytree(tiny_folder, tmp_path / "encoder", ignore=shutil.ignore_patterns("ctclassify.json"))


@pytest.fixture
def config(tmp_path, encoder, monkeypatch):
    """A config of one short epoch on the tiny encoder, whose runs lie in the test's folder."""
    monkeypatch.setattr(finetune, "RUNS", tmp_path / "runs")
    write_rows(tmp_path / "train.jsonl", "t", 9)
    write_rows(tmp_path / "validation.jsonl", "v", 3)
    path = tmp_path / "tiny.toml"
    path.write_text(
        f"""
name = "tiny"
[data]
train = ["train.jsonl"]
validation = ["validation.jsonl"]
label_names = ["attack", "casualties", "policy"]
[model]
base = "{encoder}"
max_length = 16
freeze_word_embeddings = false
[optimisation]
num_train_epochs = 1
batch_size = 6
learning_rate = 1e-2
bf16 = false
"""
    )
    return path


def sentences_of(documents, labels):
    """Return sentences without meaning."""
    return LabelledSentences(texts=("w",) * len(documents), labels=tuple(labels), documents=tuple(documents))


def test_a_document_stays_in_one_fold_and_labels_are_balanced():
    rng = np.random.default_rng(3)
    documents = [f"d{i}" for i in rng.integers(0, 120, 900)]
    labels = [tuple(name for name, rate in zip("abc", (0.5, 0.1, 0.03), strict=True) if rng.random() < rate)
              for _ in documents]  # fmt: skip
    folds = assign_folds(sentences_of(documents, labels), "abc", 5, seed=13)
    assert set(folds) == {1, 2, 3, 4, 5}
    for document in set(documents):
        assert len({fold for fold, name in zip(folds, documents, strict=True) if name == document}) == 1
    for name in "abc":
        n = [sum(name in its for its, at in zip(labels, folds, strict=True) if at == fold) for fold in range(1, 6)]
        assert max(n) - min(n) <= 2 + 0.1 * np.mean(n), name
    sizes = np.bincount(folds)[1:]
    assert sizes.max() - sizes.min() <= 0.1 * sizes.mean()


def test_rows_in_another_order_keep_their_folds():
    documents, labels = ["a", "a", "b", "c", "d", "d"], [("x",), (), ("x",), (), ("x",), ("x",)]
    folds = assign_folds(sentences_of(documents, labels), ("x",), 2, seed=1)
    turned = assign_folds(sentences_of(documents[::-1], labels[::-1]), ("x",), 2, seed=1)
    assert folds.tolist() == turned[::-1].tolist()


def test_documents_without_labels_are_spread():
    folds = assign_folds(sentences_of([str(i) for i in range(9)], [()] * 9), ("x",), 3, seed=1)
    assert np.bincount(folds).tolist() == [0, 3, 3, 3]


def test_sentences_that_two_folds_share_are_counted():
    sentences = LabelledSentences(texts=("u", "v", "u", "v", "w"), labels=((),) * 5, documents=tuple("aabcc"))
    assert count_seen_elsewhere(sentences, np.array([1, 1, 1, 2, 2])) == 2


def test_a_teacher_that_knows_the_held_out_labels_is_refused(config, tmp_path):
    config.write_text(config.read_text() + '[distillation]\nsoft = ["soft.jsonl"]\n')
    with pytest.raises(DataError, match=r"soft\.jsonl: the teacher has learned the labels that are held out"):
        cross_validate(load_config(config), n_folds=2)
    assert not (tmp_path / "runs").exists()


def test_an_earlier_runs_model_that_knows_the_held_out_labels_is_refused(config, encoder, tiny_folder, tmp_path):
    shutil.copy(tiny_folder / "ctclassify.json", encoder)
    with pytest.raises(DataError, match="encoder: the encoder is a model that was fine-tuned already"):
        cross_validate(load_config(config), n_folds=2)
    assert not (tmp_path / "runs").exists()


def test_every_sentence_is_scored_by_the_model_that_did_not_see_it(config, tmp_path):
    report = cross_validate(load_config(config), n_folds=3, engine="openvino-fp32")
    folder = tmp_path / "runs" / "tiny-cv"
    train = read_labelled([tmp_path / "train.jsonl"], LABELS)
    rows = [json.loads(line) for line in (folder / "out-of-fold.jsonl").read_text().splitlines()]
    assert [row["document"] for row in rows] == list(train.documents)
    assert [tuple(row["labels"]) for row in rows] == list(train.labels)
    assert all(set(row) == {"document", "fold", "labels", "probabilities"} for row in rows)
    n_right = 0
    for fold in (1, 2, 3):
        learned = read_labelled([folder / "data" / f"fold-{fold}-train.jsonl"], LABELS)
        held = [i for i, row in enumerate(rows) if row["fold"] == fold]
        assert not {rows[i]["document"] for i in held} & set(learned.documents)
        assert len(held) + len(learned) == len(train)
        classifier = ctclassify.load(folder / f"fold-{fold}" / "model", engine="openvino-fp32")
        texts = [train.texts[i] for i in held]
        expected = [dict(zip(LABELS, row, strict=True)) for row in classifier.predict_proba(texts).tolist()]
        for i, row in zip(held, expected, strict=True):
            assert rows[i]["probabilities"] == pytest.approx(row, abs=2e-6)
        predicted = classifier.predict(texts)  # with its own thresholds
        right = sum(set(its) == set(train.labels[i]) for i, its in zip(held, predicted, strict=True))
        assert report["cross_validation"]["folds"][fold - 1]["exact_match"] == pytest.approx(
            right / len(held), abs=1e-4
        )
        n_right += right
    assert report["model"]["exact_match"] == pytest.approx(n_right / len(train), abs=1e-4)
    micro = [each["micro"]["f1"] for each in report["cross_validation"]["folds"]]
    assert report["cross_validation"]["micro_f1"]["mean"] == pytest.approx(np.mean(micro), abs=1e-4)
    assert report["cross_validation"]["micro_f1"]["sd"] == pytest.approx(np.std(micro, ddof=1), abs=1e-4)


def test_a_stopped_cross_validation_goes_on_and_trains_no_fold_twice(config, tmp_path, monkeypatch, capsys):
    settings = load_config(config)
    step, n_steps = MultiLabelTrainer.training_step, 0

    def counted(*args, **kwargs):
        nonlocal n_steps
        n_steps += 1
        if n_steps == stop_at:
            raise KeyboardInterrupt
        return step(*args, **kwargs)

    monkeypatch.setattr(MultiLabelTrainer, "training_step", counted)
    stop_at = 3  # each fold takes two steps
    with pytest.raises(KeyboardInterrupt):
        cross_validate(settings, n_folds=3, engine="openvino-fp32")
    stop_at = 0
    resumed = cross_validate(settings, n_folds=3, engine="openvino-fp32")
    assert n_steps == 3 + 4
    assert "fold-1: finished already" in capsys.readouterr().out
    whole = cross_validate(settings, tmp_path / "whole", n_folds=3, engine="openvino-fp32")
    assert n_steps == 3 + 4 + 6
    assert resumed["model"] == whole["model"]
    assert cross_validate(settings, n_folds=3, engine="openvino-fp32") == resumed
    assert n_steps == 3 + 4 + 6


def test_trained_folds_of_another_config_are_not_taken(config, tmp_path, monkeypatch):
    cross_validate(load_config(config), n_folds=2, engine="openvino-fp32")
    config.write_text(config.read_text().replace("learning_rate = 1e-2", "learning_rate = 2e-2"))
    with pytest.raises(DataError, match=r"run\.json: a finished run of something else, .*learning_rate: 0\.01"):
        cross_validate(load_config(config), n_folds=2, engine="openvino-fp32")


@pytest.mark.parametrize("changed", ["folds", "data"])
def test_files_of_trained_folds_are_not_overwritten(config, tmp_path, changed):
    cross_validate(load_config(config), n_folds=2, engine="openvino-fp32")
    files = sorted((tmp_path / "runs" / "tiny-cv" / "data").iterdir())
    before = [path.read_bytes() for path in files]
    if changed == "data":
        write_rows(tmp_path / "train.jsonl", "u", 9)
    with pytest.raises(
        DataError, match=r"fold-1-train\.jsonl: .* another number of folds than now; .* --folds as before"
    ):
        cross_validate(load_config(config), n_folds=3 if changed == "folds" else 2, engine="openvino-fp32")
    assert [path.read_bytes() for path in files] == before


def test_trained_folds_of_another_encoder_are_not_taken(config, encoder):
    cross_validate(load_config(config), n_folds=2, engine="openvino-fp32")
    weights = load_file(encoder / "model.safetensors")
    save_file({name: 2 * weight for name, weight in weights.items()}, encoder / "model.safetensors", {"format": "pt"})
    with pytest.raises(DataError, match=r"run\.json: a finished run of something else, encoder\.sha256\.model"):
        cross_validate(load_config(config), n_folds=2, engine="openvino-fp32")


def test_a_file_given_twice_is_learned_twice_and_scored_once(config, tmp_path):
    write_rows(tmp_path / "few.jsonl", "f", 2)
    config.write_text(config.read_text().replace('["train.jsonl"]', '["few.jsonl", "train.jsonl", "few.jsonl"]'))
    report = cross_validate(load_config(config), n_folds=2, engine="openvino-fp32")
    folder = tmp_path / "runs" / "tiny-cv"
    rows = [json.loads(line) for line in (folder / "out-of-fold.jsonl").read_text().splitlines()]
    once = read_labelled([tmp_path / "few.jsonl", tmp_path / "train.jsonl"], LABELS)
    assert report["model"]["n_texts"] == len(rows) == len(once)
    assert [row["document"] for row in rows] == list(once.documents)
    assert [each["file"] for each in report["data"]] == ["few.jsonl", "train.jsonl"]
    for fold in (1, 2):
        learned = read_labelled([folder / "data" / f"fold-{fold}-train.jsonl"], LABELS)
        others = [row["document"] for row in rows if row["fold"] != fold]
        few = [document for document in others if document.startswith("f")]
        assert list(learned.documents) == [*others, *few]


def test_no_local_path_is_written(config, tmp_path):
    for name in ("train.jsonl", "more/train.jsonl", "validation.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps({"text": t, "labels": its}) + "\n" for t, its in SENTENCES))
    # A document of both sides, so that the rest of the validation data is written, too.
    for name in ("train.jsonl", "validation.jsonl"):
        path = tmp_path / name
        path.write_text(path.read_text() + '{"text": "A raid.", "labels": ["attack"], "document": "d:1"}\n')
    config.write_text(config.read_text().replace('["train.jsonl"]', '["train.jsonl", "more/train.jsonl"]'))
    report = cross_validate(load_config(config), n_folds=2, engine="openvino-fp32")
    folder = tmp_path / "runs" / "tiny-cv"
    rows = [json.loads(line) for line in (folder / "out-of-fold.jsonl").read_text().splitlines()]
    lines = [f"train.jsonl:{i}" for i in range(1, 7)]
    assert [row["document"] for row in rows] == [*lines, "d:1", *lines]
    assert report["model"]["n_documents"] == 13  # lines of two files of one name are not one document
    for path in [folder / "out-of-fold.jsonl", *(folder / "data").iterdir()]:
        assert str(tmp_path) not in path.read_text()


def test_no_threshold_is_tuned_on_a_document_that_is_held_out(config, tmp_path, capsys):
    path = tmp_path / "validation.jsonl"
    path.write_text(path.read_text() + '{"text": "A raid.", "labels": ["attack"], "document": "t0"}\n')
    report = cross_validate(load_config(config), n_folds=2, engine="openvino-fp32")
    assert report["cross_validation"]["n_validation_left_out"] == 1
    assert "1 validation sentences are left out" in capsys.readouterr().out
    record = json.loads((tmp_path / "runs" / "tiny-cv" / "fold-1" / "run.json").read_text())
    assert record["counts"]["validation"]["n_sentences"] == 6


def test_validation_of_held_out_documents_alone_is_refused(config, tmp_path):
    write_rows(tmp_path / "validation.jsonl", "t", 1)
    with pytest.raises(DataError, match=r"validation\.jsonl: every document stands in the train files too"):
        cross_validate(load_config(config), n_folds=2)
    assert not (tmp_path / "runs").exists()


def test_more_folds_than_documents_are_refused(config):
    with pytest.raises(DataError, match=r"9 documents in the train files, expected at least one a fold \(10\)"):
        cross_validate(load_config(config), n_folds=10)


def test_the_script_cross_validates(config, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    arguments = ["--cv", str(config), "--folds", "2", "--engine", "openvino-fp32", "--html", str(tmp_path / "cv.html")]
    enable_progress_bar()
    assert evaluate.main(arguments) == 0
    assert not is_progress_bar_enabled()
    printed = capsys.readouterr().out
    assert re.search(r"^[1-9]\d* sentences stand word for word in another fold too", printed, re.MULTILINE)
    assert re.search(r"micro-F1 of 2 folds: mean 0\.\d+, sd ", printed)
    report = json.loads((tmp_path / "runs" / "tiny-cv" / "metrics.json").read_text())["cross-validation"]
    assert f"\n{report['cross_validation']['n_seen_elsewhere']} sentences stand word" in printed
    assert report["model"]["n_texts"] == 18
    assert "<h2>Folds</h2>" in (tmp_path / "cv.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("more", "message"),
    [(["--data", "x.jsonl"], "leave out --data"), (["--model", "x"], "leave out --model"), (["--folds", "1"], "got 1")],
)
def test_options_that_do_not_go_with_it_are_refused(config, capsys, more, message):
    with pytest.raises(SystemExit):
        evaluate.main(["--cv", str(config), *more])
    assert message in capsys.readouterr().err
