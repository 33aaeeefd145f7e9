"""A run that was stopped anywhere ends in the same bytes as one that was not."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

import ctclassify
from ctclassify.corpus import formats, run_folder
from ctclassify.corpus.index import CorpusIndex
from ctclassify.errors import CorpusError, RunFolderError
from tests import corpus_stub
from tests.corpus_stub import StubClassifier, snapshot

BODIES = [
    "A bomb killed two guards near the old bridge. The court met on Monday. Nobody claimed it.",
    "Rain fell on the river for the third day. Boats stayed in port, officials in the town said.",
    "Police searched a warehouse in the north of the city. They found rifles and a printing press.",
]


def run(source, out, **options):
    return ctclassify.tag_corpus(
        source, out, **{"classifier": StubClassifier(), "part_articles": 3, "output_format": "jsonl", **options}
    )


@pytest.fixture
def source(tmp_path) -> Path:
    """Eleven lines: eight articles, one of them a copy, a broken line, an empty text and a repeated id."""
    lines = [json.dumps({"id": f"a{i}", "text": f"{BODIES[i % 3]} Item {i} of the day followed."}) for i in range(7)]
    lines.insert(2, '{"id": "broken", "text": ')
    lines.insert(5, json.dumps({"id": "a1", "text": "The same id once more."}))
    lines += [json.dumps({"id": "empty", "text": " "}), json.dumps({"id": "copy", "text": BODIES[0]})]
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def killed_run(source: Path, out: Path, output_format: str, kill_at: int) -> int:
    """Run in a process of its own; return its exit code, negative for a signal."""
    process = multiprocessing.get_context("forkserver").Process(
        target=corpus_stub.main, args=(str(source), str(out), output_format, kill_at)
    )
    process.start()
    process.join()
    return process.exitcode


@pytest.mark.parametrize("output_format", ["parquet", "jsonl"])
def test_a_kill_at_any_step_changes_nothing_of_the_output(source, tmp_path, output_format):
    multiprocessing.get_context("forkserver").set_forkserver_preload(["tests.corpus_stub", "pyarrow.parquet"])
    run(source, tmp_path / "whole", output_format=output_format)
    expected = snapshot(tmp_path / "whole")
    n_kills = 0
    first, step = {"jsonl": (1, 6), "parquet": (3, 31)}[output_format]  # scripts/soak takes every step
    for kill_at in range(first, 1000, step):
        out = tmp_path / f"killed-{kill_at}"
        code = killed_run(source, out, output_format, kill_at)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        n_kills += 1
        run(source, out, output_format=output_format)
        assert snapshot(out) == expected, f"killed at {kill_at}"
    assert n_kills >= {"jsonl": 10, "parquet": 6}[output_format]


def test_kills_one_after_another_end_in_the_same_bytes(source, tmp_path):
    run(source, tmp_path / "whole")
    codes = [killed_run(source, tmp_path / "out", "jsonl", kill_at) for kill_at in (9, 31, 33, 40, 26, 60, 0)]
    assert codes[0] == -signal.SIGKILL
    assert codes[-1] == 0
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "whole")


def test_a_part_is_computed_on_its_own_after_a_stop(source, tmp_path):
    whole, stopped, resumed = StubClassifier(), StubClassifier(), StubClassifier()
    run(source, tmp_path / "whole", classifier=whole)

    def stop(progress):
        if progress.n_parts == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "out", classifier=stopped, report=stop)
    run(source, tmp_path / "out", classifier=resumed)
    # A part is computed while the one before it is written: at most one has to be computed again.
    assert stopped.part_sizes[:2] + resumed.part_sizes == whole.part_sizes
    assert len(stopped.part_sizes) <= 3
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "whole")


@pytest.mark.parametrize("at", range(1, 12))
def test_a_full_disk_stops_the_run_and_room_lets_it_go_on(source, tmp_path, monkeypatch, at):
    run(source, tmp_path / "whole", output_format="csv")
    calls = 0
    write = formats.write_table
    append = run_folder.RunFolder.append_rejections

    def full(original):
        def failing(*arguments):
            nonlocal calls
            calls += 1
            if calls == at:
                raise OSError(errno.ENOSPC, "No space left on device")
            return original(*arguments)

        return failing

    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "write_table", full(write))
        patch.setattr(run_folder.RunFolder, "append_rejections", full(append))
        with pytest.raises(OSError, match="No space left"):
            run(source, tmp_path / "out", output_format="csv")
    run(source, tmp_path / "out", output_format="csv")
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "whole")


@pytest.mark.parametrize("damage", ["missing", "garbage"])
def test_a_lost_index_is_made_anew(source, tmp_path, damage):
    run(source, tmp_path / "whole")

    def stop(progress):
        if progress.n_parts == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "out", report=stop)
    index = tmp_path / "out" / "_work" / "index.sqlite"
    index.unlink() if damage == "missing" else index.write_bytes(b"no database" * 99)
    said = []
    run(source, tmp_path / "out", say=said.append)
    assert any("index is lost" in message for message in said)
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "whole")


def test_the_index_takes_back_what_was_not_finished(tmp_path):
    record = ctclassify.corpus.records.Record(file="f", row=1, article_id="a", text="One.")
    with CorpusIndex(tmp_path / "i.sqlite") as index:
        assert index.claim_id(record, 0) is None
        index.finish_part(0)
        assert index.claim_id(record, 1) == "f, row 1"
        index.roll_back_to(0)
        assert index.claim_id(record, 0) is None
    with CorpusIndex(tmp_path / "i.sqlite") as index:
        assert index.n_parts == 0
        assert index.claim_id(record, 0) is None


def test_other_settings_are_refused_with_the_difference(source, tmp_path):
    run(source, tmp_path / "out")
    with pytest.raises(RunFolderError, match=r"thresholds: attack was 0.5, is 0.9") as caught:
        run(source, tmp_path / "out", thresholds={"attack": 0.9})
    assert caught.value.differences == ("thresholds: attack was 0.5, is 0.9",)
    with pytest.raises(RunFolderError, match="output: with_text was True, is False"):
        run(source, tmp_path / "out", with_text=False)


def test_changed_inputs_are_refused_with_their_names(source, tmp_path):
    def stop(_progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "out", report=stop)
    source.write_text(source.read_text() + "\n")
    with pytest.raises(RunFolderError, match=r"in\.jsonl: sha256 was"):
        run(source, tmp_path / "out")
    source.with_name("in2.jsonl").write_text('{"text": "One."}\n')
    with pytest.raises(RunFolderError, match=r"in2\.jsonl was not there, is now"):
        run(tmp_path / "in*.jsonl", tmp_path / "out")


def test_an_input_that_changes_while_it_is_read_is_refused(source, tmp_path):
    def touch(_progress):
        os.utime(source, ns=(1, 1))

    with pytest.raises(CorpusError, match="changed while it was read"):
        run(source, tmp_path / "out", report=touch)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_an_altered_part_is_refused(source, tmp_path):
    run(source, tmp_path / "out")
    part = tmp_path / "out" / "sentences" / "part-000001.jsonl"
    part.write_bytes(part.read_bytes().replace(b"a", b"b", 1))
    with pytest.raises(RunFolderError, match=r"part-000001\.jsonl: is not as the run wrote it"):
        run(source, tmp_path / "out")


def test_two_runs_at_once_are_refused(source, tmp_path):
    def again(_progress):
        run(source, tmp_path / "out")

    with pytest.raises(RunFolderError, match="another run is at work"):
        run(source, tmp_path / "out", report=again)


def test_a_folder_with_other_files_is_refused(source, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(RunFolderError, match=r"holds 'thesis\.txt'"):
        run(source, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_a_finished_run_is_left_as_it_is(source, tmp_path):
    first = run(source, tmp_path / "out")
    before = snapshot(tmp_path / "out")
    idle = StubClassifier()
    assert run(source, tmp_path / "out", classifier=idle) == json.loads(json.dumps(first))
    assert idle.part_sizes == []
    assert snapshot(tmp_path / "out") == before


@pytest.mark.parametrize("fails_at", [1, 3])
def test_what_went_wrong_first_is_told(source, tmp_path, monkeypatch, fails_at):
    """A part that cannot be written, and the tagging of the next one that fails while it is written."""

    class Failing(StubClassifier):
        def predict_stream(self, articles, *, thresholds=None):
            if len(self.part_sizes) == fails_at + 1:
                raise RuntimeError("the next part")
            return super().predict_stream(articles, thresholds=thresholds)

    commit = run_folder.RunFolder.commit

    def full(self, number, record):
        if number == fails_at:
            raise OSError(errno.ENOSPC, "no space", "disk")
        commit(self, number, record)

    monkeypatch.setattr(run_folder.RunFolder, "commit", full)
    with pytest.raises(OSError, match="no space"):
        run(source, tmp_path / "out", classifier=Failing())
    monkeypatch.undo()
    run(source, tmp_path / "out")
    run(source, tmp_path / "whole")
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "whole")
