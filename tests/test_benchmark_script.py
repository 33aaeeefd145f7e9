"""``scripts/benchmark.py``: contenders answer from their own processes; FLOP, F1 and agreement are counted right."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ctclassify.model_folder import read_model_folder
from tests.conftest import LABELS

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def benchmark_script(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts"), *sys.path])
    import benchmark as script

    return script


def test_a_contender_scores_in_a_process_of_its_own(benchmark_script, tiny_folder, tiny, tmp_path):
    texts = ["a bomb", "the rain in the town", "police raid"]
    task = {"model": str(tiny_folder), "texts": texts, "article": texts, "label_names": LABELS, "n_labels": 3}
    (tmp_path / "task.json").write_text(json.dumps({**task, "n_threads": 1, "scratch": str(tmp_path)}))
    worker = benchmark_script.Worker("ctclassify fp32", tmp_path / "task.json", 1)
    assert worker.cold_start_s > 0
    assert worker.ask("round")["seconds"] > 0
    assert worker.ask("finish")["peak_mib"] > 10
    worker.close()
    number = list(benchmark_script.CONTENDERS).index("ctclassify fp32")
    np.testing.assert_allclose(np.load(tmp_path / f"{number}.npy"), tiny.predict_proba(texts), atol=1e-6)


def test_a_contender_that_fails_says_why(benchmark_script, tmp_path):
    (tmp_path / "task.json").write_text(json.dumps({"model": str(tmp_path / "nowhere"), "texts": []}))
    with pytest.raises(RuntimeError, match="nowhere is not a folder"):
        benchmark_script.Worker("ctclassify fp32", tmp_path / "task.json", 1)


def test_operations_are_those_of_the_matrix_products(benchmark_script, tiny_folder):
    # 2 layers, width 16, inner 32; "a bomb" is 4 tokens with its two special ones.
    linear = 2 * (4 * 16 * 16 + 2 * 16 * 32) * 4
    attention = 2 * 2 * 16 * 4 * 4  # scores and context, a multiplication and an addition each
    assert benchmark_script._flop(read_model_folder(tiny_folder), ["a bomb"]) == 2 * (linear + attention)


def test_f1_and_changed_decisions(benchmark_script, tiny_folder):
    truth = np.array([[1, 0, 0], [1, 1, 0]], dtype=bool)
    reference = np.where(truth, 0.9, 0.1).astype(np.float32)
    changed = reference.copy()
    changed[1, 1] = 0.1
    smaller = benchmark_script._SMALLER
    rows = {benchmark_script._REFERENCE: {}, "ctclassify": {}, benchmark_script.TRAINED[0]: {}, smaller: {}}
    scores = dict(zip(rows, (reference, changed, reference, reference), strict=True))
    folder = read_model_folder(tiny_folder)
    stricter = replace(folder, manifest=replace(folder.manifest, thresholds=dict.fromkeys(folder.label_names, 0.95)))
    benchmark_script._judge(rows, scores, folder, stricter, truth)
    assert rows["ctclassify"] == {
        "micro_f1": pytest.approx(2 * 2 / (3 + 2)),
        "macro_f1": pytest.approx(0.5),
        "n_decisions": 6,
        "n_changed": 1,
    }
    assert rows[benchmark_script._REFERENCE]["micro_f1"] == 1
    assert rows[benchmark_script.TRAINED[0]]["n_changed"] is None
    assert rows[smaller]["n_changed"] == 3  # by its own thresholds
