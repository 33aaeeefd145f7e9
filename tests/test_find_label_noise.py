"""Doubtful training labels are ranked, and read back against the right sentences."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from training import find_label_noise
from training.data import LabelledSentences
from training.find_label_noise import self_confidence, suspects

LABELS = ("attack", "policy")
SENTENCES = LabelledSentences(
    texts=("one", "two", "three"), labels=(("attack",), (), ("attack", "policy")), documents=("a", "a", "b")
)
PROBABILITIES = np.array([[0.9, 0.2], [0.97, 0.1], [0.2, 0.05]])


def test_self_confidence_is_the_probability_of_the_label_as_given():
    confidence = self_confidence(np.array([[1, 0]], dtype=np.int8), np.array([[0.9, 0.2]]))
    np.testing.assert_allclose(confidence, [[0.9, 0.8]])


def test_the_most_doubtful_come_first_with_what_the_model_would_say():
    first, second = suspects(SENTENCES, PROBABILITIES, LABELS)
    assert (first["row"], first["labels"], first["suggested"], first["text"]) == (2, "", "attack", "two")
    assert first["self_confidence"] == pytest.approx(0.03)
    assert (second["row"], second["labels"], second["suggested"]) == (3, "attack|policy", "")
    assert second["doubts"] == "attack 0.20; policy 0.05"
    assert suspects(SENTENCES, PROBABILITIES, LABELS, below=0.01) == []


@pytest.fixture
def files(tmp_path):
    """Training sentences and predictions of them."""
    data, predictions = tmp_path / "train.jsonl", tmp_path / "out-of-fold.jsonl"
    rows = zip(SENTENCES.texts, SENTENCES.labels, PROBABILITIES.tolist(), strict=True)
    with data.open("w") as left, predictions.open("w") as right:
        for text, labels, row in rows:
            left.write(json.dumps({"text": text, "labels": labels}) + "\n")
            values = dict(zip(LABELS, row, strict=True))
            right.write(json.dumps({"document": "d", "fold": 1, "labels": labels, "probabilities": values}) + "\n")
    return data, predictions


def arguments(files, tmp_path) -> list[str]:
    """The command line."""
    data, predictions = files
    start = ["--data", str(data), "--predictions", str(predictions), "--label-names", *LABELS]
    return [*start, "--output", str(tmp_path / "suspects.csv")]


def test_the_list_is_written(files, tmp_path, capsys):
    assert find_label_noise.main(arguments(files, tmp_path)) == 0
    rows = list(csv.DictReader((tmp_path / "suspects.csv").read_text().splitlines()))
    assert [row["row"] for row in rows] == ["2", "3"]
    assert "2 of 3 sentences" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('"labels": []', '"labels": ["policy"]'), "line 2: is not the prediction"),
        (lambda text: "".join(text.splitlines(keepends=True)[:2]), "has 2 predictions for 3 sentences"),
        (lambda text: text.replace('"policy": 0.1', '"other": 0.1'), "line 2: expected an object"),
        (lambda text: text + text, "line 4: is not the prediction"),
    ],
)
def test_predictions_of_other_sentences_are_refused(files, tmp_path, capsys, change, message):
    files[1].write_text(change(files[1].read_text()))
    assert find_label_noise.main(arguments(files, tmp_path)) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("below", ["0", "nan", "0.6", "30"])
def test_a_bound_that_doubts_all_or_nothing_is_refused(below, tmp_path, capsys):
    nowhere = str(tmp_path / "nowhere")
    with pytest.raises(SystemExit):
        find_label_noise.main(["--data", nowhere, "--predictions", nowhere, "--output", nowhere, "--below", below])
    assert "--below: expected a probability up to 0.5" in capsys.readouterr().err
