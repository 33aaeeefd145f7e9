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


def test_all_parts_are_written_and_hang_on_no_other_sentence(tmp_path):
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    first.write_text(json.dumps({"text": TEXT, "labels": []}) + "\n")
    second.write_text(json.dumps({"text": f"It rained on the town, {TEXT}", "labels": []}) + "\n" + first.read_text())
    written = []
    for soft in (first, second):
        assert cut_clauses.main(["--soft", str(soft), "--output", str(tmp_path / "out"), "--all"]) == 0
        written.append([json.loads(line)["text"] for line in (tmp_path / "out").read_text().splitlines()])
    assert written[0] == parts(TEXT)
    assert set(written[0]) < set(written[1])
