"""Joining stand-off labels with texts by checksum."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json

import pytest

from ctclassify.labels import LABEL_IDS
from training import prepare_data
from training.files import write_text
from training.prepare_data import candidate_sentences, find_texts

ARTICLE = 'Office of the Spokesperson\nThe envoys met in Doha. "We agreed," he said. The U.S. team left.\n\nRain fell'
SENTENCES = ["The envoys met in Doha.", '"We agreed," he said.', "The U.S. team left.", "Rain fell"]


def checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def standoff(tmp_path, monkeypatch):
    """A stand-off file of four sentences that can be found and one that cannot."""
    path = tmp_path / "standoff.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        columns = ["id", "split", "source", "key", "date", "sha256", "labels", "annotator_a", "annotator_b"]
        writer.writerow([*columns, "labels_before", "reason"])
        for i, text in enumerate([*SENTENCES, "Nowhere to be found."]):
            split = "train" if i != 1 else "test"
            writer.writerow(
                [
                    *(f"x{i}", split, "wcep", f"{split}#{i}", "2020-01-01", checksum(text), "attack|threat"),
                    *("threat", "", "policy" if i == 2 else "", "E1" if i == 2 else ""),
                ]
            )
    monkeypatch.setattr(prepare_data, "STANDOFF", path)
    return path


def test_every_sentence_is_a_candidate():
    assert set(SENTENCES) <= set(candidate_sentences(ARTICLE))


def test_sentences_are_found_in_gzip_and_plain_files(tmp_path):
    with gzip.open(tmp_path / "a.jsonl.gz", "wt") as file:
        file.write(json.dumps({"text": ARTICLE}) + "\n")
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": "A sentence."}) + "\n")
    wanted = {checksum(text) for text in [*SENTENCES, "A sentence.", "absent"]}
    found = find_texts([tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl"], wanted)
    assert sorted(found.values()) == sorted([*SENTENCES, "A sentence."])


def test_joined_rows_are_written_and_missing_ones_listed(standoff, tmp_path, capsys):
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "a.jsonl").write_text(json.dumps({"text": ARTICLE}) + "\n")
    out = tmp_path / "out"
    assert prepare_data.main(["--text", str(texts), "--output", str(out)]) == 0
    train = [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()]
    assert [row["text"] for row in train] == [SENTENCES[0], *SENTENCES[2:]]
    assert train[0]["labels"] == ["attack", "threat"]
    (test,) = [json.loads(line) for line in (out / "test.jsonl").read_text().splitlines()]
    assert (test["annotator_a"], test["annotator_b"]) == (["threat"], [])
    assert [row["id"] for row in csv.DictReader((out / "missing.csv").read_text().splitlines())] == ["x4"]
    assert "4 of 5 sentences" in capsys.readouterr().out


def test_mends_can_be_left_out(standoff, tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": ARTICLE}) + "\n")
    for options, expected in (([], "attack"), (["--as-annotated"], "policy")):
        out = tmp_path / f"out{len(options)}"
        prepare_data.main(["--text", str(tmp_path / "a.jsonl"), "--output", str(out), *options])
        rows = {row["id"]: row for row in map(json.loads, (out / "train.jsonl").read_text().splitlines())}
        assert rows["x2"]["labels"][0] == expected
        assert rows["x0"]["labels"] == ["attack", "threat"]


def test_training_rows_of_a_test_document_are_left_out(standoff, tmp_path, capsys):
    standoff.write_text(standoff.read_text().replace("train#2", "test#2"))
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": ARTICLE}) + "\n")
    assert prepare_data.main(["--text", str(tmp_path / "a.jsonl"), "--output", str(tmp_path / "out")]) == 0
    assert "x2" not in (tmp_path / "out" / "train.jsonl").read_text()
    assert "1 training rows left out" in capsys.readouterr().out


def test_strict_fails_where_anything_is_missing(standoff, tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": ARTICLE}) + "\n")
    arguments = ["--text", str(tmp_path / "a.jsonl"), "--output", str(tmp_path / "out"), "--strict"]
    assert prepare_data.main(arguments) == 1


def test_nothing_found_leaves_what_was_written(standoff, tmp_path, capsys):
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": ARTICLE}) + "\n")
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": "Something else."}) + "\n")
    out = tmp_path / "out"
    assert prepare_data.main(["--text", str(tmp_path / "a.jsonl"), "--output", str(out)]) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert sorted(before) == ["missing.csv", "test.jsonl", "train.jsonl", "validation.jsonl"]
    assert prepare_data.main(["--text", str(tmp_path / "b.jsonl"), "--output", str(out)]) == 1
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert "none of the 5 sentences is in the texts; nothing written" in capsys.readouterr().err


def test_a_stop_while_writing_leaves_the_former_file(tmp_path, monkeypatch):
    path = tmp_path / "train.jsonl"
    write_text(path, "former\n")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "a" * 100_000 + "\ud800")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("train.jsonl", "former\n")]


def test_blank_lines_are_passed_over(tmp_path):
    (tmp_path / "a.jsonl").write_text("\n" + json.dumps({"text": ARTICLE}) + "\n  \n")
    assert list(find_texts([tmp_path / "a.jsonl"], {checksum(SENTENCES[0])}).values()) == [SENTENCES[0]]


@pytest.mark.parametrize("kind", ["not gzip", "cut short", "damaged"])
def test_a_bad_gzip_file_is_named(standoff, tmp_path, capsys, kind):
    whole = gzip.compress(json.dumps({"text": ARTICLE}).encode())
    content = {"not gzip": b"{}\n", "cut short": whole[:-12], "damaged": whole[:20] + b"\xff" * 40 + whole[60:]}[kind]
    (tmp_path / "a.jsonl.gz").write_bytes(content)
    assert prepare_data.main(["--text", str(tmp_path / "a.jsonl.gz"), "--output", str(tmp_path / "out")]) == 2
    assert "a.jsonl.gz, line 1: cannot be read: " in capsys.readouterr().err


def test_text_that_is_not_utf8_is_named(standoff, tmp_path, capsys):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "x"}\n{"text": "caf\xe9"}\n')
    assert prepare_data.main(["--text", str(tmp_path / "a.jsonl"), "--output", str(tmp_path / "out")]) == 2
    assert "a.jsonl, line 2: not UTF-8" in capsys.readouterr().err


def test_a_long_text_takes_time_in_proportion():
    text = "Rain fell in town. " * 20_000
    assert sum(1 for _ in candidate_sentences(text)) < 20_000 * 40


@pytest.mark.parametrize("line", ["{", "[1]", '{"body": "x"}', '{"text": null}'])
def test_a_bad_line_is_named(standoff, tmp_path, capsys, line):
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "x"}) + "\n" + line + "\n")
    assert prepare_data.main(["--text", str(tmp_path / "a.jsonl"), "--output", str(tmp_path / "out")]) == 2
    assert 'a.jsonl, line 2: expected a JSON object with "text"' in capsys.readouterr().err


def test_a_missing_folder_is_an_error(standoff, tmp_path, capsys):
    assert prepare_data.main(["--text", str(tmp_path / "absent"), "--output", str(tmp_path / "out")]) == 2
    assert "absent" in capsys.readouterr().err


def test_the_shipped_stand_off_file_is_whole():
    rows = prepare_data.read_standoff(prepare_data.DATA / "corpus" / "standoff.csv")
    assert len(rows) == 38_102
    assert {row["split"] for row in rows} == set(prepare_data.SPLITS)
    assert len({row["id"] for row in rows}) == len(rows)
    assert all(len(row["sha256"]) == 64 for row in rows)
    mended = [row for row in rows if row["reason"]]
    assert all(row["split"] == "train" and row["labels"] != row["labels_before"] for row in mended)
    assert not any(row["labels_before"] for row in rows if not row["reason"])
    assert {name for row in rows for name in row["labels"].split("|") if name} == set(LABEL_IDS)
