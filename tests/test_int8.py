"""Ranges for int8: read, checked, used by the engine; learned by training/quantize.py with the weights left alone."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import ctclassify
from ctclassify.engines.gate_record import has_passed, record_passed
from ctclassify.engines.int8_ranges import INPUT_NAMES, InputRange, Int8Ranges, read_int8_ranges, write_int8_ranges
from ctclassify.errors import ModelFolderError
from ctclassify.model_folder import read_model_folder, write_manifest
from tests.conftest import WORDS
from tests.test_classifier import TEXTS

SIZES = {"attention.self": 16, "attention.output": 16, "intermediate": 16, "output": 32}


def wide_ranges() -> Int8Ranges:
    """Return ranges that hold whatever the tiny model computes."""
    rng = np.random.default_rng(3)
    inputs = {
        (layer, name): InputRange(
            scales=rng.uniform(0.8, 1.25, SIZES[name]).astype(np.float32), step=16 / 255, lowest=-128
        )
        for layer in range(2)
        for name in INPUT_NAMES
    }
    return Int8Ranges(margin=0.25, inputs=inputs)


@pytest.fixture
def folder(tiny_folder, tmp_path):
    return read_model_folder(shutil.copytree(tiny_folder, tmp_path / "model"))


@pytest.fixture
def ranged(folder):
    write_int8_ranges(wide_ranges(), folder)
    return read_model_folder(folder.path)


def altered(folder, alter):
    """Write a folder's ranges anew, altered, and its manifest too; return the folder read again."""
    path = folder.path / "int8.json"
    path.write_text(json.dumps(alter(json.loads(path.read_text()))))
    write_manifest(folder.path, folder.manifest)
    return read_model_folder(folder.path)


def test_ranges_are_read_as_they_were_written(folder):
    written = wide_ranges()
    write_int8_ranges(written, folder)
    read = read_int8_ranges(read_model_folder(folder.path))
    assert read.margin == 0.25
    assert read.inputs.keys() == written.inputs.keys()
    for key, each in read.inputs.items():
        np.testing.assert_allclose(each.scales, written.inputs[key].scales, rtol=1e-3)
        assert each.lowest == -128
        assert each.step == pytest.approx(16 / 255, rel=1e-5)


def test_without_a_file_or_with_one_of_other_weights_there_are_none(ranged):
    other = altered(ranged, lambda raw: raw | {"weights_sha256": "0" * 64})
    assert read_int8_ranges(other) is None
    (ranged.path / "int8.json").unlink()
    write_manifest(ranged.path, ranged.manifest)
    assert read_int8_ranges(read_model_folder(ranged.path)) is None


def test_ranges_that_were_altered_are_refused(ranged):
    path = ranged.path / "int8.json"
    path.write_text(path.read_text() + "\n")
    with pytest.raises(ModelFolderError, match="is not the file that was saved with this model"):
        ctclassify.load(ranged.path)


def test_ranges_that_the_manifest_does_not_name_are_refused(tiny_folder, ranged, tmp_path):
    path = shutil.copytree(tiny_folder, tmp_path / "bare")
    shutil.copy(ranged.path / "int8.json", path)
    with pytest.raises(ModelFolderError, match="is no file that was saved with this model; remove it, or write it"):
        ctclassify.load(path, engine="openvino-int8")


def test_the_record_of_the_gate_holds_for_its_ranges_alone(ranged):
    record_passed(["openvino-int8"], ranged)
    assert has_passed("openvino-int8", ranged)
    assert not has_passed("openvino-int8", altered(ranged, lambda raw: raw | {"margin": 0.3}))


def spoilt(change):
    """Return what alters one input of a file of ranges."""

    def alter(raw):
        raw["inputs"]["1.output"] |= change
        return raw

    return alter


@pytest.mark.parametrize(
    ("alter", "what"),
    [
        (lambda raw: [], "TypeError"),
        (lambda raw: {key: raw[key] for key in raw if key != "margin"}, "margin"),
        (lambda raw: raw | {"margin": -1}, "-1 is no finite number above 0"),
        (lambda raw: raw | {"inputs": {}}, "attention.self"),
        (spoilt({"step": 0}), "0 is no finite number above 0"),
        (spoilt({"step": "wide"}), "'wide' is no finite number"),
        (spoilt({"lowest": 1}), "lowest is 1"),
        (spoilt({"lowest": -0.5}), "lowest is -0.5"),
        (spoilt({"scales": [1.0] * 31}), "expected 32 scales above 0"),
        (spoilt({"scales": [1.0] * 31 + [0.0]}), "expected 32 scales above 0"),
    ],
)
def test_a_spoilt_file_is_named_with_what_is_wrong(alter, what, ranged):
    altered(ranged, alter)
    with pytest.raises(ModelFolderError, match="is no file of ranges for int8") as caught:
        ctclassify.load(ranged.path, engine="openvino-int8")
    assert what in str(caught.value)
    assert "write it anew with training/quantize.py" in str(caught.value)


def test_the_engine_rounds_by_the_ranges(ranged, folder, tiny, monkeypatch):
    monkeypatch.setattr("ctclassify.inference._doubtful", lambda scores, borders, margin: np.zeros(0, np.int64))
    exact = tiny.predict_proba(TEXTS)
    found = ctclassify.load(ranged.path, engine="openvino-int8")
    assert found.info()["float32_within"] == 0.25
    with_ranges = found.predict_proba(TEXTS)
    assert 0 < np.abs(with_ranges - exact).max() < 0.1
    (folder.path / "int8.json").unlink()
    write_manifest(folder.path, folder.manifest)
    without = ctclassify.load(folder.path, engine="openvino-int8").predict_proba(TEXTS)
    assert (without != with_ranges).any()


def test_a_range_that_is_too_short_cuts_values_off(ranged, tiny, monkeypatch):
    monkeypatch.setattr("ctclassify.inference._doubtful", lambda scores, borders, margin: np.zeros(0, np.int64))
    exact = tiny.predict_proba(TEXTS)
    wide = np.abs(ctclassify.load(ranged.path, engine="openvino-int8").predict_proba(TEXTS) - exact).max()

    def shorten(raw):
        for each in raw["inputs"].values():
            each["step"] /= 1000
        return raw

    altered(ranged, shorten)
    assert np.abs(ctclassify.load(ranged.path, engine="openvino-int8").predict_proba(TEXTS) - exact).max() > 2 * wide


def test_what_int8_leaves_in_doubt_float32_decides(ranged, tiny):
    altered(ranged, lambda raw: raw | {"margin": 1000.0})
    found = ctclassify.load(ranged.path, engine="openvino-int8").predict_proba(TEXTS)
    np.testing.assert_allclose(found, tiny.predict_proba(TEXTS), atol=1e-6)


@pytest.fixture
def texts(tmp_path):
    rng = np.random.default_rng(5)
    path = tmp_path / "texts.jsonl"
    rows = {" ".join(rng.choice(WORDS, rng.integers(3, 12))) for _ in range(300)}
    path.write_text("".join(json.dumps({"text": f"{row}.", "labels": []}) + "\n" for row in sorted(rows)))
    return path


def quantized(folder, texts, *options):
    """Run training/quantize.py on a folder; return its exit code."""
    from training.quantize import main

    return main(["--model", str(folder), "--text", str(texts), *options])


def test_ranges_are_learned_from_text(tiny_mean_folder, texts, tmp_path, capsys):
    path = shutil.copytree(tiny_mean_folder, tmp_path / "model")
    weights = (path / "model.safetensors").read_bytes()
    assert quantized(path, texts, "--steps", "100") == 0
    losses = [float(line.split()[-1]) for line in capsys.readouterr().out.splitlines() if line.startswith("step")]
    assert losses[-1] < losses[0]
    assert (path / "model.safetensors").read_bytes() == weights
    learned = (path / "int8.json").read_text()
    sentences = [json.loads(line)["text"] for line in texts.read_text().splitlines()]
    exact, found = (
        ctclassify.load(path, engine=f"openvino-{each}").predict_proba(sentences) for each in ("fp32", "int8")
    )
    assert 0 < np.abs(exact - found).max() < 0.1
    assert quantized(path, texts, "--steps", "100") == 0
    assert (path / "int8.json").read_text() == learned


def test_the_rounded_model_is_what_the_engine_runs(tiny_mean_folder, texts, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    from ctclassify.calibration import logits
    from ctclassify.torch_model import load_torch_model, torch_config
    from training.quantization import QuantizedModel

    folder = read_model_folder(shutil.copytree(tiny_mean_folder, tmp_path / "model"))
    rows = torch.randint(4, 32, (40, 12), generator=torch.Generator().manual_seed(1))
    batch = (rows, torch.ones_like(rows))
    model = QuantizedModel(load_torch_model(folder.path, torch_config(folder.config)), [batch])
    write_int8_ranges(Int8Ranges(margin=1.0, inputs=model.ranges()), folder)
    with torch.no_grad():
        expected, exact = (model.logits(*batch, is_rounded=each).numpy() for each in (True, False))
    monkeypatch.setattr("ctclassify.engines.openvino_engine._has_bf16", lambda core: False)
    engine = ctclassify.load(folder.path, engine="openvino-int8").engine
    found = logits(engine.probabilities(rows.numpy().astype(np.int32), np.full(40, 12, np.int32)))
    assert np.abs(found - expected).mean() < 0.2 * np.abs(exact - expected).mean()


def test_too_few_sentences_are_refused(tiny_folder, texts, tmp_path, capsys):
    path = shutil.copytree(tiny_folder, tmp_path / "model")
    texts.write_text("".join(texts.read_text().splitlines(keepends=True)[:7]))
    assert quantized(path, texts) == 2
    assert "7 sentences; expected 2,000 or more" in capsys.readouterr().err
    assert not (path / "int8.json").exists()
    with pytest.raises(SystemExit):
        quantized(path, texts, "--steps", "0")
    assert "--steps: expected at least 1, got 0" in capsys.readouterr().err


def test_few_sentences_are_warned_of_and_too_long_ones_are_refused(tiny_mean_folder, texts, tmp_path, capsys):
    from training import quantize

    path = shutil.copytree(tiny_mean_folder, tmp_path / "model")
    assert quantized(path, texts, "--steps", "1") == 0
    assert "sentences, expected 2,000 or more: the ranges may not fit other text" in capsys.readouterr().err
    (path / "int8.json").unlink()
    write_manifest(path, read_model_folder(tiny_mean_folder).manifest)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantize, "_MOST_TOKENS", 2)
        assert quantized(path, texts) == 2
    assert "texts.jsonl: no sentence of at most 2 tokens to learn from" in capsys.readouterr().err
    assert not (path / "int8.json").exists()
