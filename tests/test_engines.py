"""Every engine agrees with the torch reference; engines that cannot run say why."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest

import ctclassify
from ctclassify.engines import cpus, openvino_engine
from ctclassify.engines.gate_record import has_passed, record_passed
from ctclassify.engines.openvino_engine import choose_precision
from ctclassify.errors import EngineError, ModelFolderError
from ctclassify.manifest import Manifest
from ctclassify.model_folder import read_model_folder, write_manifest
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


FORKED = """
import os, sys
import ctclassify

classifier = ctclassify.load(engine="torch-cpu")
texts = ["Troops raided the town on day %d." % n for n in range(40)]
expected = classifier.predict(texts)
if (child := os.fork()) == 0:
    os._exit(0 if classifier.predict(texts) == expected else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.model
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_the_torch_engine_runs_in_a_forked_process():
    process = subprocess.Popen([sys.executable, "-c", FORKED], start_new_session=True)
    try:
        assert process.wait(timeout=90) == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


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


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Cgroup files and affinity of an invented machine of 8 CPUs."""
    monkeypatch.setattr(cpus, "_CGROUPS", tmp_path)
    monkeypatch.setattr(cpus, "_OWN_CGROUP", tmp_path / "own")
    monkeypatch.setattr(cpus.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("quota", "affinity", "expected"),
    [("max 100000", 8, 8), ("150000 100000", 8, 2), ("50000 100000", 8, 1), ("800000 100000", 3, 3), (None, 4, 4)],
)
def test_cpus_are_those_that_affinity_and_quota_leave(quota, affinity, expected, machine, monkeypatch):
    if quota is not None:
        (machine / "cpu.max").write_text(quota)
    monkeypatch.setattr(cpus.os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
    assert cpus.available_cpus() == expected


def test_a_quota_of_the_processs_own_cgroup_or_one_above_it_counts(machine):
    (machine / "own").write_text("0::/slice/job\n")
    (machine / "slice" / "job").mkdir(parents=True)
    (machine / "slice" / "job" / "cpu.max").write_text("max 100000")
    assert cpus.available_cpus() == 8
    (machine / "slice" / "cpu.max").write_text("300000 100000")
    assert cpus.available_cpus() == 3


def test_quotas_of_cgroup_version_1_count(machine):
    (machine / "own").write_text("5:memory:/m\n4:cpu,cpuacct:/job\n")
    (machine / "cpu" / "job").mkdir(parents=True)
    (machine / "cpu" / "job" / "cpu.cfs_period_us").write_text("100000\n")
    for quota, expected in (("-1\n", 8), ("200000\n", 2)):
        (machine / "cpu" / "job" / "cpu.cfs_quota_us").write_text(quota)
        assert cpus.available_cpus() == expected


@pytest.mark.parametrize(("value", "expected"), [("3", 3), ("2,4", 2), ("99", 8), ("0", 8), ("many", 8), ("", 8)])
def test_the_share_that_a_framework_gives_a_worker_counts(value, expected, machine, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert cpus.available_cpus() == expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("flags : sse2 avx512_vnni", True), ("flags : avx_vnni", True), ("flags : sse2 avx2", False), ("", False)],
)
def test_vnni_is_read_from_the_processors_flags(flags, expected, tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{flags}\n")
    monkeypatch.setattr(cpus, "_CPUINFO", tmp_path / "cpuinfo")
    assert cpus.has_vnni() is expected


@pytest.mark.parametrize(
    ("has_bf16", "has_int8", "expected"), [(True, True, "bf16"), (False, True, "int8"), (False, False, "fp32")]
)
def test_auto_takes_what_the_processor_is_good_at(has_bf16, has_int8, expected):
    assert choose_precision("auto", has_bf16=has_bf16, has_int8=has_int8) == expected
    assert choose_precision("int8", has_bf16=has_bf16, has_int8=has_int8) == "int8"


def test_int8_is_near_float32_and_not_the_same(tiny_folder, tiny):
    classifier = ctclassify.load(tiny_folder, engine="openvino-int8")
    assert classifier.info()["precision"] == "int8"
    difference = np.abs(classifier.predict_proba(TEXTS) - tiny.predict_proba(TEXTS)).max()
    assert 0 < difference < 0.1


@pytest.fixture
def recorded(tiny_folder, tmp_path):
    folder = read_model_folder(shutil.copytree(tiny_folder, tmp_path / "model"))
    record_passed(["openvino-int8"], folder)
    return folder


def test_a_record_of_the_gate_holds_for_its_weights_alone(recorded):
    assert has_passed("openvino-int8", recorded)
    assert not has_passed("openvino-bf16", recorded)
    other = dataclasses.replace(recorded, checksums=recorded.checksums | {"model.safetensors": "f" * 64})
    assert not has_passed("openvino-int8", other)


def test_without_a_record_nothing_passed(tiny_folder):
    assert not has_passed("openvino-int8", read_model_folder(tiny_folder))


@pytest.mark.parametrize("content", ["{}", "no json", '{"weights_sha256": "0", "passed": 3}', "[]"])
def test_a_spoilt_record_is_named(content, recorded):
    (recorded.path / "gate.json").write_text(content)
    with pytest.raises(ModelFolderError, match=r"is not a record of the gate .*; remove it, or write it anew"):
        has_passed("openvino-int8", recorded)


@pytest.mark.parametrize(("is_recorded", "expected"), [(True, "int8"), (False, "fp32")])
def test_auto_takes_int8_only_where_it_passed_the_gate(is_recorded, expected, recorded, monkeypatch):
    if not is_recorded:
        (recorded.path / "gate.json").unlink()
    monkeypatch.setattr(openvino_engine, "has_vnni", lambda: True)
    monkeypatch.setattr(openvino_engine, "_has_bf16", lambda core: False)
    assert ctclassify.load(recorded.path).info()["precision"] == expected


def test_the_torch_engine_loads_without_a_word_and_leaves_transformers_as_it_was(tiny_folder, capfd):
    from transformers.utils.logging import is_progress_bar_enabled

    before = is_progress_bar_enabled()
    ctclassify.load(tiny_folder, engine="torch-cpu")
    assert capfd.readouterr() == ("", "")
    assert is_progress_bar_enabled() == before
