"""Every engine agrees with the torch reference; engines that cannot run say why."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

import ctclassify
from ctclassify.engines import cpus
from ctclassify.errors import EngineError
from ctclassify.manifest import Manifest
from ctclassify.model_folder import write_manifest
from tests.test_classifier import TEXTS

FOLDERS = ["tiny_folder", "tiny_mean_folder"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_openvino_float32_agrees_with_torch(folder, request):
    path = request.getfixturevalue(folder)
    texts = [*TEXTS, "bomb " * 90]
    reference = ctclassify.load(path, engine="torch-cpu").predict_proba(texts)
    scores = ctclassify.load(path, engine="openvino-fp32").predict_proba(texts)
    assert np.ptp(reference, axis=0).max() > 0.05, "the tiny model must tell texts apart for this test to mean anything"
    np.testing.assert_allclose(scores, reference, atol=1e-5)


def test_poolings_differ(tiny_folder, tiny_mean_folder):
    a, b = (
        ctclassify.load(folder, engine="openvino-fp32").predict_proba(TEXTS)
        for folder in (tiny_folder, tiny_mean_folder)
    )
    assert np.abs(a - b).max() > 0.05


def test_auto_states_engine_and_precision(tiny_folder):
    info = ctclassify.load(tiny_folder).info()
    assert info["engine"] == "openvino"
    assert info["precision"] in {"fp32", "bf16"}
    assert info["device"]


def test_an_unknown_engine_is_refused(tiny_folder):
    with pytest.raises(EngineError, match=r"unknown engine 'tpu'; known engines: auto, openvino"):
        ctclassify.load(tiny_folder, engine="tpu")


def test_cuda_without_a_device_is_refused(tiny_folder):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(EngineError, match="finds no CUDA device"):
        ctclassify.load(tiny_folder, engine="torch-cuda")


def test_another_architecture_is_refused_by_openvino(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["hidden_act"] = "relu"
    (folder / "config.json").write_text(json.dumps(config))
    write_manifest(folder, Manifest(thresholds={"attack": 0.5, "casualties": 0.4, "policy": 0.6}, max_tokens=32))
    with pytest.raises(EngineError, match="this model is BertForSequenceClassification with relu"):
        ctclassify.load(folder, engine="openvino")


def test_predicting_imports_neither_torch_nor_transformers(tiny_folder):
    code = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['transformers'] = sys.modules['sklearn'] = None\n"
        "import ctclassify\n"
        f"print(len(ctclassify.load({str(tiny_folder)!r}).predict(['a bomb', 'rain'])))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "2", done.stderr


def test_importing_the_package_stays_cheap():
    code = "import sys, ctclassify; print([m for m in ('openvino', 'torch', 'rich', 'click') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("quota", "affinity", "expected"),
    [("max 100000", 8, 8), ("150000 100000", 8, 2), ("50000 100000", 8, 1), ("800000 100000", 3, 3), (None, 4, 4)],
)
def test_cpus_are_those_that_affinity_and_quota_leave(quota, affinity, expected, tmp_path, monkeypatch):
    path = tmp_path / "cpu.max"
    if quota is not None:
        path.write_text(quota)
    monkeypatch.setattr(cpus, "_QUOTA", path)
    monkeypatch.setattr(cpus.os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
    assert cpus.available_cpus() == expected
