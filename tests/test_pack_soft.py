"""A teacher's probabilities survive without their sentences."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.conftest import LABELS
from training import pack_soft
from training.distillation import read_soft_labels

ROWS = [("A bomb.", (0.9, 0.25, 0.001)), ("Rain.", (0.0, 0.5, 1.0))]


@pytest.fixture
def soft(tmp_path):
    """A file of soft labels."""
    path = tmp_path / "soft.jsonl"
    rows = [{"text": text, "probabilities": dict(zip(LABELS, values, strict=True))} for text, values in ROWS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def pack(soft, tmp_path):
    """Pack the file."""
    packed = tmp_path / "soft.safetensors"
    assert pack_soft.main(["pack", "--soft", str(soft), "--label-names", *LABELS, "--output", str(packed)]) == 0
    return packed


def test_probabilities_come_back_to_the_texts_that_are_there(soft, tmp_path, capsys):
    packed = pack(soft, tmp_path)
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"text": "Rain. Something new."}\n{"text": "A bomb.", "labels": []}\n{"text": "Rain."}\n')
    output = tmp_path / "again.jsonl"
    assert pack_soft.main(["unpack", "--packed", str(packed), "--text", str(texts), "--output", str(output)]) == 0
    assert "2 of 2 sentences found" in capsys.readouterr().out
    again = read_soft_labels([output], LABELS)
    assert again.texts == ("Rain.", "A bomb.")
    expected = np.array([values for _, values in reversed(ROWS)])
    np.testing.assert_allclose(again.probabilities, expected, atol=0.008)


def test_the_packed_file_holds_no_text(soft, tmp_path):
    raw = pack(soft, tmp_path).read_bytes()
    assert b"bomb" not in raw
    assert b"Rain" not in raw


@pytest.mark.parametrize("content", ["text", "other"])
def test_another_file_is_refused(tmp_path, capsys, content):
    packed = tmp_path / "x.safetensors"
    if content == "text":
        packed.write_text("nothing")
    else:
        metadata = {"label_names": '["attack"]'}
        save_file({"key": np.zeros((2, 8), np.uint8), "logit": np.zeros((3, 1), np.int8)}, packed, metadata=metadata)
    texts = tmp_path / "texts.jsonl"
    texts.write_text("")
    arguments = ["unpack", "--packed", str(packed), "--text", str(texts), "--output", str(tmp_path / "out")]
    assert pack_soft.main(arguments) == 2
    assert "x.safetensors" in capsys.readouterr().err
