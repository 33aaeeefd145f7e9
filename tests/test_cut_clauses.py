"""Parts of sentences for a teacher."""

from __future__ import annotations

import json

from training import cut_clauses
from training.cut_clauses import parts

TEXT = "Troops stormed the camp before dawn on Monday, killing nine fighters of the banned group, and left."


def test_parts_stand_between_marks_alone_and_with_their_neighbour():
    found = parts(TEXT)
    assert "Killing nine fighters of the banned group." in found
    assert "Dawn on Monday." not in found  # too short
    assert "Dawn on Monday, killing nine fighters of the banned group." in found
    assert all(len(part.split()) >= 5 and len(part) < len(TEXT) for part in found)
    assert parts("Rain fell on the town.") == []


def test_one_part_a_sentence_is_written_and_the_seed_decides(tmp_path):
    soft = tmp_path / "soft.jsonl"
    rows = [{"text": TEXT, "labels": []}, {"text": "Rain fell on the town.", "labels": []}]
    soft.write_text("".join(json.dumps(row) + "\n" for row in rows))
    outputs = [tmp_path / name for name in ("a.jsonl", "b.jsonl")]
    for output in outputs:
        assert cut_clauses.main(["--soft", str(soft), "--output", str(output)]) == 0
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    (row,) = map(json.loads, outputs[0].read_text().splitlines())
    assert row["text"] in parts(TEXT)


def test_a_bad_line_is_named(tmp_path, capsys):
    soft = tmp_path / "soft.jsonl"
    soft.write_text("{\n")
    assert cut_clauses.main(["--soft", str(soft), "--output", str(tmp_path / "out")]) == 2
    assert "line 1: expected an object" in capsys.readouterr().err
