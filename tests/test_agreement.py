"""Agreement of two annotators: hand-worked figures, and files that cannot be compared."""

from __future__ import annotations

import json

import pytest

from training import agreement

HEAD = "split,annotator_a,annotator_b\n"


def write(path, *pairs):
    """Write an article whose sentences have these answers."""
    sentences = [{"start": 0, "end": 1, "annotator_a": a, "annotator_b": b} for a, b in pairs]
    path.write_text(json.dumps({"text": "A.", "sentences": sentences}) + "\n")
    return path


@pytest.mark.parametrize("turned", [False, True])
def test_figures_by_hand_are_the_same_either_way(tmp_path, capsys, turned):
    pairs = [(["attack"], ["attack"]), (["attack"], ["policy"]), ([], [])]
    path = write(tmp_path / "a.jsonl", *(pair[::-1] if turned else pair for pair in pairs))
    assert agreement.main([str(path)]) == 0
    # attack: 2 * 1 / (2 + 1), policy, which only one used: 0. Micro: 2 * 1 / (2 + 2).
    expected = "a.jsonl articles: 3 sentences, micro-F1 0.500, macro-F1 0.333, identical label sets 66.7%\n"
    assert capsys.readouterr().out == expected


def test_sentences_without_a_label_have_no_f1(tmp_path, capsys):
    assert agreement.main([str(write(tmp_path / "a.jsonl", ([], [])))]) == 0
    assert "micro-F1 -, macro-F1 -, identical label sets 100.0%" in capsys.readouterr().out


def test_a_sentence_may_stand_on_a_line_of_its_own_and_in_a_table(tmp_path, capsys):
    lines, table = tmp_path / "a.jsonl", tmp_path / "a.csv"
    lines.write_text('{"text": "A.", "annotator_a": ["attack"], "annotator_b": []}\n')
    table.write_text(HEAD + "train,,\ntest,attack|policy,attack|policy\n")
    assert agreement.main([str(lines), str(table)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "a.jsonl articles: 1 sentences, micro-F1 0.000, macro-F1 0.000, identical label sets 0.0%",
        "a.csv test: 1 sentences, micro-F1 1.000, macro-F1 1.000, identical label sets 100.0%",
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"text": "A.", "sentences": [{"annotator_a": ["attack"]}]}', "no sentence with two annotators"),
        ("a.jsonl", "", "no sentence with two annotators"),
        ("a.csv", f"{HEAD}train,,", "no sentence with two annotators"),
        (
            "a.jsonl",
            '{"annotator_a": ["arson"], "annotator_b": []}',
            "line 1: unknown label 'arson' in \"annotator_a\"",
        ),
        ("a.csv", f"{HEAD}test,attack,arson", "line 2: unknown label 'arson' in \"annotator_b\""),
        (
            "a.jsonl",
            '{"annotator_b": []}',
            'line 1: expected "annotator_a" as a list of labels, empty for none, got None',
        ),
        ("a.csv", f"{HEAD}test,attack", 'line 2: expected "annotator_b" as a list of labels'),
        ("a.csv", "split,labels\ntest,attack", "line 1: has no column annotator_a, annotator_b"),
        ("a.jsonl", '{"sentences": ["A."]}', 'line 1: expected "sentences" as a list of objects'),
        ("a.jsonl", "{", "line 1: not JSON"),
    ],
)
def test_a_file_that_cannot_be_compared_is_an_error(tmp_path, capsys, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    assert agreement.main([str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert str(path) in captured.err


@pytest.mark.parametrize("name", ["absent.jsonl", "absent.csv"])
def test_a_missing_file_is_an_error(tmp_path, capsys, name):
    assert agreement.main([str(tmp_path / name)]) == 2
    assert name in (error := capsys.readouterr().err)
    assert "cannot be read" in error


def test_a_table_that_is_not_utf_8_is_an_error(tmp_path, capsys):
    path = tmp_path / "a.csv"
    path.write_bytes(HEAD.encode() + b"test,\xff,\n")
    assert agreement.main([str(path)]) == 2
    assert "a.csv: cannot be read" in capsys.readouterr().err
