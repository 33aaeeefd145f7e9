"""A model folder is whole and unaltered, or the error says what is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import ctclassify
from ctclassify.errors import EngineError, ModelFolderError
from ctclassify.manifest import Manifest
from ctclassify.model_folder import read_model_folder, read_weights, write_manifest


@pytest.fixture
def folder(tiny_folder, tmp_path) -> Path:
    """A copy that may be altered."""
    return shutil.copytree(tiny_folder, tmp_path / "model")


def edit_json(path: Path, **changes: object) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_labels_and_thresholds_are_in_the_order_of_the_config(folder):
    model = read_model_folder(folder)
    assert model.label_names == ("attack", "casualties", "policy")
    assert model.thresholds == (0.5, 0.4, 0.6)


@pytest.mark.parametrize("name", ["ctclassify.json", "config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelFolderError, match=f"{name} is missing") as caught:
        ctclassify.load(folder)
    assert caught.value.path == folder / name


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_an_altered_file_is_refused_with_both_checksums(folder, name):
    raw = bytearray((folder / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (folder / name).write_bytes(raw)
    with pytest.raises(
        ModelFolderError, match=rf"{name} is not the file .*expected [0-9a-f]{{64}}, got [0-9a-f]{{64}}"
    ):
        ctclassify.load(folder)


def test_a_manifest_that_is_no_json_is_refused(folder):
    (folder / "ctclassify.json").write_text("{")
    with pytest.raises(ModelFolderError, match=r"ctclassify\.json is not JSON"):
        ctclassify.load(folder)


def test_a_manifest_of_another_version_is_refused(folder):
    edit_json(folder / "ctclassify.json", format_version=99)
    with pytest.raises(ModelFolderError, match="format_version is 99, this version of ctclassify reads 1 and 2"):
        ctclassify.load(folder)


@pytest.mark.parametrize("value", [1.5, "0.5", None, True])
def test_a_threshold_that_is_no_probability_is_refused(folder, value):
    edit_json(folder / "ctclassify.json", thresholds={"attack": value, "casualties": 0.4, "policy": 0.6})
    with pytest.raises(ModelFolderError, match="threshold of attack is"):
        ctclassify.load(folder)


def test_thresholds_of_other_labels_are_refused(folder):
    edit_json(folder / "ctclassify.json", thresholds={"attack": 0.5})
    with pytest.raises(ModelFolderError, match="thresholds must name each of the labels attack, casualties, policy"):
        ctclassify.load(folder)


def test_a_config_that_does_not_say_multi_label_is_refused(folder):
    edit_json(folder / "config.json", problem_type=None)
    write_manifest(folder, Manifest(thresholds={"attack": 0.5, "casualties": 0.4, "policy": 0.6}))
    with pytest.raises(ModelFolderError, match="expected 'multi_label_classification'"):
        ctclassify.load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id2label": {"0": ["a"], "1": "b", "2": "c"}}, "id2label must hold names of letters"),
        ({"id2label": {"0": "a\x1b[2J", "1": "b", "2": "c"}}, "id2label must hold names of letters"),
        ({"id2label": {"0": "a", "1": "a", "2": "c"}}, "id2label must hold distinct names"),
        ({"id2label": {"0": "a", "2": "c"}}, 'id2label must map "0", "1"'),
        ({"architectures": None}, "architectures must name the model's class"),
        ({"max_position_embeddings": 16}, "max_tokens is 32, the encoder has 16 positions"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(folder, changes, message):
    edit_json(folder / "config.json", **changes)
    names = [
        name for name in json.loads((folder / "config.json").read_text())["id2label"].values() if str(name) == name
    ]
    write_manifest(folder, Manifest(thresholds=dict.fromkeys(names, 0.5), max_tokens=32))
    with pytest.raises(ModelFolderError, match=message):
        read_model_folder(folder)


def test_a_head_of_another_size_is_refused(folder):
    edit_json(folder / "config.json", id2label={"0": "attack", "1": "casualties"})
    write_manifest(folder, Manifest(thresholds={"attack": 0.5, "casualties": 0.5}, max_tokens=32))
    with pytest.raises(ModelFolderError, match=r"the head has 3 outputs, config\.json names 2 labels"):
        ctclassify.load(folder, engine="openvino")


@pytest.mark.parametrize("engine", ["openvino", "torch-cpu"])
def test_missing_weights_are_never_filled_in(folder, engine):
    from safetensors.numpy import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["classifier.bias"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    write_manifest(folder, Manifest(thresholds={"attack": 0.5, "casualties": 0.4, "policy": 0.6}, max_tokens=32))
    with pytest.raises(EngineError, match=r"weights lack .*classifier\.bias"):
        ctclassify.load(folder, engine=engine)


def test_a_path_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(ModelFolderError, match="is not a folder"):
        ctclassify.load(tmp_path / "nowhere")


def test_bfloat16_weights_widen_exactly(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    tensor = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    save_file({"w": tensor}, tmp_path / "w.safetensors")
    assert np.array_equal(read_weights(tmp_path / "w.safetensors")["w"], tensor.float().numpy())


def test_weights_of_another_type_are_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"w": np.zeros(3, dtype=np.float16)}, tmp_path / "w.safetensors")
    with pytest.raises(ModelFolderError, match="tensor w is F16; expected F32 or BF16"):
        read_weights(tmp_path / "w.safetensors")


def test_a_file_that_is_no_safetensors_is_refused(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"not a safetensors file")
    with pytest.raises(ModelFolderError, match="not a safetensors file"):
        read_weights(tmp_path / "w.safetensors")
