"""``ctclassify tag-corpus`` as a process: exit codes, progress, the shipped model."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from ctclassify.cli.corpus_progress import describe
from ctclassify.corpus.progress import Progress

LINES = [json.dumps({"id": f"a{i}", "text": f"A bomb killed police in the town. Rain, item {i}."}) for i in range(6)]


@pytest.fixture(scope="module")
def command(tiny_folder) -> list[str]:
    """The command with the tiny model."""
    start = [sys.executable, "-m", "ctclassify", "tag-corpus", "--part-articles", "2", "--format", "jsonl"]
    return [*start, "--model", str(tiny_folder), "--engine", "openvino-fp32"]


@pytest.fixture
def source(tmp_path) -> Path:
    """Six articles."""
    (tmp_path / "in.jsonl").write_text("\n".join(LINES) + "\n")
    return tmp_path / "in.jsonl"


def call(command: list[str], *arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, check=False, text=True)


def test_exit_codes(command, source, tmp_path):
    done = call(command, source, "--out", tmp_path / "run")
    assert (done.returncode, done.stdout) == (0, "")
    assert "text from 'text', id from 'id' (guessed" in done.stderr
    assert "6 articles, 12 sentences, 0 rejected" in done.stderr
    again = call(command, source, "--out", tmp_path / "run", "--quiet")
    assert (again.returncode, again.stderr) == (0, "")
    other = call(command, source, "--out", tmp_path / "run", "--min-probability", "0.9")
    assert other.returncode == 6
    assert "thresholds: attack was 0.5, is 0.9" in other.stderr
    absent = call(command, tmp_path / "absent.jsonl", "--out", tmp_path / "other")
    assert (absent.returncode, (tmp_path / "other").exists()) == (2, False)


def test_rejected_items_show_in_the_exit_code(command, source, tmp_path):
    source.write_text(source.read_text() + "{\n")
    done = call(command, source, "--out", tmp_path / "run")
    assert done.returncode == 1
    assert "1 of 7 items were rejected (1 bad_json); see rejected.jsonl" in done.stderr
    strict = call(command, source, "--out", tmp_path / "strict", "--strict")
    assert strict.returncode == 5
    assert "in.jsonl, row 7: bad_json" in strict.stderr


def test_an_output_that_cannot_be_written(command, source):
    done = call(command, source, "--out", "/proc/run")
    assert done.returncode == 4
    assert "cannot write the output" in done.stderr


def test_a_terminal_gets_a_bar(command, source, tmp_path):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200"}
    arguments = [*command, str(source), "--out", str(tmp_path / "run")]
    with subprocess.Popen(arguments, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                data = os.read(ours, 4096)
            except OSError:  # how Linux says that the other end is closed
                break
            if not data:
                break
            shown += data
        os.close(ours)
    assert process.returncode == 0
    assert b"100%" in shown
    assert b"6 articles, 12 sentences, 0 rejected" in shown


def test_progress_says_what_is_left():
    progress = Progress(
        n_articles=1200,
        n_sentences=30_000,
        n_rejected=3,
        n_parts=2,
        bytes_read=10,
        n_bytes=100,
        seconds=60.0,
        articles_per_second=20.0,
        seconds_left=3725.4,
    )
    assert describe(progress) == "1,200 articles, 30,000 sentences, 3 rejected, 20.0 articles/s, about 1:02:05 left"


@pytest.mark.model
def test_the_shipped_model_gives_what_the_library_gives(shipped, tmp_path):
    import ctclassify
    from ctclassify.corpus.results import RunResults

    texts = ["A bomb killed two guards near the bridge. Rain fell.", "The envoys met in the capital on Monday."]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    ctclassify.tag_corpus(tmp_path / "in.jsonl", tmp_path / "run", classifier=shipped)
    rows = list(RunResults(tmp_path / "run").sentences(["text", "labels", "p_attack", "needs_review"]))
    expected = [
        [s.text, list(s.labels), s.probabilities["attack"], s.needs_review]
        for article in shipped.predict_stream(texts)
        for s in article.sentences
    ]
    assert rows == expected
