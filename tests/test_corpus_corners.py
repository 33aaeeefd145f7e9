"""Inputs and folders that once lost something, hung, or blamed the wrong side."""

from __future__ import annotations

import csv
import errno
import json
import os
from collections import Counter
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ctclassify
from ctclassify.cli import main
from ctclassify.corpus import drift, read_arrow, records, run_folder
from ctclassify.corpus.discover import find_inputs
from ctclassify.corpus.results import RunResults
from ctclassify.errors import CorpusError, RunFolderError
from tests.corpus_stub import StubClassifier, snapshot


def run(source, out, **options):
    return ctclassify.tag_corpus(
        source, out, **{"classifier": StubClassifier(), "part_articles": 3, "output_format": "jsonl", **options}
    )


def article_line(**fields) -> str:
    return json.dumps({"id": "a", "text": "A bomb fell near the court. Rain followed.", **fields}) + "\n"


@pytest.fixture
def source(tmp_path) -> Path:
    """A file of one article."""
    path = tmp_path / "in.jsonl"
    path.write_text(article_line())
    return path


@pytest.mark.parametrize("name", ["articles/mine.txt", "sentences/part-000000.txt", "rejected.jsonl"])
def test_files_of_the_user_are_never_removed(source, tmp_path, name):
    mine = tmp_path / "project" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(RunFolderError, match="which no run wrote"):
        run(source, tmp_path / "project")
    assert mine.read_text() == "mine"


def test_a_file_that_was_put_into_a_run_is_never_removed(source, tmp_path):
    run(source, tmp_path / "out")
    (tmp_path / "out" / "manifest.json").unlink()  # as if it had been stopped
    (tmp_path / "out" / "sentences" / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match=r"sentences/notes\.txt"):
        run(source, tmp_path / "out")
    assert (tmp_path / "out" / "sentences" / "notes.txt").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_or_rejected_and_never_waited_for(source, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "good.jsonl").write_text(article_line())
    with pytest.raises(CorpusError, match="is no regular file"):
        run(folder / "pipe.jsonl", tmp_path / "out")
    counts = run(folder, tmp_path / "out")["counts"]
    assert (counts["n_articles"], counts["reasons"]) == (1, {"unreadable_file": 1})


def test_a_long_sentence_survives_csv(tmp_path):
    source = tmp_path / "long.jsonl"
    source.write_text(article_line(text="word " * 40_000))
    limit = csv.field_size_limit(131_072)
    try:
        run(source, tmp_path / "out", output_format="csv")
        ((text,),) = RunResults(tmp_path / "out").sentences(["text"])
    finally:
        csv.field_size_limit(limit)
    assert len(text) == len("word " * 40_000) - 1


def test_a_glob_over_the_output_goes_on(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.jsonl").write_text(article_line())
    run(str(data / "*"), data / "run")
    (data / "run" / "manifest.json").unlink()
    expected = snapshot(data / "run")
    run(str(data / "*"), data / "run")  # the program's own glob
    (data / "run" / "manifest.json").unlink()
    run([data / "a.jsonl", data / "run"], data / "run")  # the shell's
    (data / "run" / "manifest.json").unlink()
    assert snapshot(data / "run") == expected


def test_columns_are_found_after_a_long_broken_line(tmp_path):
    source = tmp_path / "broken-first.jsonl"
    lines = ["{" + "x" * (1 << 20) + "\n", "\n", json.dumps({"doc": "d1", "body": "A bomb fell."}) + "\n"]
    source.write_text("".join(lines))
    run(source, tmp_path / "out", text_column="body", id_column="doc")
    (article,) = RunResults(tmp_path / "out").articles(["article_id", "row"])
    assert article == ["d1", 3]
    (rejection,) = map(json.loads, (tmp_path / "out" / "rejected.jsonl").read_text().splitlines())
    assert (rejection["row"], rejection["reason"]) == (1, "bad_json")


def test_a_date_beyond_pythons_rejects_its_row_alone(tmp_path):
    dates = pa.array([datetime(2024, 5, 1), None], type=pa.timestamp("s"))
    far = pa.array([400_000_000_000], type=pa.int64()).cast(pa.timestamp("s"))
    column = pa.chunked_array([dates, far]).combine_chunks()
    table = pa.table({"text": ["A bomb fell."] * 3, "date": column})
    pq.write_table(table, tmp_path / "t.parquet")
    run(tmp_path / "t.parquet", tmp_path / "out")
    assert [date for (date,) in RunResults(tmp_path / "out").articles(["date"])] == ["2024-05-01T00:00:00", None]
    (rejection,) = map(json.loads, (tmp_path / "out" / "rejected.jsonl").read_text().splitlines())
    assert (rejection["row"], rejection["reason"]) == (3, "bad_value")


def test_two_arrow_columns_of_one_name_are_read(tmp_path):
    table = pa.Table.from_arrays(
        [pa.array(["A bomb fell."]), pa.array(["x"]), pa.array(["y"])], ["text", "note", "note"]
    )
    with pa.ipc.new_file(str(tmp_path / "t.arrow"), table.schema) as writer:
        writer.write_table(table)
    assert run(tmp_path / "t.arrow", tmp_path / "out")["counts"]["n_articles"] == 1


def test_a_full_temporary_folder_is_no_fault_of_the_input(tmp_path, monkeypatch):
    import gzip

    pq.write_table(pa.table({"text": ["A bomb fell."]}), tmp_path / "t.parquet")
    (tmp_path / "t.parquet.gz").write_bytes(gzip.compress((tmp_path / "t.parquet").read_bytes()))

    def full(*_arguments, **_options):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(read_arrow.tempfile, "TemporaryFile", full)
    assert run(tmp_path / "t.parquet", tmp_path / "plain")["counts"]["n_articles"] == 1
    with pytest.raises(CorpusError, match="TMPDIR"):
        run(tmp_path / "t.parquet.gz", tmp_path / "out")
    monkeypatch.undo()
    assert run(tmp_path / "t.parquet.gz", tmp_path / "out")["counts"]["n_articles"] == 1


def test_a_text_over_the_limit_is_rejected_whatever_it_came_in(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "MAX_RECORD_BYTES", 20)
    pq.write_table(pa.table({"text": ["A bomb fell.", "A bomb fell near the court."]}), tmp_path / "t.parquet")
    assert run(tmp_path / "t.parquet", tmp_path / "out")["counts"]["reasons"] == {"too_long": 1}


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs symbolic links")
def test_links_back_up_are_not_followed(tmp_path):
    for name in ("latest", "again"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).symlink_to(".")
    (tmp_path / "in" / "a.jsonl").write_text(article_line())
    assert [file.path.name for file in find_inputs([tmp_path / "in"])] == ["a.jsonl"]


def test_a_glob_of_empty_folders_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match="no file there"):
        find_inputs([str(tmp_path / "em*")])


def test_drift_of_next_to_nothing_is_json(tmp_path, capsys):
    for name in ("first", "second"):
        (tmp_path / f"{name}.jsonl").write_text(article_line(text="Bomb."))
        run(tmp_path / f"{name}.jsonl", tmp_path / name)
    assert main(["drift", str(tmp_path / "first"), str(tmp_path / "second"), "--format", "json"]) == 0

    def refuse(sign):
        raise AssertionError(f"{sign} is not JSON")

    found = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert found["vocabulary"]["moved"] == []


def test_drift_holds_a_bounded_number_of_words(monkeypatch):
    monkeypatch.setattr(drift, "_MAX_WORDS", 10)
    words = drift._Words()
    for i in range(200):
        words.add(["common common", "a" + "bcdefghij"[i % 9] * (i // 9 + 1)], 0)
    assert len(words.halves[0]) <= 20
    assert words.halves[0]["common"] == 400
    assert words.is_partial
    assert drift._share_of_new(words, words.all, Counter(new=1)) is None


def test_the_lock_is_let_go_of_where_the_log_cannot_be_closed(tmp_path, monkeypatch):
    folder = run_folder.RunFolder(tmp_path / "out")

    class Full:
        def close(self):
            raise OSError(errno.ENOSPC, "no space left")

    folder._log.close()
    folder._log = Full()
    with pytest.raises(OSError, match="no space"):
        folder.__exit__(None, None, None)
    run_folder.RunFolder(tmp_path / "out").__exit__(None, None, None)


def test_an_input_that_may_not_be_read_is_no_fault_of_the_output(source, tmp_path, monkeypatch):
    def denied(self):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "is_dir", denied)
    with pytest.raises(CorpusError, match="an input cannot be read"):
        run(source, tmp_path / "out")


@pytest.mark.parametrize("damage", ["missing", "broken"])
def test_a_damaged_table_is_named(source, tmp_path, capsys, damage):
    run(source, tmp_path / "out")
    part = tmp_path / "out" / "articles" / "part-000000.jsonl"
    part.unlink() if damage == "missing" else part.write_text("{")
    assert main(["summarize", str(tmp_path / "out"), "--out", str(tmp_path / "summary")]) == 6
    assert "part-000000.jsonl: cannot be read" in capsys.readouterr().err


def test_the_mark_of_utf8_may_be_named(source, tmp_path):
    source.write_bytes(b"\xef\xbb\xbf" + source.read_bytes())
    assert run(source, tmp_path / "out", encoding="utf-8-sig")["counts"]["n_articles"] == 1


def test_nan_counts_as_no_value(source, tmp_path):
    source.write_text(article_line(source=float("nan"), date=float("nan")) + article_line(id="b", text=float("nan")))
    run(source, tmp_path / "out")
    (article,) = RunResults(tmp_path / "out").articles(["source", "date"])
    assert article == [None, None]
    (rejected,) = map(json.loads, (tmp_path / "out" / "rejected.jsonl").read_text().splitlines())
    assert (rejected["row"], rejected["reason"]) == (2, "missing_text")
