"""A teacher's targets: losses, joining them to labels, writing them, a run that learns from both."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

import ctclassify
from ctclassify.errors import DataError
from tests.conftest import LABELS
from tests.test_training import config, data  # noqa: F401  (fixtures)
from training import finetune, soft_label
from training.config import load_config
from training.data import LabelledSentences, read_labelled
from training.distillation import join_targets, read_soft_labels
from training.losses import Objective, asymmetric_loss, bernoulli_divergence

NAN = [math.nan] * 3


def bce(logit: float, target: float, weight: float = 1.0) -> float:
    """Cross-entropy of one decision, by hand."""
    p = 1 / (1 + math.exp(-logit))
    return -(weight * target * math.log(p) + (1 - target) * math.log(1 - p))


def soft_row(text: str, *values: float) -> str:
    """One line of a file of soft labels."""
    return json.dumps({"text": text, "probabilities": dict(zip(LABELS, values, strict=True))}) + "\n"


def test_labels_alone_are_weighted_cross_entropy():
    objective = Objective(pos_weight=torch.tensor([2.0, 1.0, 1.0]))
    logits = torch.tensor([[0.5, -1.0, 2.0]])
    expected = (bce(0.5, 1, 2.0) + bce(-1.0, 0) + bce(2.0, 1)) / 3
    assert objective(logits, torch.tensor([[1.0, 0.0, 1.0]])).item() == pytest.approx(expected, abs=1e-6)


def test_a_text_gives_the_targets_that_it_has():
    objective = Objective(pos_weight=torch.tensor([2.0, 1.0, 1.0]), soft_weight=0.25)
    logits = torch.tensor([[0.5, -1.0, 2.0]] * 3)
    labels = torch.tensor([[1.0, 0.0, 1.0], [1.0, 0.0, 1.0], NAN])
    soft = torch.tensor([[0.9, 0.1, 0.6], NAN, [0.9, 0.1, 0.6]])
    hard_loss = (bce(0.5, 1, 2.0) + bce(-1.0, 0) + bce(2.0, 1)) / 3
    soft_loss = (bce(0.5, 0.9) + bce(-1.0, 0.1) + bce(2.0, 0.6)) / 3
    expected = (0.75 * hard_loss + 0.25 * soft_loss + hard_loss + soft_loss) / 3
    assert objective(logits, labels, soft).item() == pytest.approx(expected, abs=1e-6)


def test_missing_targets_give_no_gradient_that_is_not_a_number():
    logits = torch.zeros(2, 3, requires_grad=True)
    objective = Objective(pos_weight=torch.ones(3), soft_weight=0.5)
    objective(logits, torch.tensor([NAN, [1.0, 0.0, 0.0]]), torch.tensor([[0.5, 0.2, 0.9], NAN])).backward()
    assert torch.isfinite(logits.grad).all()


def test_the_asymmetric_loss_leaves_easy_negatives_out():
    losses = asymmetric_loss(torch.tensor([[-3.0, 3.0, -3.0]]), torch.tensor([[0.0, 0.0, 1.0]]))[0].tolist()
    assert losses[0] == 0.0  # a probability of 0.047 lies within the margin
    p = 1 / (1 + math.exp(-3.0)) - 0.05
    assert losses[1] == pytest.approx(-(p**4) * math.log(1 - p), rel=1e-5)
    assert losses[2] == pytest.approx(bce(-3.0, 1), rel=1e-5)


def test_the_divergence_is_both_kullback_leibler_divergences_halved():
    p, q = 0.7, 0.4
    logits = [torch.tensor([[math.log(x / (1 - x))]]) for x in (p, q)]
    there = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    back = q * math.log(q / p) + (1 - q) * math.log((1 - q) / (1 - p))
    assert bernoulli_divergence(*logits).item() == pytest.approx((there + back) / 2, rel=1e-5)
    assert bernoulli_divergence(logits[0], logits[0]).item() == 0.0


def test_targets_are_joined_by_text(tmp_path):
    path = tmp_path / "soft.jsonl"
    path.write_text(soft_row("b", 0.1, 0.2, 0.3) + soft_row("c", 0.4, 0.5, 0.6) + soft_row("b", 1, 1, 1))
    soft = read_soft_labels([path], LABELS)
    assert soft.texts == ("b", "c")
    train = LabelledSentences(texts=("a", "b"), labels=(("policy",), ()), documents=("d", "e"))
    texts, labels, soft_labels = join_targets(train, soft, LABELS)
    assert texts == ["a", "b", "c"]
    np.testing.assert_array_equal(labels, np.array([[0, 0, 1], [0, 0, 0], NAN], np.float32))
    np.testing.assert_array_equal(soft_labels, np.array([NAN, [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]], np.float32))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: Expecting"),
        ('{"text": "a"}', 'line 2: expected an object with a non-empty "text" and "probabilities"'),
        ('{"text": "a", "probabilities": {"attack": 0.5}}', "line 2: probability of casualties is None"),
        (soft_row("a", 0.5, 1.5, 0.5), "line 2: probability of casualties is 1.5"),
    ],
)
def test_a_bad_line_of_soft_labels_is_named(tmp_path, line, message):
    path = tmp_path / "soft.jsonl"
    path.write_text(soft_row("z", 0, 0, 0) + line)
    with pytest.raises(DataError, match=message):
        read_soft_labels([path], LABELS)


def test_a_missing_file_of_soft_labels_says_what_makes_it(tmp_path):
    with pytest.raises(DataError, match=r"training/soft_label\.py writes it"):
        read_soft_labels([tmp_path / "none.jsonl"], LABELS)


@pytest.fixture
def texts(tmp_path):
    """Sentences and articles in every form that is read."""
    path = tmp_path / "texts.jsonl"
    rows = [
        {"text": "A bomb in the town. Rain on the river."},
        {"text": "The court. The law.", "labels": []},
        {"text": "Police raid.  Troops.", "sentences": [{"start": 0, "end": 12}]},
        {"text": "Rain on the river."},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def soft_label_arguments(tiny_folder, texts, output) -> list[str]:
    """The command line of one teacher."""
    arguments = ["--model", str(tiny_folder), "--text", str(texts), "--output", str(output)]
    return [*arguments, "--engine", "openvino-fp32"]


def test_a_teacher_writes_each_sentence_once_without_those_excluded(tiny_folder, tiny, texts, tmp_path):
    exclude = tmp_path / "test.jsonl"
    exclude.write_text('{"text": "police RAID", "labels": []}\n')
    output = tmp_path / "soft.jsonl"
    assert soft_label.main([*soft_label_arguments(tiny_folder, texts, output), "--exclude", str(exclude)]) == 0
    soft = read_soft_labels([output], LABELS)
    assert soft.texts == ("A bomb in the town.", "Rain on the river.", "The court. The law.")
    np.testing.assert_allclose(soft.probabilities, tiny.predict_proba(soft.texts), atol=1e-4)


def test_a_screen_keeps_labelled_sentences_and_a_fifth_of_the_rest(tiny):
    texts = [f"Rain on the river {i}." for i in range(300)]

    class Nothing:
        def predict_proba(self, texts):
            return np.full((len(texts), 3), 0.01, dtype=np.float32)

    kept = soft_label.screened(texts, set(texts[:10]), Nothing())
    assert kept[:10] == texts[:10]
    assert 30 < len(kept) < 110
    assert soft_label.screened(texts, set(), tiny) == texts  # the random tiny model finds something everywhere
    assert soft_label.screened([], set(), tiny) == []


def test_several_teachers_are_averaged(tiny_folder, tiny_mean_folder, texts, tmp_path):
    output = tmp_path / "soft.jsonl"
    arguments = soft_label_arguments(tiny_folder, texts, output)
    assert soft_label.main([*arguments[:2], str(tiny_mean_folder), *arguments[2:]]) == 0
    soft = read_soft_labels([output], LABELS)
    models = [ctclassify.load(folder, engine="openvino-fp32") for folder in (tiny_folder, tiny_mean_folder)]
    mean = np.mean([model.predict_proba(soft.texts) for model in models], axis=0)
    np.testing.assert_allclose(soft.probabilities, mean, atol=1e-4)


def test_a_stopped_teacher_goes_on(tiny_folder, texts, tmp_path, monkeypatch):
    whole, stopped = tmp_path / "whole.jsonl", tmp_path / "stopped.jsonl"
    assert soft_label.main(soft_label_arguments(tiny_folder, texts, whole)) == 0
    lines = whole.read_bytes().splitlines(keepends=True)
    stopped.write_bytes(lines[0] + lines[1][:20])
    shutil.copy(f"{whole}.teachers.json", f"{stopped}.teachers.json")
    assert soft_label.main(soft_label_arguments(tiny_folder, texts, stopped)) == 0
    assert stopped.read_bytes() == whole.read_bytes()


def test_a_file_of_other_sentences_is_not_added_to(tiny_folder, texts, tmp_path, capsys):
    output = tmp_path / "soft.jsonl"
    arguments = soft_label_arguments(tiny_folder, texts, output)
    assert soft_label.main(arguments) == 0
    for line in (soft_row("Something else.", 0, 0, 0), "{\n"):
        output.write_text(line)
        assert soft_label.main(arguments) == 2
        assert "line 1: holds other sentences, or is damaged" in capsys.readouterr().err


def test_answers_of_another_teacher_are_not_added_to(tiny_folder, tiny_mean_folder, texts, tmp_path, capsys):
    output = tmp_path / "soft.jsonl"
    assert soft_label.main(soft_label_arguments(tiny_folder, texts, output)) == 0
    assert soft_label.main(soft_label_arguments(tiny_mean_folder, texts, output)) == 2
    assert "is from other teachers" in capsys.readouterr().err


def test_an_article_with_a_held_out_sentence_is_left_out_whole(tiny_folder, texts, tmp_path):
    held_out = {soft_label._key("Rain on the river.")}
    assert list(soft_label.read_sentences([texts], excluded=held_out)) == ["The court. The law.", "Police raid."]


def test_a_text_that_is_no_string_is_named(tiny_folder, texts, tmp_path, capsys):
    texts.write_text('{"text": 7}\n')
    assert soft_label.main(soft_label_arguments(tiny_folder, texts, tmp_path / "soft.jsonl")) == 2
    assert "line 1: expected an object" in capsys.readouterr().err


@pytest.mark.parametrize("options", ["loss = 'asymmetric'", "r_drop = 1.0"])
def test_a_student_learns_from_labels_and_teacher(config, tmp_path, options):  # noqa: F811
    (tmp_path / "soft.jsonl").write_text(soft_row("Rain on the town.", 0.1, 0.2, 0.3))
    config.write_text(config.read_text() + options + "\n[distillation]\nsoft = ['soft.jsonl']\nweight = 0.5\n")
    folder = finetune.finetune(load_config(config), tmp_path / "run")
    run = json.loads((folder / "run.json").read_text())
    assert run["counts"]["n_texts_train"] == 37
    assert run["config"]["distillation"]["soft"][0]["sha256"]
    assert ctclassify.load(folder / "model").predict(["Rain."])


def test_frozen_layers_stay_and_too_many_are_refused(config, tmp_path, tiny_folder, capsys):  # noqa: F811
    from safetensors.numpy import load_file

    text = config.read_text()
    config.write_text(text.replace("max_length = 16", "max_length = 16\nfreeze_layers = 1"))
    folder = finetune.finetune(load_config(config), tmp_path / "run")
    checkpoint = next(folder.glob("checkpoint-*")) / "model.safetensors"
    before, after = load_file(tiny_folder / "model.safetensors"), load_file(checkpoint)
    moved = {name for name in set(before) & set(after) if not np.array_equal(before[name], after[name])}
    assert moved
    assert not any("layer.0." in name or "embeddings" in name for name in moved)
    config.write_text(text.replace("max_length = 16", "max_length = 16\nfreeze_layers = 2"))
    assert finetune.main(["--config", str(config), "--output", str(tmp_path / "other")]) == 2
    assert "freeze_layers is 2, the encoder" in capsys.readouterr().err


def test_other_sentences_of_a_held_out_document_are_left_out(tiny_folder, tmp_path, capsys):
    held_out, texts, output = (tmp_path / name for name in ("test.jsonl", "texts.jsonl", "soft.jsonl"))
    held_out.write_text('{"text": "A bomb.", "labels": [], "key": "1.yaml#0"}\n')
    rows = [
        {"text": "A law.", "key": "1.yaml#7"},
        {"text": "A raid.", "document": "1.yaml"},
        {"text": "A town.", "id": "1.yaml"},
        {"text": "Rain.", "id": 7, "document": None},
    ]
    texts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = soft_label_arguments(tiny_folder, texts, output)
    assert soft_label.main([*arguments, "--exclude", str(held_out)]) == 0
    assert read_soft_labels([output], LABELS).texts == ("Rain.",)
    assert "left out 3 lines of held-out documents" in capsys.readouterr().out


def test_half_of_a_pair_in_a_text_is_read_as_prediction_reads_it(tiny_folder, tmp_path):
    texts, output = tmp_path / "texts.jsonl", tmp_path / "soft.jsonl"
    texts.write_text('{"text": "A bomb \\ud83d fell.", "labels": []}\n')
    assert soft_label.main(soft_label_arguments(tiny_folder, texts, output)) == 0
    assert read_soft_labels([output], LABELS).texts == ("A bomb \ufffd fell.",)
    assert read_labelled([texts], LABELS).texts == ("A bomb \ufffd fell.",)


def test_a_screen_is_recorded_and_another_is_refused(tiny_folder, tiny_mean_folder, texts, tmp_path, capsys):
    output = tmp_path / "soft.jsonl"
    arguments = soft_label_arguments(tiny_folder, texts, output)
    assert soft_label.main([*arguments, "--screen", str(tiny_mean_folder)]) == 0
    record = json.loads((tmp_path / "soft.jsonl.teachers.json").read_text())
    assert record["screen"]["sha256"] == ctclassify.load(tiny_mean_folder).info()["sha256"]
    assert soft_label.main(arguments) == 2
    assert "another screen" in capsys.readouterr().err
    del record["screen"]  # as an older version wrote it
    (tmp_path / "soft.jsonl.teachers.json").write_text(json.dumps(record))
    assert soft_label.main([*arguments, "--screen", str(tiny_mean_folder)]) == 0
