"""What a user of a messy corpus gets wrong is told before the work, and by what mends it."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ctclassify
from ctclassify.cli import main
from ctclassify.errors import CorpusError, RunFolderError
from tests.corpus_stub import StubClassifier


def run(source, out, **options):
    return ctclassify.tag_corpus(source, out, **{"classifier": StubClassifier(), "output_format": "jsonl", **options})


def lines(n: int) -> str:
    rows = ({"id": i, "text": f"The court met on day {i}. Rain fell."} for i in range(n))
    return "".join(json.dumps(row) + "\n" for row in rows)


def rejected(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]


@pytest.fixture
def source(tmp_path) -> Path:
    """A file of three articles."""
    path = tmp_path / "in.jsonl"
    path.write_text(lines(3))
    return path


def test_a_missing_library_is_told_before_any_work(source, tmp_path, monkeypatch):
    (tmp_path / "late.html").write_text("<p>A bomb fell.</p>")
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    with pytest.raises(CorpusError, match=r"late\.html: reading HTML needs trafilatura"):
        run([source, tmp_path / "late.html"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "late.csv.zst").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(CorpusError, match=r"late\.csv\.zst: reading it needs pyarrow"):
        run([source, tmp_path / "late.csv.zst"], tmp_path / "out")


def test_a_library_that_the_inputs_do_not_need_is_no_part_of_a_run(source, tmp_path):
    assert set(run(source, tmp_path / "out")["versions"]) == {"ctclassify", "python", "numpy", "tokenizers"}
    assert "pyarrow" in run(source, tmp_path / "arrow", output_format="parquet")["versions"]


@pytest.mark.parametrize("n_lines", [5, 90, 250])
def test_lines_before_the_break_of_a_compressed_file_are_kept(tmp_path, n_lines):
    whole = gzip.compress(lines(n_lines).encode(), compresslevel=0)
    path = tmp_path / "broken.jsonl.gz"
    path.write_bytes(whole[: len(whole) * 3 // 4])
    counts = run(path, tmp_path / "out")["counts"]
    assert counts["reasons"] == {"corrupt_file": 1}
    assert n_lines // 2 < counts["n_articles"] < n_lines
    assert rejected(tmp_path / "out")[0]["row"] == counts["n_articles"] + 1


@pytest.mark.parametrize("role", ["date", "source", "id"])
@pytest.mark.parametrize("name", ["in.csv", "in.jsonl"])
def test_a_mistyped_column_is_told_before_any_work(tmp_path, role, name):
    text = "id,text,day\n1,Gunmen fled.,2024-01-01\n" if name == "in.csv" else '{"id": 1, "text": "Gunmen fled."}\n'
    (tmp_path / name).write_text(text)
    with pytest.raises(CorpusError, match=rf"expected a column 'Day' \(--{role}-column\); its columns: 'id', 'text'"):
        run(tmp_path / name, tmp_path / "out", **{f"{role}_column": "Day"})


def test_a_column_that_one_of_several_files_lacks_is_told(tmp_path):
    (tmp_path / "a.csv").write_text("id,text,day\n1,Gunmen fled.,2024-01-01\n")
    (tmp_path / "b.csv").write_text("id,text\n2,Rain fell.\n")
    said: list[str] = []
    counts = run([tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path / "out", date_column="day", say=said.append)[
        "counts"
    ]
    assert counts["n_articles"] == 2
    assert any("b.csv: expected a column 'day' (--date-column)" in each and "have no date" in each for each in said)


def test_two_columns_of_one_name_reject_the_table(tmp_path):
    (tmp_path / "twice.csv").write_text("id,text,text\n1,Gunmen fled.,Rain fell.\n")
    table = pa.table([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    pq.write_table(table, tmp_path / "twice.parquet")
    (tmp_path / "good.jsonl").write_text(lines(1))
    names = [tmp_path / name for name in ("good.jsonl", "twice.csv", "twice.parquet")]
    counts = run(names, tmp_path / "out")["counts"]
    assert counts["n_articles"] == 1
    assert counts["n_rejected"] == counts["n_rejected_files"] == 2
    assert all("has 2 columns 'text'" in each["detail"] for each in rejected(tmp_path / "out"))


def test_ids_that_a_data_frame_made_floats_are_whole_numbers(tmp_path):
    table = pa.table({"id": [1.0, 2.5, 3.0, None], "text": ["Gunmen fled."] * 4})
    pq.write_table(table, tmp_path / "ids.parquet")
    run(tmp_path / "ids.parquet", tmp_path / "out")
    written = [json.loads(each) for each in (tmp_path / "out/articles/part-000000.jsonl").read_text().splitlines()]
    assert [each["article_id"] for each in written] == ["1", "3"]
    reasons = {each["row"]: each["reason"] for each in rejected(tmp_path / "out")}
    assert reasons == {2: "bad_id", 4: "missing_id"}
    assert all("--id-column -" in each["detail"] for each in rejected(tmp_path / "out"))


def test_the_remedy_for_ids_of_several_files_is_named(tmp_path):
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text(lines(2))
    run([tmp_path / "a.jsonl", tmp_path / "b.jsonl"], tmp_path / "out")
    assert all("--id-column -" in each["detail"] for each in rejected(tmp_path / "out"))
    own = run([tmp_path / "a.jsonl", tmp_path / "b.jsonl"], tmp_path / "own", id_column="-")
    assert own["counts"]["n_articles"] == 4


def test_utf_16_is_read_as_text_and_refused_by_name_in_tables(source, tmp_path):
    (tmp_path / "a.txt").write_text("Gunmen fled. Rain fell.", encoding="utf-16")
    assert run(tmp_path / "a.txt", tmp_path / "text", encoding="utf-16")["counts"]["n_sentences"] == 2
    with pytest.raises(CorpusError, match=r"in\.jsonl: cannot be read line by line in encoding 'utf-16'"):
        run(source, tmp_path / "out", encoding="utf-16")
    for name in ("u.csv", "u.jsonl"):
        (tmp_path / name).write_text("id,text\n1,Gunmen fled.\n", encoding="utf-16")
    counts = run([tmp_path / "u.csv", tmp_path / "u.jsonl"], tmp_path / "marked")["counts"]
    assert counts["reasons"] == {"undecodable": 2}
    assert all("mark of UTF-16" in each["detail"] for each in rejected(tmp_path / "marked"))


def test_another_delimiter_is_proposed_and_a_tab_can_be_typed(tmp_path):
    (tmp_path / "in.csv").write_text("id;text\n1;Gunmen fled.\n")
    with pytest.raises(CorpusError, match="say --delimiter ';'"):
        run(tmp_path / "in.csv", tmp_path / "out")
    (tmp_path / "tabs.csv").write_text("id\ttext\n1\tGunmen fled.\n")
    assert run(tmp_path / "tabs.csv", tmp_path / "out", delimiter="\\t")["counts"]["n_articles"] == 1


def test_the_same_inputs_under_other_names_are_told(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("in.jsonl", tmp_path / "out")
    (tmp_path / "out" / "manifest.json").unlink()  # as if it had been stopped
    with pytest.raises(RunFolderError, match="same bytes under other names"):
        run(source, tmp_path / "out")


@pytest.mark.parametrize("name", ["a.jsonl", "a.html", "a.txt.gz", "a.parquet"])
def test_tag_refuses_what_is_no_plain_text_by_its_name(tmp_path, capsys, name):
    (tmp_path / name).write_text("Gunmen fled.")
    (tmp_path / "b.txt").write_text("Gunmen killed five people.")
    assert main(["tag", str(tmp_path / name), str(tmp_path / "b.txt"), "--format", "csv"]) == 1
    out, err = capsys.readouterr()
    assert "Gunmen killed five people." in out
    assert "tag-corpus" in err
    assert "Gunmen fled" not in out


def test_the_last_message_says_that_whole_files_were_rejected(source, tmp_path, capsys):
    (tmp_path / "no.csv").write_text("id,title\n1,Gunmen fled.\n")
    argv = ["tag-corpus", str(source), str(tmp_path / "no.csv"), "--out", str(tmp_path / "out"), "--format", "jsonl"]
    assert main(argv) == 1
    assert "1 of 4 items were rejected, 1 of them a whole file (1 no_text_column)" in capsys.readouterr().err
