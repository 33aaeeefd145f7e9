"""Weights between two stages of one model: the ends are the stages, the middle is saved, strangers are refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file, save_file

import ctclassify
from ctclassify.model_folder import read_model_folder, write_manifest
from training import average_models, calibrate
from training.average_models import average_weights
from training.config import DecisionConfig

ROWS = [
    {"text": "The bomb killed police in the town.", "labels": ["attack", "casualties"]},
    {"text": "The court and the bill.", "labels": ["policy"]},
    {"text": "Rain on the river.", "labels": []},
]


@pytest.fixture
def world(tmp_path, tiny_mean_folder):
    """Two stages of a model, the second a little off the first, and validation data."""
    before, after = tmp_path / "before" / "model", tmp_path / "after" / "model"
    for folder in (before, after):
        shutil.copytree(tiny_mean_folder, folder)
    weights = load_file(after / "model.safetensors")
    generator = torch.Generator().manual_seed(5)
    moved = {name: value + torch.randn(value.shape, generator=generator) for name, value in weights.items()}
    save_file(moved, after / "model.safetensors", metadata={"format": "pt"})
    write_manifest(after, read_model_folder(tiny_mean_folder).manifest)
    data = tmp_path / "validation.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return before, after, data


def run(world, *options: str) -> int:
    before, after, data = world
    return average_models.main(["--model", str(before), str(after), "--data", str(data), *options])


def test_weights_lie_on_the_line_between_the_two():
    before = {"w": torch.tensor([0.0, 2.0]), "ids": torch.tensor([7])}
    after = {"w": torch.tensor([4.0, 4.0]), "ids": torch.tensor([9])}
    assert average_weights(before, after, 0.25)["w"].tolist() == [1.0, 2.5]
    assert average_weights(before, after, 0.0)["w"].tolist() == [0.0, 2.0]
    assert average_weights(before, after, 1.0)["w"].tolist() == [4.0, 4.0]
    assert average_weights(before, after, 0.25)["ids"].tolist() == [7]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_saved_folder_holds_the_average(world, tmp_path, share):
    before, after, _ = world
    assert run(world, "--share", str(share), "--output", str(tmp_path / "out")) == 0
    first, second, got = (load_file(folder / "model.safetensors") for folder in (before, after, tmp_path / "out"))
    name = "classifier.weight"
    expected = (1 - share) * first[name].float() + share * second[name].float()
    np.testing.assert_array_equal(got[name].float().numpy(), expected.bfloat16().float().numpy())
    assert ctclassify.load(tmp_path / "out").predict_proba([ROWS[0]["text"]]).shape == (1, 3)
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    assert record["share_of_after"] == share
    assert record["averaged"]["after"]["sha256"] == read_model_folder(after).checksums["model.safetensors"]


def test_several_shares_are_compared_and_nothing_is_written(world, tmp_path, capsys):
    had = sorted(tmp_path.rglob("*"))
    assert run(world, "--share", "0", "1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["share 0", "share 1"]
    assert lines[0].split("share 0")[1] != lines[1].split("share 1")[1]
    assert sorted(tmp_path.rglob("*")) == had


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--share", "1.5"], "expected numbers from 0 to 1"),
        (["--share", "0", "1", "--output", "out"], "--output takes one --share"),
        (["--share", "0.5", "--output", "."], "exists already"),
    ],
)
def test_bad_options_are_named(world, capsys, monkeypatch, tmp_path, options, message):
    monkeypatch.chdir(tmp_path)
    assert run(world, *options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_models_that_are_no_stages_of_one_are_refused(world, capsys, tiny_folder):
    before, _, data = world
    assert run((before, tiny_folder, data), "--share", "0.5") == 2
    assert "differs from" in capsys.readouterr().err
    data.write_text(json.dumps({"text": "Rain.", "labels": []}) + "\n")
    assert run(world, "--share", "0.5") == 2
    assert "no sentence with a label" in capsys.readouterr().err


def test_a_model_that_diverged_is_named(world, capsys):
    before, after, _ = world
    weights = load_file(after / "model.safetensors")
    weights["classifier.bias"][0] = float("inf")
    save_file(weights, after / "model.safetensors", metadata={"format": "pt"})
    write_manifest(after, read_model_folder(before).manifest)
    assert run(world, "--share", "0.5") == 2
    assert f"{after}: the training diverged: 1 of " in capsys.readouterr().err


def test_the_decision_of_both_models_is_kept_unless_an_option_says_otherwise(world, tmp_path):
    before, after, data = world
    data.write_text("".join(json.dumps(row) + "\n" for row in ROWS * 4))
    how = ["--calibration", "temperature", "--objective", "precision-0.8", "--review-precision", "0"]
    for folder in (before, after):
        assert calibrate.main(["--model", str(folder), "--data", str(data), *how]) == 0
    assert run(world, "--share", "0.5", "--output", str(tmp_path / "kept")) == 0
    kept = read_model_folder(tmp_path / "kept").manifest
    assert kept.thresholds == kept.threshold_sets["precision-0.8"]
    assert len(set(kept.calibration.scale)) == 1
    assert kept.review is None
    assert json.loads((tmp_path / "kept" / "training.json").read_text())["decision"] == {
        "calibration": "temperature",
        "objective": "precision-0.8",
        "precision_floors": [0.8, 0.9, 0.95],
        "review_precision": False,
    }
    assert run(world, "--share", "0.5", "--output", str(tmp_path / "told"), "--objective", "f0.5") == 0
    told = read_model_folder(tmp_path / "told").manifest
    assert told.thresholds == told.threshold_sets["f0.5"]
    assert calibrate.main(["--model", str(after), "--data", str(data), "--calibration", "platt"]) == 0
    assert run(world, "--share", "0.5", "--output", str(tmp_path / "differ")) == 0
    record = json.loads((tmp_path / "differ" / "training.json").read_text())
    assert record["decision"] == DecisionConfig().model_dump(mode="json")
