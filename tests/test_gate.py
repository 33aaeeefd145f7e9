"""The gate lets through what decides alike, and nothing else; ``ctclassify bench`` shows it."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import numpy as np
import pytest

from ctclassify.bench import bench
from ctclassify.cli.main import main
from ctclassify.engines.gate_record import has_passed
from ctclassify.gate import GateResult, gate_sentences, judge
from ctclassify.labels import LABEL_IDS
from ctclassify.model_folder import read_model_folder

THRESHOLDS = {"attack": 0.5, "policy": 0.4}


def case(n: int = 1000) -> tuple[np.ndarray, list[tuple[str, ...]]]:
    """Return probabilities of a perfect model, and the gold labels: a tenth attack, half policy."""
    gold = [tuple(name for name, step in (("attack", 10), ("policy", 2)) if i % step == 0) for i in range(n)]
    return np.array([[0.9 if name in labels else 0.1 for name in THRESHOLDS] for labels in gold], np.float32), gold


def test_the_same_decisions_pass():
    reference, gold = case()
    result = judge(reference + np.float32(0.01), reference, gold, THRESHOLDS)
    assert result.passed
    assert (result.n_changed, result.n_decisions, result.f1_changes) == (0, 2000, {"attack": 0.0, "policy": 0.0})
    assert result.max_difference == pytest.approx(0.01, abs=1e-6)


@pytest.mark.parametrize(("n_changed", "passed"), [(1, True), (2, True), (3, False)])
def test_more_than_one_decision_in_a_thousand_fails(n_changed, passed):
    reference, gold = case()
    scores = reference.copy()
    scores[1 : 1 + 2 * n_changed : 2, 1] = 0.9  # of 500 policy sentences: F1 moves by 0.1 points a decision
    result = judge(scores, reference, gold, THRESHOLDS)
    assert result.n_changed == n_changed
    assert result.f1_changes["policy"] == pytest.approx(-n_changed / (1000 + n_changed))
    assert result.passed is passed


def test_two_decisions_of_a_rare_label_fail_though_one_passes():
    reference, gold = case()
    scores = reference.copy()
    scores[0, 0] = 0.1
    one = judge(scores, reference, gold, THRESHOLDS)
    assert abs(one.f1_changes["attack"]) > 0.003
    assert one.one_decision["attack"] == pytest.approx(abs(one.f1_changes["attack"]))
    assert one.passed
    scores[10, 0] = 0.1
    two = judge(scores, reference, gold, THRESHOLDS)
    assert two.n_changed <= 0.001 * two.n_decisions
    assert not two.passed
    assert two.worst_label == "attack"


def test_labels_without_gold_are_judged_by_their_decisions_alone():
    reference, gold = case()
    result = judge(reference, reference, gold, {"court": 0.5, "bill": 0.5})
    assert result.f1_changes == {}
    assert result.worst_label is None
    assert result.passed


def test_no_sentences_pass_nothing_changed():
    result = judge(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32), [], THRESHOLDS)
    assert result == GateResult(n_decisions=0, n_changed=0, f1_changes={}, one_decision={}, max_difference=0.0)


def test_the_bundled_sentences_hold_every_label_and_no_sentence_twice():
    sentences = gate_sentences()
    counts = Counter(name for labels in sentences.labels for name in labels)
    assert set(counts) == set(LABEL_IDS)
    assert min(counts.values()) >= 40
    assert len(set(sentences.texts)) == len(sentences.texts) == len(sentences.labels)
    assert () in sentences.labels


@pytest.fixture
def few_sentences(monkeypatch):
    whole = gate_sentences()
    few = type(whole)(texts=whole.texts[:20], labels=whole.labels[:20])
    monkeypatch.setattr("ctclassify.bench.gate_sentences", lambda: few)


def test_bench_measures_every_engine_and_says_why_one_cannot_run(tiny_folder, few_sentences):
    rows = {row.engine: row for row in bench(tiny_folder, rounds=1)}
    assert [name for name, row in rows.items() if row.is_reference] == ["torch-cpu"]
    assert sum(row.is_default for row in rows.values()) == 1
    assert rows["openvino-fp32"].gate.passed
    assert rows["openvino-fp32"].sentences_per_s > 0
    assert all(bool(row.reason) == (row.gate is None) for row in rows.values())


def test_bench_without_torch_compares_with_openvino(tiny_folder, few_sentences, monkeypatch):
    monkeypatch.setattr("ctclassify.bench.find_spec", lambda name: None)
    rows = {row.engine: row for row in bench(tiny_folder, rounds=1)}
    assert rows["openvino-fp32"].is_reference


def test_bench_records_what_passed(tiny_folder, few_sentences, tmp_path, capsys):
    path = shutil.copytree(tiny_folder, tmp_path / "model")
    assert main(["bench", "--model", str(path), "--rounds", "1", "--record", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    passed = {row["engine"] for row in report["engines"] if row["gate"] and row["gate"]["passed"]}
    assert "openvino-fp32" in passed
    folder = read_model_folder(path)
    assert all(has_passed(row["engine"], folder) == (row["engine"] in passed) for row in report["engines"])


def test_bench_prints_a_table(tiny_folder, few_sentences, capsys):
    assert main(["bench", "--model", str(tiny_folder), "--rounds", "1"]) == 0
    out = capsys.readouterr().out
    assert "openvino-fp32" in out
    assert "reference" in out
