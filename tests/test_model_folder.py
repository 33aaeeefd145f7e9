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


def resave(folder: Path) -> None:
    """Give a folder whose files were altered their checksums."""
    write_manifest(folder, Manifest(thresholds={"attack": 0.5, "casualties": 0.4, "policy": 0.6}, max_tokens=32))


@pytest.mark.parametrize(
    ("name", "n_rows", "message"),
    [
        ("bert.embeddings.word_embeddings.weight", 3, "config.json: vocab_size"),
        ("bert.embeddings.position_embeddings.weight", 9, "ctclassify.json: max_tokens"),
        ("classifier.weight", 2, "the head has 2 outputs"),
    ],
)
def test_weights_that_do_not_fit_are_refused(folder, name, n_rows, message):
    from safetensors.numpy import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights[name] = weights[name][:n_rows].copy()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    resave(folder)
    with pytest.raises(ModelFolderError, match=message):
        ctclassify.load(folder, engine="openvino-fp32")
    with pytest.raises(EngineError, match=r"mismatch|the weights lack"):
        ctclassify.load(folder, engine="torch-cpu")


def test_a_tokenizer_with_more_words_than_the_model_is_refused(folder):
    edit_json(folder / "config.json", vocab_size=5)
    resave(folder)
    with pytest.raises(ModelFolderError, match=r"vocab_size is 5; save the model again with its own tokenizer"):
        ctclassify.load(folder, engine="openvino-fp32")


def test_positions_that_serve_no_token_do_not_count(folder):
    edit_json(folder / "config.json", max_position_embeddings=33, model_type="mpnet")
    resave(folder)
    with pytest.raises(ModelFolderError, match="the encoder has 31 positions"):
        ctclassify.load(folder)


def test_a_name_that_the_system_refuses_is_a_model_error():
    with pytest.raises(ModelFolderError, match="cannot be read"):
        ctclassify.load("x" * 5_000)


@pytest.mark.parametrize(
    "changes",
    [
        {"attn_implementation": "kernels-community/flash-attn2"},
        {"transformers_weights": "other.safetensors"},
        {"quantization_config": {"quant_method": "gptq", "bits": 4}},
        {"auto_map": {"AutoModelForSequenceClassification": "evil.Model"}},
    ],
)
def test_a_config_that_reaches_beyond_the_folder_is_read_without_that(folder, tiny_folder, changes):
    edit_json(folder / "config.json", **changes)
    resave(folder)
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    texts = ["A bomb in the town."]
    expected = ctclassify.load(tiny_folder, engine="torch-cpu").predict_proba(texts)
    np.testing.assert_array_equal(ctclassify.load(folder, engine="torch-cpu").predict_proba(texts), expected)


def test_an_adapter_beside_the_model_is_refused_where_it_would_be_loaded(folder):
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "x/y"}')
    with pytest.raises(EngineError, match=r"adapter_config\.json would change the model"):
        ctclassify.load(folder, engine="torch-cpu")


@pytest.mark.parametrize("changes", [{"model_type": "oracle"}, {"hidden_act": "magic"}, {"hidden_size": "wide"}])
def test_a_config_that_transformers_cannot_use_is_an_engine_error(folder, changes):
    edit_json(folder / "config.json", **changes)
    resave(folder)
    with pytest.raises(EngineError, match=r"transformers cannot read|torch cannot load"):
        ctclassify.load(folder, engine="torch-cpu")


def test_loading_in_torch_leaves_the_callers_random_numbers(tiny_folder):
    torch = pytest.importorskip("torch")
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    ctclassify.load(tiny_folder, engine="torch-cpu")
    assert torch.equal(torch.rand(3), expected)


def test_a_runs_folder_is_refused_with_the_folder_to_give(tiny_folder, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "run" / "model")
    with pytest.raises(ModelFolderError, match=rf"ctclassify\.json.*give {tmp_path / 'run' / 'model'}"):
        read_model_folder(tmp_path / "run")
