"""Sum up a run, compare two, and ask their tables as the documentation says."""

from __future__ import annotations

import csv
import json
import math
import random
import re
from pathlib import Path

import pytest

import ctclassify
from ctclassify.cli import main
from ctclassify.corpus.drift import compare_runs
from ctclassify.corpus.intervals import ClusteredRate, difference
from ctclassify.corpus.results import RunResults
from ctclassify.corpus.summary import period_of, source_of
from ctclassify.errors import RunFolderError
from tests.corpus_stub import LABELS, StubClassifier

DOCS = (Path(__file__).resolve().parents[1] / "docs" / "corpus.md").read_text(encoding="utf-8")


def recipe(name: str) -> str:
    """Return a block of code of the documentation."""
    return re.search(rf"<!-- {name} -->\n```python\n(.*?)^```", DOCS, flags=re.MULTILINE | re.DOTALL)[1]


def make_run(folder: Path, n_articles: int, *, word: str = "court", output_format: str = "parquet", **options) -> Path:
    """Run the stub over articles of three sources in 2023 and 2024."""
    lines = []
    for i in range(n_articles):
        text = f"The {word} in town {i} met again on the third day. Rain fell on roof {i}. A bomb hit wall {i}."
        row = {
            "id": f"{word}{i}",
            "text": text,
            "date": f"202{3 + i % 2}-0{1 + i % 9}-15T10:00",
            "source": f"<b>{i % 3}",
        }
        lines.append(json.dumps(row if i else {"id": "no-date", "text": text}))
    source = folder.with_suffix(".jsonl")
    source.write_text("\n".join(lines))
    ctclassify.tag_corpus(source, folder, classifier=StubClassifier(), output_format=output_format, **options)
    return folder


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory) -> Path:
    """A finished run of 60 articles, named ``run``."""
    return make_run(tmp_path_factory.mktemp("corpus") / "run", 60, part_articles=25)


@pytest.mark.parametrize("output_format", ["jsonl", "csv"])
def test_every_format_reads_back_alike(run_folder, tmp_path, output_format):
    other = RunResults(make_run(tmp_path / "run", 60, output_format=output_format))
    names = ["article_id", "date", "n_sentences", "labels", "n_attack", "similarity"]
    assert list(other.articles(names)) == list(RunResults(run_folder).articles(names))
    names = ["text", "labels", "p_attack", "needs_review", "start"]
    for got, expected in zip(other.sentences(names), RunResults(run_folder).sentences(names), strict=True):
        assert got[:2] == expected[:2]
        assert got[2] == pytest.approx(expected[2], abs=1e-6)
        assert got[3:] == expected[3:]


def test_summarize_counts_what_the_tables_hold(run_folder, tmp_path, capsys):
    assert main(["summarize", str(run_folder), "--out", str(tmp_path), "--by", "year"]) == 0
    assert "summary.html" in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "labels_over_time.csv").read_text().splitlines()))
    assert [row["year"] for row in rows] == ["2023", "2024", "unknown"]
    assert [row["n_articles"] for row in rows] == ["29", "30", "1"]
    manifest = json.loads((run_folder / "manifest.json").read_text())
    for label in LABELS:
        assert sum(int(row[label]) for row in rows) == manifest["counts"]["label_counts"][label]
    both = [row for row in RunResults(run_folder).sentences(["labels"]) if len(row[0]) == 2]
    (pair,) = csv.DictReader((tmp_path / "labels_together.csv").read_text().splitlines())
    assert int(pair["n_sentences"]) == len(both)


def test_the_page_is_whole_and_escaped(run_folder, tmp_path):
    main(["summarize", str(run_folder), "--out", str(tmp_path)])
    page = (tmp_path / "summary.html").read_text()
    assert "&lt;b&gt;1" in page
    assert "<b>" not in page
    assert not re.search(r"https?://|<script|src=|@import|url\(", page)
    assert page.count("<svg") == len(LABELS)


@pytest.mark.parametrize(
    ("source", "url", "expected"),
    [
        ("Reuters", "https://a.example/1", "Reuters"),
        ("https://www.Paper.example/2024/x?y=1", None, "paper.example"),
        ("HTTP://user:key@paper.example:8080/x", None, "paper.example"),
        (None, "https://paper.example#top", "paper.example"),
        ("Wire, https://a.example/1 (via http://B.example/2?x)", None, "Wire, a.example (via b.example)"),
        ("", "/wire/12.html", "unknown"),
        ("httpsomething", None, "httpsomething"),
        (None, None, "unknown"),
    ],
)
def test_web_addresses_count_under_their_hosts(source, url, expected):
    assert source_of(source, url) == expected


@pytest.mark.parametrize(
    ("text", "by", "period"),
    [
        ("2024-05-01", "month", "2024-05"),
        ("20240501", "day", "2024-05-01"),
        ("2024-12-30T01:00:00Z", "week", "2025-W01"),
        ("2024-02-30", "day", "unknown"),
        ("2024/5/1 12:30", "month", "2024-05"),
        ("2024.05.01", "day", "2024-05-01"),
        ("20240501123000", "day", "2024-05-01"),
        ("202405011230", "day", "2024-05-01"),
        ("2024050112", "day", "2024-05-01"),
        ("1704121600", "day", "2024-01-01"),
        ("1900000000", "day", "2030-03-17"),
        ("170412160000", "day", "unknown"),
        ("Wed, 01 May 2024 12:30:00 GMT", "day", "2024-05-01"),
        ("1714566600", "day", "2024-05-01"),
        ("1714566600000", "day", "2024-05-01"),
        ("1714566600.0", "day", "2024-05-01"),
        ("1 May 2024", "day", "2024-05-01"),
        ("Wed, 01 May 2024", "day", "2024-05-01"),
        ("01/05/2024", "year", "unknown"),
        ("2024-05-011", "year", "unknown"),
        ("2024/05-01", "year", "unknown"),
        ("12345", "year", "unknown"),
        ("last week", "year", "unknown"),
        (None, "day", "unknown"),
        ("Nov. 12, 2026", "day", "2026-11-12"),
        ("12 Sept 2026", "day", "2026-09-12"),
        ("12th November 2026", "day", "2026-11-12"),
        ("12-Nov-2026", "day", "2026-11-12"),
        ("2026-11", "month", "2026-11"),
        ("2026-11", "year", "2026"),
        ("2026-11", "day", "unknown"),
        ("2026", "year", "2026"),
        ("2026", "month", "unknown"),
    ],
)
def test_periods(text, by, period):
    assert period_of(text, by) == period


def test_a_summary_into_the_runs_own_folder_is_refused(run_folder, capsys):
    before = sorted(run_folder.iterdir())
    for out in (run_folder, run_folder / "summary"):
        assert main(["summarize", str(run_folder), "--out", str(out)]) == 2
        assert "lies in the run's folder" in capsys.readouterr().err
    assert sorted(run_folder.iterdir()) == before


def test_equal_runs_have_not_moved_and_unlike_ones_have(run_folder, tmp_path):
    same = compare_runs(run_folder, run_folder)
    assert not any(row["has_moved"] for row in same["labels"].values())
    assert same["vocabulary"]["moved"] == []
    strict = make_run(tmp_path / "strict", 60, word="parliament", thresholds=0.9)
    moved = compare_runs(run_folder, strict)
    assert moved["labels"]["attack"]["has_moved"]
    assert moved["labels"]["attack"]["second"] < moved["labels"]["attack"]["first"]
    assert moved["settings"] == ["thresholds: attack was 0.5, is 0.9", "thresholds: court was 0.5, is 0.9"]
    assert {"court", "parliament"} <= {each["word"] for each in moved["vocabulary"]["moved"]}
    words = moved["vocabulary"]
    assert words["jensen_shannon"] > max(words["jensen_shannon_within"])


def test_drift_prints_a_table_and_json(run_folder, tmp_path, capsys):
    bare = make_run(tmp_path / "bare", 30, with_text=False)
    assert main(["drift", str(run_folder), str(bare)]) == 0
    out = capsys.readouterr().out
    assert "attack" in out
    assert "vocabulary: not compared" in out
    assert main(["drift", str(run_folder), str(bare), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["vocabulary"] is None


def test_an_unfinished_run_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="holds no finished run"):
        compare_runs(tmp_path, tmp_path)


def test_wilson_interval_against_a_worked_case():
    # 15 of 148, Newcombe 1998, table I: 0.0624 to 0.1605. Single sentences, each an article.
    rate = ClusteredRate()
    for i in range(148):
        rate.add(i < 15, 1)
    low, high = rate.wilson()
    assert low == pytest.approx(0.0624, abs=3e-4)
    assert high == pytest.approx(0.1605, abs=5e-4)


def test_intervals_cover_and_clusters_widen_them():
    rng = random.Random(5)
    n_covered = 0
    for _ in range(300):
        rates = []
        for _ in range(2):
            rate = ClusteredRate()
            for _ in range(80):
                size = rng.randint(1, 20)
                rate.add(size * (rng.random() < 0.2), size)  # all of an article's sentences, or none
            rates.append(rate)
        found = difference(*rates, is_share=True)
        n_covered += not found.has_moved
    assert 270 <= n_covered <= 298  # 95% of 300 is 285


def test_no_sentence_is_nan():
    found = difference(ClusteredRate(), ClusteredRate(), is_share=True)
    assert math.isnan(found.first)
    assert not found.has_moved


@pytest.mark.parametrize("name", ["duckdb", "pandas", "polars"])
def test_recipes_run_on_the_tables(run_folder, monkeypatch, name):
    pytest.importorskip(name)
    monkeypatch.chdir(run_folder.parent)
    found: dict = {}
    exec(recipe(name), found)
    counts = json.loads((run_folder / "manifest.json").read_text())["counts"]
    if name == "duckdb":
        n_dated = sum(n for month, n in found["attacks"])
        assert n_dated == counts["label_counts"]["attack"]
    elif name == "pandas":
        assert len(found["sentences"]) == counts["n_sentences"]
        assert len(found["to_check"]) == counts["n_review"]
    else:
        by_label = dict(found["counts"].iter_rows())
        assert {label: by_label[label] for label in LABELS} == counts["label_counts"]
