"""Calibrated probabilities read as frequencies; thresholds and review band rest on them."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import ctclassify
from ctclassify.calibration import Calibration, logits
from ctclassify.cli import main
from ctclassify.errors import DataError, LabelError, ModelFolderError
from ctclassify.manifest import Manifest, parse_manifest
from ctclassify.model_folder import read_model_folder, write_manifest
from ctclassify.review import ReviewBand, expected_errors
from training import calibrate
from training.calibration import fit_calibration
from training.config import DecisionConfig
from training.data import LabelledSentences
from training.decision import choose_review_band, decide
from training.evaluation.calibration_methods import METHODS, compare_methods
from training.finite import NotFiniteError
from training.thresholds import tune_for_precision, tune_thresholds

THRESHOLDS = {"attack": 0.5, "casualties": 0.4, "policy": 0.6}
TEXTS = [
    "The bomb killed police in the town.",
    "Rain.",
    "The court and the bill.",
    "Troops raid the group by the river.",
]


def simulated(n: int, *, scale: float, bias: float, seed: int = 3):
    """Return truths of known probability, and the scores of a model whose logits are off by a line."""
    rng = np.random.default_rng(seed)
    true_logits = rng.normal(-1, 2, size=(n, 2))
    y_true = (rng.random((n, 2)) < 1 / (1 + np.exp(-true_logits))).astype(np.int8)
    y_score = (1 / (1 + np.exp(-(true_logits - bias) / scale))).astype(np.float32)
    return y_true, y_score


def test_the_identity_changes_nothing_but_the_ends():
    p = np.array([[0.0, 0.25, 1.0]], dtype=np.float32)
    same = Calibration(scale=(1.0,) * 3, bias=(0.0,) * 3).apply(p)
    np.testing.assert_allclose(same, [[1e-7, 0.25, 1.0]], atol=1e-7)
    assert same.dtype == np.float32
    assert np.isfinite(logits(p)).all()


def test_platt_scaling_finds_the_line_that_was_put_in():
    found = fit_calibration(*simulated(20_000, scale=0.5, bias=0.7), "platt")
    np.testing.assert_allclose(found.scale, [0.5, 0.5], atol=0.03)
    np.testing.assert_allclose(found.bias, [0.7, 0.7], atol=0.06)


def test_a_temperature_is_one_slope_without_bias():
    found = fit_calibration(*simulated(20_000, scale=0.5, bias=0.0), "temperature")
    assert found.bias == (0.0, 0.0)
    assert found.scale[0] == found.scale[1] == pytest.approx(0.5, abs=0.03)


def test_a_label_without_positives_stays_near_the_common_line():
    y_true, y_score = simulated(2_000, scale=0.5, bias=0.7)
    y_true[:, 1] = 0
    found = fit_calibration(y_true, y_score, "platt")
    assert np.isfinite(found.scale + found.bias).all()
    assert found.apply(y_score)[:, 1].mean() < 0.02


@pytest.mark.parametrize("method", ["platt", "temperature"])
def test_few_texts_that_the_model_tells_apart_make_no_steep_line(method):
    y_true = np.array([[1, 0], [0, 1], [0, 0]], dtype=np.int8)
    y_score = np.where(y_true == 1, 0.6, 0.4).astype(np.float32)
    found = fit_calibration(y_true, y_score, method)
    assert max(found.scale) < 3
    assert np.abs(found.bias).max() < 1


def test_probabilities_that_are_no_numbers_are_refused():
    y_true, y_score = simulated(10, scale=1, bias=0)
    y_score[3, 1] = np.nan
    with pytest.raises(NotFiniteError, match=r"1 of 20 probabilities .* lower learning rate"):
        fit_calibration(y_true, y_score, "platt")


def test_no_calibration_and_no_data_are_none():
    y_true, y_score = simulated(10, scale=1, bias=0)
    assert fit_calibration(y_true, y_score, "none") is None
    assert fit_calibration(y_true[:0], y_score[:0], "platt") is None


def test_expected_errors_are_the_expected_hamming_distance():
    p = np.array([[0.9, 0.2], [0.5, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(expected_errors(p, p >= 0.5), [0.1 + 0.2, 0.5], atol=1e-7)
    assert expected_errors(p[:0], p[:0] >= 0.5).shape == (0,)


def test_a_precision_floor_is_kept_on_the_data_it_was_tuned_on():
    y_true, y_score = simulated(5_000, scale=1, bias=0)
    limits = tune_for_precision(y_true, y_score, 0.9)
    predicted = y_score >= limits
    precision = (predicted & (y_true == 1)).sum(0) / predicted.sum(0)
    assert (precision >= 0.9).all()
    assert (limits > tune_thresholds(y_true, y_score)).all()


def test_one_confident_mistake_switches_no_label_off():
    y_true, y_score = simulated(5_000, scale=1, bias=0)
    before = tune_for_precision(y_true, y_score, 0.9)
    worst = np.array([[1.0, 0.0]], dtype=np.float32)  # a false positive above all true ones
    after = tune_for_precision(np.vstack([y_true, [[0, 0]]]).astype(np.int8), np.vstack([y_score, worst]), 0.9)
    assert (np.abs(after - before) < 0.02).all()


@pytest.mark.parametrize("seed", range(20))
def test_a_precision_floor_is_kept_where_positives_are_few(seed):
    rng = np.random.default_rng(seed)
    y_true = (rng.random((60, 3)) < 0.2).astype(np.int8)
    y_score = np.clip(0.5 * y_true + rng.random((60, 3)) * 0.6, 0, 1).astype(np.float32)
    limits = tune_for_precision(y_true, y_score, 0.8)
    predicted = y_score >= limits
    precision = (predicted & (y_true == 1)).sum(0) / np.maximum(predicted.sum(0), 1)
    reached = [
        max((y_true[y_score[:, j] >= x, j].mean() for x in y_score[:, j] if 0.01 <= x <= 0.99), default=0) >= 0.85
        for j in range(3)
    ]
    assert any(reached)
    assert all(p >= 0.8 or x == 0.99 for p, x in zip(precision, limits, strict=True))
    assert all(x < 0.99 for x, is_reached in zip(limits, reached, strict=True) if is_reached)


def test_a_precision_that_is_never_reached_gives_the_highest_threshold():
    y_true = np.zeros((50, 2), dtype=np.int8)
    limits = tune_for_precision(y_true, np.full((50, 2), 0.999, dtype=np.float32), 0.9)
    np.testing.assert_array_equal(limits, [0.99, 0.99])


def test_recall_weighs_more_with_a_larger_beta():
    y_true, y_score = simulated(5_000, scale=1, bias=0)
    low, high = (tune_thresholds(y_true, y_score, beta=beta) for beta in (2.0, 0.5))
    assert (low < high).all()


def test_the_review_band_is_the_smallest_that_reaches_its_precision():
    probabilities = np.array([[0.99], [0.9], [0.8], [0.6], [0.55]], dtype=np.float32)
    y_true = np.array([[1], [1], [1], [0], [1]], dtype=np.int8)
    band = choose_review_band(y_true, probabilities, probabilities >= 0.5, 0.9)
    assert band.share == 0.4  # 3 of 3 right without the last two; 3 of 4 and 4 of 5 fall short
    assert 0.2 <= band.limit < 0.4
    assert choose_review_band(y_true, probabilities, probabilities >= 0.5, 0.8).share == 0.0
    assert choose_review_band(1 - y_true, probabilities, probabilities >= 0.5, 0.9) is None


def test_sentences_without_any_label_are_no_band():
    probabilities = np.array([[0.1], [0.2], [0.6]], dtype=np.float32)
    assert choose_review_band(np.zeros((3, 1), dtype=np.int8), probabilities, probabilities >= 0.5, 0.9) is None


def test_a_band_needs_calibrated_probabilities():
    with pytest.raises(ValueError, match="calibration none has no review band"):
        DecisionConfig(calibration="none")
    assert DecisionConfig(calibration="none", review_precision=False)


def test_a_steep_line_does_not_overflow():
    steep = Calibration(scale=(1e6,), bias=(0.0,)).apply(np.array([[0.1], [0.9]], dtype=np.float32))
    np.testing.assert_array_equal(steep, [[0.0], [1.0]])


def test_texts_that_are_equally_certain_are_reviewed_together():
    probabilities = np.array([[0.9], [0.6], [0.6]], dtype=np.float32)
    band = choose_review_band(np.array([[1], [1], [0]], dtype=np.int8), probabilities, probabilities >= 0.5, 0.95)
    assert band.share == pytest.approx(2 / 3, abs=1e-4)


def test_a_decision_holds_every_set_and_uses_the_objective():
    y_true, y_score = simulated(2_000, scale=0.5, bias=0.7)
    how = DecisionConfig(objective="precision-0.9", precision_floors=(0.9,), review_precision=0.95)
    manifest = decide(y_true, y_score, ["attack", "policy"], how, max_tokens=64)
    assert set(manifest.threshold_sets) == {"f1", "f0.5", "f2", "precision-0.9"}
    assert manifest.thresholds == manifest.threshold_sets["precision-0.9"]
    assert manifest.review.target_precision == 0.95
    assert manifest.max_tokens == 64


@pytest.mark.parametrize("objective", ["precision-0.7", "f3", "accuracy"])
def test_an_objective_that_is_not_tuned_is_refused(objective):
    with pytest.raises(ValueError, match="objective"):
        DecisionConfig(objective=objective)


@pytest.fixture
def folder(tiny_folder, tmp_path):
    """A tiny model folder with everything a manifest may hold."""
    path = shutil.copytree(tiny_folder, tmp_path / "model")
    manifest = Manifest(
        thresholds=THRESHOLDS,
        threshold_sets={"f1": THRESHOLDS, "f2": dict.fromkeys(THRESHOLDS, 0.01)},
        max_tokens=32,
        calibration=Calibration(scale=(0.5, 0.7, 0.9), bias=(0.3, -0.2, 0.0)),
        review=ReviewBand(limit=1.0, target_precision=0.9, share=0.25),
    )
    write_manifest(path, manifest)
    return path


def test_a_manifest_survives_the_way_to_disk_and_back(folder):
    read = read_model_folder(folder).manifest
    stored = json.loads((folder / "ctclassify.json").read_text())
    assert parse_manifest(stored, list(THRESHOLDS), folder) == read
    assert read.calibration.scale == (0.5, 0.7, 0.9)
    assert read.review == ReviewBand(limit=1.0, target_precision=0.9, share=0.25)


def test_a_folder_of_the_first_format_is_read_as_it_was(folder, tiny):
    path = folder / "ctclassify.json"
    stored = json.loads(path.read_text())
    old = {key: stored[key] for key in ("max_tokens", "thresholds", "sha256")}
    path.write_text(json.dumps({"format_version": 1, **old}))
    clf = ctclassify.load(folder, engine="openvino-fp32")
    np.testing.assert_array_equal(clf.predict_proba(TEXTS), tiny.predict_proba(TEXTS))
    assert clf.threshold_sets == {}
    assert not any(sentence.needs_review for sentence in clf.predict_article("Rain. The bomb.").sentences)


def test_probabilities_are_calibrated_and_blank_texts_stay_zero(folder, tiny):
    clf = ctclassify.load(folder, engine="openvino-fp32")
    raw = tiny.predict_proba(TEXTS)
    np.testing.assert_allclose(clf.predict_proba(TEXTS), clf.folder.calibration.apply(raw), atol=1e-6)
    assert (clf.predict_proba([" "]) == 0).all()


def test_sentences_say_how_sure_the_model_is(folder):
    clf = ctclassify.load(folder, engine="openvino-fp32")
    article = clf.predict_article(" ".join(TEXTS))
    scores = clf.predict_proba([sentence.text for sentence in article.sentences])
    np.testing.assert_allclose([s.expected_errors for s in article.sentences], clf.expected_errors(scores), atol=1e-5)
    assert [s.needs_review for s in article.sentences] == clf.needs_review(scores).tolist()
    assert set(clf.needs_review(scores).tolist()) == {True, False}


def test_a_set_of_thresholds_is_taken_by_name(folder):
    clf = ctclassify.load(folder, engine="openvino-fp32")
    assert clf.predict(TEXTS, thresholds="f2") == clf.predict(TEXTS, thresholds=0.01)
    with pytest.raises(LabelError, match="no set of thresholds named 'f9'; its sets: f1, f2"):
        clf.predict(TEXTS, thresholds="f9")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold_sets": []}, "threshold_sets is"),
        ({"threshold_sets": {"f2": {"attack": 0.5}}}, r"threshold_sets\.f2 must name each of the labels"),
        ({"threshold_sets": {"f2": {**THRESHOLDS, "policy": 2}}}, r"threshold_sets\.f2 of policy is 2"),
        ({"calibration": 3}, "calibration is 3"),
        ({"calibration": {"scale": THRESHOLDS}}, r"calibration\.bias must name each"),
        (
            {"calibration": {"scale": {**THRESHOLDS, "attack": 0}, "bias": THRESHOLDS}},
            "calibration of attack is scale 0",
        ),
        ({"review": {"limit": -1, "target_precision": 0.9, "share": 0.1}}, "review is"),
        ({"review": "all"}, "review is 'all'"),
    ],
)
def test_a_manifest_with_a_bad_part_is_refused(folder, change, message):
    path = folder / "ctclassify.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelFolderError, match=message):
        read_model_folder(folder)


def test_the_command_line_selects_what_needs_review(folder, tmp_path, capsys):
    article = tmp_path / "a.txt"
    article.write_text(" ".join(TEXTS))
    arguments = ["tag", "--model", str(folder), "--engine", "openvino-fp32", "--format", "jsonl", str(article)]
    assert main([*arguments, "--only-review"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows
    assert all(row["needs_review"] and row["expected_errors"] > 1.0 for row in rows)
    assert main([*arguments, "--thresholds", "f2"]) == 0
    assert all(row["labels"] for row in map(json.loads, capsys.readouterr().out.splitlines()))
    assert main([*arguments, "--thresholds", "f2", "--min-probability", "0.1"]) == 2
    assert main([*arguments, "--thresholds", "nothing"]) == 2
    assert "its sets: f1, f2" in capsys.readouterr().err


def test_a_model_without_a_band_cannot_select_what_needs_review(tiny_folder, tmp_path, capsys):
    article = tmp_path / "a.txt"
    article.write_text("Rain.")
    assert main(["tag", "--model", str(tiny_folder), "--only-review", str(article)]) == 2
    assert "this model has no review band" in capsys.readouterr().err


@pytest.fixture
def labelled(tmp_path):
    """A file of labelled sentences."""
    path = tmp_path / "validation.jsonl"
    rows = [("The bomb killed police.", ["attack"]), ("Rain.", []), ("The court and the bill.", ["policy"])]
    path.write_text("".join(json.dumps({"text": text, "labels": labels}) + "\n" for text, labels in rows * 20))
    return path


def test_calibrating_anew_leaves_the_weights_and_starts_from_raw_probabilities(folder, labelled, tmp_path, capsys):
    copy = tmp_path / "copy"
    arguments = ["--model", str(folder), "--data", str(labelled), "--engine", "openvino-fp32"]
    assert calibrate.main([*arguments, "--output", str(copy), "--review-precision", "0"]) == 0
    assert "attack" in capsys.readouterr().out
    once = (copy / "ctclassify.json").read_bytes()
    assert calibrate.main(["--model", str(copy), *arguments[2:], "--review-precision", "0"]) == 0
    assert (copy / "ctclassify.json").read_bytes() == once
    assert (copy / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert ctclassify.load(copy, engine="openvino-fp32").folder.review is None


def test_floors_alone_are_chosen_anew(folder, labelled, tmp_path):
    copy = tmp_path / "copy"
    arguments = ["--model", str(folder), "--data", str(labelled), "--engine", "openvino-fp32", "--output", str(copy)]
    assert calibrate.main([*arguments, "--only-floors", "--precision-floors", "0.7"]) == 0
    before, after = (json.loads((path / "ctclassify.json").read_text()) for path in (folder, copy))
    assert set(after["threshold_sets"].pop("precision-0.7")) == set(before["thresholds"])
    assert after == before
    assert calibrate.main([*arguments[:-1], str(tmp_path / "none"), "--only-floors", "--precision-floors"]) == 2


def test_floors_alone_take_no_option_that_they_do_not_heed(folder, labelled, capsys):
    arguments = ["--model", str(folder), "--data", str(labelled), "--only-floors"]
    assert calibrate.main([*arguments, "--objective", "f2", "--review-precision", "0.8"]) == 2
    assert "leave out --objective, --review-precision, or --only-floors" in capsys.readouterr().err
    assert calibrate.main([*arguments, "--compare"]) == 2
    assert "leave out --compare" in capsys.readouterr().err


def test_ways_of_calibrating_are_compared_and_nothing_is_written(folder, labelled, capsys):
    before = (folder / "ctclassify.json").read_bytes()
    assert calibrate.main(["--model", str(folder), "--data", str(labelled), "--compare"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(METHODS)
    assert (folder / "ctclassify.json").read_bytes() == before


def test_the_right_way_of_calibrating_has_the_least_log_loss():
    y_true, y_score = simulated(4_000, scale=0.5, bias=0.7)
    names = ("attack", "policy")
    labels = tuple(tuple(n for n, y in zip(names, row, strict=True) if y) for row in y_true)
    texts = tuple(map(str, range(4_000)))
    found = compare_methods(LabelledSentences(texts=texts, labels=labels, documents=texts), y_score, names)
    assert min(found, key=lambda method: found[method]["log_loss"]) == "platt"
    assert found["platt"]["ece"] < 0.02 < found["none"]["ece"]


def test_what_is_chosen_is_chosen_on_what_decides_near_a_threshold(folder, labelled):
    exact, rounded = (
        calibrate.choose(folder, [labelled], DecisionConfig(), engine=f"openvino-{precision}")
        for precision in ("fp32", "int8")
    )
    assert rounded.thresholds == pytest.approx(exact.thresholds, abs=1e-5)
    assert rounded.calibration.bias == pytest.approx(exact.calibration.bias, abs=1e-4)


def test_calibrating_refuses_what_it_cannot_do(folder, labelled, tmp_path, capsys):
    arguments = ["--model", str(folder), "--data", str(labelled), "--engine", "openvino-fp32"]
    assert calibrate.main([*arguments, "--output", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert calibrate.main(["--model", str(folder), "--data", str(labelled), str(labelled)]) == 2
    assert "validation.jsonl: given twice" in capsys.readouterr().err
    assert calibrate.main([*arguments, "--objective", "f7"]) == 2
    assert "objective" in capsys.readouterr().err
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(DataError, match="no sentence to calibrate on"):
        calibrate.choose(folder, [tmp_path / "empty.jsonl"], DecisionConfig())


def test_labels_without_positives_are_named_and_data_without_any_is_refused(folder, labelled, tmp_path, capsys):
    arguments = ["--model", str(folder), "--engine", "openvino-fp32", "--output", str(tmp_path / "out"), "--data"]
    assert calibrate.main([*arguments, str(labelled)]) == 0
    assert "warning: no positive in the validation data of casualties: " in capsys.readouterr().err
    none = tmp_path / "none.jsonl"
    none.write_text('{"text": "Rain.", "labels": []}\n')
    assert calibrate.main([*arguments[:-2], str(tmp_path / "other"), "--data", str(none)]) == 2
    assert "none.jsonl: no sentence has a label" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_a_comparison_of_fewer_documents_than_folds_is_refused(folder, labelled, capsys):
    labelled.write_text("".join(labelled.read_text().splitlines(keepends=True)[:4]))
    assert calibrate.main(["--model", str(folder), "--data", str(labelled), "--compare"]) == 2
    assert "4 documents do not fill 5 folds" in capsys.readouterr().err


def test_borders_are_where_calibrated_probabilities_meet_the_thresholds():
    calibration = Calibration(scale=(0.5, 2.0), bias=(0.3, -1.0))
    borders = calibration.borders((0.2, 0.7))
    at_border = (1 / (1 + np.exp(-borders)))[None].astype(np.float32)
    np.testing.assert_allclose(calibration.apply(at_border), [[0.2, 0.7]], atol=1e-6)
