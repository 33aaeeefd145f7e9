"""The command line, run as a process: outputs, errors, exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ctclassify.labels import LABEL_IDS

# Variables by which a terminal or a CI service steers colours.
STEERING = {"FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "CLICOLOR", "CLICOLOR_FORCE"}
CLEAN = {key: value for key, value in os.environ.items() if key not in STEERING}

ARTICLE = "A bomb killed police in the town.\nRain on the river, rain in the bank.\n"


@pytest.fixture(scope="module")
def run(tiny_folder):
    """Run the command with the tiny model; return the finished process."""

    def call(*arguments: str, stdin: bytes = b"", model: bool = True, **environment: str):
        command = [sys.executable, "-c", "import sys; from ctclassify.cli import main; sys.exit(main())", *arguments]
        if model and arguments[0] in ("tag", "info"):
            command += ["--model", str(tiny_folder), "--engine", "openvino-fp32"]
        return subprocess.run(
            command, input=stdin, capture_output=True, check=False, env={**CLEAN, "COLUMNS": "80", **environment}
        )

    return call


@pytest.fixture
def article(tmp_path) -> Path:
    """A file with an article."""
    path = tmp_path / "article.txt"
    path.write_text(ARTICLE, encoding="utf-8")
    return path


def jsonl(process) -> list[dict]:
    """Return the objects of a process's output."""
    return [json.loads(line) for line in process.stdout.decode().splitlines()]


def test_jsonl_has_one_sentence_a_line_with_offsets_of_the_file(run, article):
    rows = jsonl(run("tag", "--format", "jsonl", str(article)))
    assert [row["index"] for row in rows] == [0, 1]
    assert [ARTICLE[row["start"] : row["end"]] for row in rows] == [row["text"] for row in rows]
    assert rows[0]["source"] == str(article)
    assert set(rows[0]["probabilities"]) == {"attack", "casualties", "policy"}


def test_csv_has_the_same_rows(run, article):
    process = run("tag", "--format", "csv", str(article))
    rows = list(csv.DictReader(io.StringIO(process.stdout.decode())))
    expected = jsonl(run("tag", "--format", "jsonl", str(article)))
    assert [row["text"] for row in rows] == [row["text"] for row in expected]
    assert [row["labels"] for row in rows] == ["|".join(row["labels"]) for row in expected]
    assert float(rows[0]["p_attack"]) == expected[0]["probabilities"]["attack"]


def test_json_is_one_document_with_provenance(run, article):
    document = json.loads(run("tag", "--format", "json", str(article), str(article)).stdout)
    assert len(document["articles"]) == 2
    assert document["provenance"]["engine"] == "openvino"
    assert document["provenance"]["precision"] == "fp32"
    assert len(document["provenance"]["sha256"]["model.safetensors"]) == 64
    assert document["failed_inputs"] == []


def test_provenance_states_the_thresholds_applied(run, article, tmp_path):
    absent = str(tmp_path / "absent.txt")
    process = run("tag", "--format", "json", "--min-probability", "0.9", "--labels", "policy", str(article), absent)
    document = json.loads(process.stdout)
    assert set(document["provenance"]["thresholds"].values()) == {0.9}
    assert document["provenance"]["labels"] == ["policy"]
    assert document["failed_inputs"] == [absent]


def test_csv_survives_a_lone_carriage_return(run, tmp_path):
    path = tmp_path / "cr.txt"
    path.write_bytes(b"The court\rraided the bank in the town, and rain fell in the river by the law.")
    rows = list(csv.DictReader(io.StringIO(run("tag", "--format", "csv", str(path)).stdout.decode(), newline="")))
    assert [row["text"] for row in rows] == [row["text"] for row in jsonl(run("tag", "--format", "jsonl", str(path)))]
    assert all(row["is_truncated"] == "false" for row in rows)


def test_json_without_articles_is_still_json(run, tmp_path):
    process = run("tag", "--format", "json", str(tmp_path / "absent.txt"))
    assert json.loads(process.stdout)["articles"] == []
    assert process.returncode == 1


def test_text_away_from_a_terminal_is_plain_one_sentence_a_line(run, article):
    out = run("tag", "--min-probability", "0", str(article)).stdout.decode()
    assert "\x1b" not in out
    assert "1  A bomb killed police in the town.\n" in out
    assert "attack" in out


def test_color_can_be_forced(run, article):
    process = run("tag", "--color", "always", "--min-probability", "0", str(article), NO_COLOR="1")
    assert b"\x1b[37;41m" in process.stdout  # white on red: attack


def test_text_cannot_steer_the_terminal(run, tmp_path):
    path = tmp_path / "evil.txt"
    path.write_bytes(b"A bomb \x1b]0;owned\x07\x1b[2J killed \xe2\x80\xae police \xc2\x9b31m.")
    out = run("tag", str(path)).stdout.decode()
    assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(out)


def test_standard_input_is_one_article(run):
    rows = jsonl(run("tag", "--format", "jsonl", "-", stdin=ARTICLE.encode()))
    assert [row["source"] for row in rows] == ["-", "-"]


def test_mixed_newlines_keep_the_offsets(run, tmp_path):
    path = tmp_path / "mixed.txt"
    raw = "A bomb in the town.\r\nRain in the bank.\rThe bill.\n\nThe law."
    path.write_bytes(raw.encode())
    rows = jsonl(run("tag", "--format", "jsonl", str(path)))
    assert [raw[row["start"] : row["end"]] for row in rows] == [row["text"] for row in rows]
    assert len(rows) == 4


def test_a_byte_order_mark_is_no_text(run, tmp_path):
    path = tmp_path / "bom.txt"
    path.write_bytes(b"\xef\xbb\xbfA bomb.")
    assert jsonl(run("tag", "--format", "jsonl", str(path)))[0]["text"] == "A bomb."


def test_labels_reduces_what_is_reported(run, article):
    options = ("--format", "jsonl", "--min-probability", "0")
    rows = jsonl(run("tag", *options, "--labels", "policy,attack", str(article)))
    assert all(row["labels"] == ["attack", "policy"] for row in rows)
    assert list(rows[0]["probabilities"]) == ["attack", "policy"]


def test_only_tagged_leaves_out_the_rest(run, article):
    options = ("--format", "jsonl", "--only-tagged")
    assert jsonl(run("tag", *options, "--min-probability", "1", str(article))) == []
    assert len(jsonl(run("tag", *options, "--min-probability", "0", str(article)))) == 2


def test_an_unknown_label_is_a_usage_error(run, article):
    process = run("tag", "--labels", "bombing", str(article))
    assert process.returncode == 2
    assert b"unknown label 'bombing'; known labels: attack, casualties, policy" in process.stderr
    assert process.stdout == b""


def test_an_unreadable_file_is_named_and_the_others_are_tagged(run, article, tmp_path):
    bad = tmp_path / "latin.txt"
    bad.write_bytes(b"caf\xe9 bomb")
    process = run("tag", "--format", "jsonl", str(bad), str(tmp_path / "absent.txt"), str(article))
    assert process.returncode == 1
    assert len(jsonl(process)) == 2
    assert b"latin.txt: not utf-8 text: byte 0xe9 at offset 3" in process.stderr
    assert b"--encoding" in process.stderr
    assert b"absent.txt: cannot be read: No such file" in process.stderr


def test_another_encoding_can_be_named(run, tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes("café bomb".encode("latin-1"))
    assert jsonl(run("tag", "--format", "jsonl", "--encoding", "latin-1", str(path)))[0]["text"] == "café bomb"
    assert run("tag", "--encoding", "klingon", str(path)).returncode == 2
    assert run("tag", "--encoding", "undefined", str(path)).returncode == 2


def test_a_file_name_cannot_steer_the_terminal(run, tmp_path):
    process = run("tag", str(tmp_path / "\x1b[2Jabsent.txt"))
    assert process.returncode == 1
    assert b"\x1b" not in process.stderr


@pytest.mark.parametrize("output_format", ["text", "jsonl", "csv", "json"])
def test_a_lone_surrogate_can_be_written(run, tmp_path, output_format):
    path = tmp_path / "odd.txt"
    path.write_bytes(b"A bomb +2AA- in the town.")  # UTF-7 for U+D800
    process = run("tag", "--format", output_format, "--encoding", "utf-7", str(path))
    assert process.returncode == 0, process.stderr
    if output_format == "jsonl":
        assert jsonl(process)[0]["text"] == "A bomb \ud800 in the town."


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux alone")
def test_a_file_name_that_is_no_utf8_gives_json_that_is(run, tmp_path):
    path = tmp_path / os.fsdecode(b"n\xe9.txt")
    path.write_bytes(b"A bomb.")
    (row,) = jsonl(run("tag", "--format", "jsonl", str(path)))
    assert row["source"].endswith("n\\xe9.txt")


def test_a_codec_that_fails_its_own_way_is_an_input_error(run, tmp_path):
    path = tmp_path / "odd.txt"
    path.write_bytes(b"xn--\xff..a")
    process = run("tag", "--encoding", "idna", str(path))
    assert process.returncode == 1
    assert b"not idna text" in process.stderr


@pytest.mark.parametrize("raw", [b"", b" \n\t\n"])
def test_an_empty_file_has_no_sentences(run, tmp_path, raw):
    path = tmp_path / "empty.txt"
    path.write_bytes(raw)
    assert run("tag", "--format", "jsonl", str(path)).stdout == b""
    process = run("tag", str(path))
    assert process.returncode == 0
    assert b"0 sentences" in process.stdout


def test_no_input_is_a_usage_error(run):
    assert run("tag").returncode == 2


def test_a_bad_model_folder_has_its_own_code(run, article, tmp_path):
    process = run("tag", "--model", str(tmp_path), str(article), model=False)
    assert process.returncode == 3
    assert b"ctclassify.json is missing" in process.stderr


def test_output_goes_to_a_file_whole(run, article, tmp_path):
    out = tmp_path / "out.jsonl"
    process = run("tag", "--format", "jsonl", "-o", str(out), str(article))
    assert (process.returncode, process.stdout) == (0, b"")
    assert len(out.read_text().splitlines()) == 2
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_output_is_written_through_a_link(run, article, tmp_path):
    target, link = tmp_path / "target.jsonl", tmp_path / "link.jsonl"
    target.write_text("old")
    link.symlink_to(target)
    assert run("tag", "--format", "jsonl", "-o", str(link), str(article)).returncode == 0
    assert link.is_symlink()
    assert len(target.read_text().splitlines()) == 2


def test_an_unwritable_output_is_an_error(run, article, tmp_path):
    process = run("tag", "-o", str(tmp_path / "no" / "such" / "folder.txt"), str(article))
    assert process.returncode == 4
    assert b"cannot write the output" in process.stderr


def test_an_output_stays_as_it_was_where_no_input_could_be_read(run, tmp_path):
    out = tmp_path / "keep.txt"
    out.write_text("precious")
    process = run("tag", str(tmp_path / "absent.txt"), "-o", str(out))
    assert process.returncode == 1
    assert out.read_text() == "precious"
    assert b"stays as it was" in process.stderr


def test_an_input_is_no_output(run, article):
    process = run("tag", str(article), "-o", str(article))
    assert process.returncode == 2
    assert article.read_text() == ARTICLE


def test_a_dash_is_standard_output(run, article):
    assert len(jsonl(run("tag", "--format", "jsonl", "-o", "-", str(article)))) == 2


def test_standard_input_is_named_once(run):
    assert run("tag", "-", "-").returncode == 2


@pytest.mark.parametrize(("closed", "code"), [(">&-", 4), ("<&-", 1)])
def test_closed_streams_are_no_bug(tiny_folder, closed, code):
    command = f"'{sys.executable}' -m ctclassify tag --model '{tiny_folder}' - {closed}"
    process = subprocess.run(["bash", "-c", command], capture_output=True, check=False, stdin=subprocess.DEVNULL)
    assert process.returncode == code
    assert b"Traceback" not in process.stderr


def test_labels_may_be_named_in_turn(run, article):
    options = ("--format", "jsonl", "--min-probability", "0", "--labels", "policy", "--labels", "attack")
    assert jsonl(run("tag", *options, str(article)))[0]["labels"] == ["attack", "policy"]


def test_a_view_without_tagged_sentences_says_so(run, article):
    out = run("tag", "--only-tagged", "--min-probability", "1", str(article)).stdout.decode()
    assert "(no sentence carries a reported label)" in out


def test_a_folder_is_no_output(run, article, tmp_path):
    assert run("tag", "-o", str(tmp_path), str(article)).returncode == 4


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("how", ["option", "redirect"])
def test_a_full_disk_is_an_error(tiny_folder, article, how):
    command = [sys.executable, "-m", "ctclassify", "tag", "--model", str(tiny_folder), str(article)]
    if how == "option":
        process = subprocess.run([*command, "-o", "/dev/full"], capture_output=True, check=False)
    else:
        with Path("/dev/full").open("wb") as full:
            process = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert process.returncode == 4
    assert b"No space left" in process.stderr
    assert b"Traceback" not in process.stderr


@pytest.mark.parametrize("output_format", ["text", "jsonl"])
def test_a_closed_pipe_ends_quietly(tiny_folder, tmp_path, output_format):
    path = tmp_path / "long.txt"
    path.write_text("A bomb killed police in the town.\n" * 5000)
    command = f"'{sys.executable}' -m ctclassify tag --model '{tiny_folder}' --format {output_format} '{path}'"
    script = f"set -o pipefail; {command} | head -n 1 >/dev/null; exit ${{PIPESTATUS[0]}}"
    process = subprocess.run(["bash", "-c", script], capture_output=True, check=False)
    assert process.returncode == 141
    assert process.stderr == b""


def test_labels_lists_all(run):
    out = run("labels").stdout.decode()
    assert all(name in out for name in LABEL_IDS)
    assert [row["id"] for row in json.loads(run("labels", "--format", "json").stdout)] == list(LABEL_IDS)


def test_labels_shows_one_in_full(run):
    out = run("labels", "threat").stdout.decode()
    assert "Definition" in out
    assert "CAMEO" in out
    assert run("labels", "bombing").returncode == 2


def test_info_states_engine_precision_versions_and_checksums(run):
    record = json.loads(run("info", "--format", "json").stdout)
    assert (record["engine"], record["precision"]) == ("openvino", "fp32")
    assert set(record["versions"]) >= {"python", "openvino", "tokenizers"}
    assert record["sha256"]["tokenizer.json"] in run("info", COLUMNS="200").stdout.decode()


def test_help_lists_the_exit_codes(run):
    assert b"141" in run("--help").stdout
    assert run("--version").stdout.startswith(b"ctclassify ")


@pytest.mark.parametrize("output_format", ["json", "jsonl", "csv", "text"])
def test_an_unknown_set_of_thresholds_is_a_usage_error(run, article, output_format):
    done = run("tag", "--format", output_format, "--thresholds", "f9", str(article))
    assert done.returncode == 2
    assert "no set of thresholds named 'f9'" in done.stderr.decode()
    assert done.stdout == b""
