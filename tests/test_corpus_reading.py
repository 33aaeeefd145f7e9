"""Whatever a corpus holds is tagged once, or rejected once with a reason."""

from __future__ import annotations

import bz2
import csv
import gzip
import importlib.util
import json
import lzma
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ctclassify
from ctclassify.corpus.discover import find_inputs
from ctclassify.corpus.index import sentence_keys
from ctclassify.corpus.records import REASONS
from ctclassify.errors import CorpusError, RejectedInputError
from tests.corpus_malformed import MALFORMED_JSONL, jsonl_with_faults
from tests.corpus_stub import StubClassifier

ROWS = [{"id": f"a{i}", "text": f"The court met. Item {i}, naïve “quotes”.", "date": "2024-05-01"} for i in range(5)]
JSONL = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def run(source, out, **options):
    return ctclassify.tag_corpus(
        source, out, **{"classifier": StubClassifier(), "part_articles": 3, "output_format": "jsonl", **options}
    )


def rows_of(out: Path, table: str) -> list[dict]:
    files = sorted((out / table).glob("*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines()]


def rejected(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]


def zst(data: bytes) -> bytes:
    return pa.compress(data, codec="zstd", asbytes=True)


COMPRESS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zst}


def as_csv(delimiter: str) -> bytes:
    import io

    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(ROWS[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(ROWS)
    return stream.getvalue().encode()


def as_parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(ROWS), sink)
    return sink.getvalue().to_pybytes()


def as_arrow(*, is_file: bool) -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(ROWS)
    with (pa.ipc.new_file if is_file else pa.ipc.new_stream)(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


CONTENT = {
    "jsonl": JSONL,
    "csv": as_csv(","),
    "tsv": as_csv("\t"),
    "parquet": as_parquet(),
    "arrow": as_arrow(is_file=False),
    "feather": as_arrow(is_file=True),
}


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("ending", CONTENT)
def test_every_table_gives_the_same_articles(tmp_path, ending, compression):
    path = tmp_path / f"in.{ending}{compression}"
    path.write_bytes(COMPRESS[compression](CONTENT[ending]))
    manifest = run(path, tmp_path / "out")
    assert manifest["counts"]["n_articles"] == 5
    articles = rows_of(tmp_path / "out", "articles")
    assert [row["article_id"] for row in articles] == ["a0", "a1", "a2", "a3", "a4"]
    assert {row["date"] for row in articles} == {"2024-05-01"}
    for sentence in rows_of(tmp_path / "out", "sentences"):
        text = ROWS[int(sentence["article_id"][1])]["text"]
        assert text[sentence["start"] : sentence["end"]] == sentence["text"]


@pytest.mark.parametrize("ending", ["jsonl.gz", "jsonl.bz2", "jsonl.xz", "jsonl.zst", "parquet", "arrow", "csv.gz"])
def test_a_file_that_breaks_off_is_said_to(tmp_path, ending):
    kind, _, compression = ending.partition(".")
    row = {"id": "x", "text": "The court met on Monday."}
    many = [{**row, "id": f"x{i}"} for i in range(3000)]
    lines = "".join(json.dumps(each) + "\n" for each in many).encode()
    if kind == "csv":
        lines = b"id,text\n" + b"".join(b"x%d,The court met on Monday.\n" % i for i in range(3000))
    data = {"jsonl": lines, "csv": lines, "parquet": as_parquet(), "arrow": as_arrow(is_file=False)}[kind]
    data = COMPRESS[f".{compression}" if compression else ""](data)
    path = tmp_path / f"in.{ending}"
    path.write_bytes(data[: len(data) * 2 // 3])
    counts = run(path, tmp_path / "out", part_articles=1000)["counts"]
    assert counts["reasons"] == {"corrupt_file": 1}
    assert counts["n_articles"] + counts["n_rejected"] == counts["n_items"]


def test_several_frames_of_zst_are_read(tmp_path):
    half = len(JSONL.splitlines(keepends=True)) // 2
    lines = JSONL.splitlines(keepends=True)
    (tmp_path / "in.jsonl.zst").write_bytes(zst(b"".join(lines[:half])) + zst(b"".join(lines[half:])))
    assert run(tmp_path / "in.jsonl.zst", tmp_path / "out")["counts"]["n_articles"] == 5


def test_every_malformed_line_is_accounted_for(tmp_path):
    data, expected, n_good = jsonl_with_faults(5 * len(MALFORMED_JSONL), 7)
    (tmp_path / "in.jsonl").write_bytes(data)
    counts = run(tmp_path / "in.jsonl", tmp_path / "out", part_articles=50)["counts"]
    assert [(row["row"], row["reason"]) for row in rejected(tmp_path / "out")] == expected
    assert counts["n_articles"] == n_good
    assert counts["n_items"] == n_good + len(expected)
    assert {reason for _, reason in expected} <= set(REASONS)


def test_every_malformed_csv_row_is_accounted_for(tmp_path):
    good = b"a%d,The court met.\n"
    faults = [
        (b"b1,one,two\n", "wrong_number_of_fields"),
        (b"b2\n", "wrong_number_of_fields"),
        (b"b3,caf\xe9\n", "undecodable"),
        (b'b4,"quoted" wrongly\n', "bad_csv"),
        (b"b5,  \n", "blank_text"),
        (b",The court met.\n", "missing_id"),
        (b'b6,"two\nlines",more\n', "wrong_number_of_fields"),
        (b'b7,"never closed\nuntil the end', "bad_csv"),
    ]
    body = b"".join(good % i + fault for i, (fault, _) in enumerate(faults))
    (tmp_path / "in.csv").write_bytes(b"\xef\xbb\xbfid,text\n" + body)
    counts = run(tmp_path / "in.csv", tmp_path / "out", part_articles=50)["counts"]
    found = rejected(tmp_path / "out")
    assert [row["reason"] for row in found] == [reason for _, reason in faults]
    assert [(row["row"], row["last_row"]) for row in found[-2:]] == [(15, 16), (18, 19)]
    assert counts["n_articles"] == len(faults)


def test_a_string_in_parquet_that_is_not_utf8_rejects_its_row_alone(tmp_path):
    text = pa.array([b"The court met.", b"caf\xe9", b"Rain fell."], type=pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": text}), tmp_path / "in.parquet")
    run(tmp_path / "in.parquet", tmp_path / "out")
    assert [(row["row"], row["reason"]) for row in rejected(tmp_path / "out")] == [(2, "undecodable")]
    assert len(rows_of(tmp_path / "out", "articles")) == 2


def test_a_folder_is_read_in_order_and_strangers_are_rejected(tmp_path):
    folder = tmp_path / "in"
    (folder / "b").mkdir(parents=True)
    (folder / "a.txt").write_text("\ufeffThe court met.", encoding="utf-8")
    (folder / "b" / "latin.txt").write_bytes(b"caf\xe9")
    (folder / "c.jsonl").write_bytes(JSONL)
    (folder / "d.pdf").write_bytes(b"%PDF")
    (folder / ".hidden.txt").write_text("no")
    counts = run(folder, tmp_path / "out")["counts"]
    found = [(Path(row["file"]).name, row["reason"]) for row in rejected(tmp_path / "out")]
    assert found == [("latin.txt", "undecodable"), ("d.pdf", "unknown_format")]
    assert counts["n_articles"] == 6
    first = rows_of(tmp_path / "out", "articles")[0]
    assert first["article_id"] == str(folder / "a.txt")
    assert first["n_characters"] == len("The court met.")


def test_a_saved_dataset_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    parts = {"train": datasets.Dataset.from_list(ROWS[:3]), "test": datasets.Dataset.from_list(ROWS[3:])}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "in")
    counts = run(tmp_path / "in", tmp_path / "out")["counts"]
    assert (counts["n_articles"], counts["n_rejected"]) == (5, 0)


def test_html_without_its_library_stops_the_run_and_rejects_no_page(tmp_path, monkeypatch):
    monkeypatch.setitem(
        sys.modules, "trafilatura", None
    )  # its import fails, as where a package that it needs is absent
    (tmp_path / "page.html").write_text("<html><body><p>Rain fell.</p></body></html>")
    with pytest.raises(CorpusError, match=r"page\.html: reading HTML needs trafilatura .*ctclassify\[html\]"):
        run([tmp_path / "page.html"], tmp_path / "out")


@pytest.mark.skipif(importlib.util.find_spec("trafilatura") is None, reason="needs trafilatura")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_html_gives_main_text_and_metadata(tmp_path):
    body = "".join(
        f"<p>Paragraph {i}: the court in the river town met for the {i}th time this year.</p>" for i in range(9)
    )
    head = '<title>A court meets</title><meta property="og:site_name" content="River Post">'
    head += '<meta property="article:published_time" content="2024-05-01"><link rel="canonical" href="https://e.org/a">'
    page = f"<html><head>{head}</head><body><nav>Home | About</nav><article>{body}</article></body></html>"
    (tmp_path / "page.html").write_text(page)
    (tmp_path / "empty.html").write_text("<html><body></body></html>")
    run([tmp_path / "page.html", tmp_path / "empty.html"], tmp_path / "out")
    (article,) = rows_of(tmp_path / "out", "articles")
    assert article["source"] == "River Post"
    assert article["title"] == "A court meets"
    assert article["date"] == "2024-05-01"
    assert article["n_sentences"] >= 9
    assert [row["reason"] for row in rejected(tmp_path / "out")] == ["no_main_text"]


def test_columns_are_guessed_with_a_message_and_chosen_without(tmp_path):
    (tmp_path / "in.csv").write_text("Doc_ID,Body,lead\n1,The court met.,Rain fell.\n")
    said = []
    run(tmp_path / "in.csv", tmp_path / "guessed", say=said.append)
    assert "text from 'Body', id from 'Doc_ID' (guessed" in said[0]
    run(tmp_path / "in.csv", tmp_path / "chosen", text_column="lead", id_column="-")
    (row,) = rows_of(tmp_path / "chosen", "sentences")
    assert (row["text"], row["article_id"]) == ("Rain fell.", f"{tmp_path / 'in.csv'}:2")


def test_a_mistyped_column_stops_before_any_work(tmp_path):
    (tmp_path / "in.csv").write_text("id,body\n1,The court met.\n")
    with pytest.raises(CorpusError, match=r"in\.csv: expected a column 'bodi'; its columns: 'id', 'body'"):
        run(tmp_path / "in.csv", tmp_path / "out", text_column="bodi")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("named", "complaint"),
    [("absent.jsonl", "no such file"), ("*.nothing", "nothing matches"), ("in.docx", "tells no known format")],
)
def test_inputs_that_are_not_there_are_refused(tmp_path, named, complaint):
    (tmp_path / "in.docx").write_text("x")
    with pytest.raises(CorpusError, match=complaint):
        find_inputs([tmp_path / named])


def test_a_folder_that_cannot_be_read_is_no_fault_of_the_output(tmp_path, monkeypatch):
    def refuse(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(CorpusError, match="the folder cannot be read: Permission denied"):
        find_inputs([tmp_path])


def test_an_output_folder_inside_an_input_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("The court met.")
    with pytest.raises(CorpusError, match="lies inside the input"):
        run(tmp_path, tmp_path / "out")


def test_strict_stops_at_the_first_fault(tmp_path):
    (tmp_path / "in.jsonl").write_bytes(JSONL + b"{broken\n")
    with pytest.raises(RejectedInputError, match=r"in\.jsonl, row 6: bad_json"):
        run(tmp_path / "in.jsonl", tmp_path / "out", strict=True)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_near_copies_are_reported(tmp_path):
    story = [f"Number {i} of the sentences of a long story about a town by a river." for i in range(9)]
    texts = [
        " ".join(story),
        " ".join(["By Our Own Reporter.", *story]),
        "Quite another story was written by hand here.",
    ]
    rows = [{"id": f"s{i}", "text": text.upper() if i == 1 else text} for i, text in enumerate(texts)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    counts = run(tmp_path / "in.jsonl", tmp_path / "out")["counts"]
    assert [row["near_copy_of"] for row in rows_of(tmp_path / "out", "articles")] == [None, "s0", None]
    assert counts["n_near_copies"] == 1


def test_sentence_keys_ignore_case_punctuation_and_short_sentences():
    one = sentence_keys(["The court in the town met, again.", "He left."])
    assert one == sentence_keys(["THE COURT IN THE TOWN MET AGAIN"])
    assert len(sentence_keys(["He left.", "Rain."])) == 1
    assert sentence_keys(["...", ""]) == ()


def test_an_empty_corpus_has_tables_without_rows(tmp_path):
    (tmp_path / "in.jsonl").write_bytes(b"\n\n")
    counts = run(tmp_path / "in.jsonl", tmp_path / "out", output_format="parquet")["counts"]
    assert counts["n_items"] == 0
    assert pq.read_table(tmp_path / "out" / "sentences").num_rows == 0
