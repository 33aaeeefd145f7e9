"""Sentences with other nationalities and religions keep their targets."""

from __future__ import annotations

import json
import random

import pytest

from training import swap_names
from training.swap_names import swap

KINDS = {"nationality": ("British", "Afghan", "Kenyan"), "religion": ("Muslim", "Sikh")}


def test_a_word_is_replaced_everywhere_by_one_other_with_its_article():
    text = "A British envoy met a Muslim cleric and another British man."
    swapped = swap(text, KINDS, random.Random(0))
    other = "Afghan" if "Afghan" in swapped else "Kenyan"
    article = "An" if other == "Afghan" else "A"
    assert swapped == f"{article} {other} envoy met a Sikh cleric and another {other} man."


def test_two_words_never_become_one():
    kinds = {"nationality": ("British", "Afghan", "Kenyan", "Danish")}
    for seed in range(10):
        swapped = swap("British and Afghan troops.", kinds, random.Random(seed))
        assert {"Kenyan", "Danish"} == {word for word in kinds["nationality"] if word in swapped}


@pytest.mark.parametrize(
    "text",
    [
        "The Muslim Brotherhood met.",
        "South British troops.",
        "He flew with Royal British Airways.",
        "The Anglo-British pact.",
        "Rain fell.",
    ],
)
def test_names_are_left_alone(text):
    assert swap(text, KINDS, random.Random(0)) is None


def test_plurals_stay():
    assert swap("Three Muslims prayed.", KINDS, random.Random(0)) == "Three Sikhs prayed."


def test_words_without_a_plural_are_not_given_one():
    kinds = {"nationality": ("Kenyan", "British", "Japanese", "Iraqi")}
    assert swap("Three Kenyans left.", kinds, random.Random(0)) is None


def test_a_vowel_that_sounds_like_a_consonant_takes_a():
    assert swap("An Afghan envoy.", {"n": ("Afghan", "Ukrainian")}, random.Random(0)) == "A Ukrainian envoy."


def test_a_bad_line_is_named(tmp_path, capsys):
    soft = tmp_path / "soft.jsonl"
    soft.write_text('{"text": 3}\n')
    assert swap_names.main(["--soft", str(soft), "--output", str(tmp_path / "out.jsonl")]) == 2
    assert "line 1: expected an object" in capsys.readouterr().err


def test_targets_are_kept_and_the_seed_decides(tmp_path):
    soft, outputs = tmp_path / "soft.jsonl", [tmp_path / f"{name}.jsonl" for name in "ab"]
    rows = [{"text": f"A Danish envoy spoke {i} times.", "probabilities": {"attack": i / 100}} for i in range(50)]
    soft.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for output in outputs:
        assert swap_names.main(["--soft", str(soft), "--output", str(output)]) == 0
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    written = [json.loads(line) for line in outputs[0].read_text().splitlines()]
    assert 10 < len(written) < 40
    for row in written:
        i = int(row["text"].split()[-2])
        assert row["probabilities"] == {"attack": i / 100}
        assert "Danish" not in row["text"]
