"""The project's own labelled articles: whole, consistent, split by article."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from ctclassify.labels import LABEL_IDS
from training import agreement

FOLDER = Path(agreement.__file__).parent / "data" / "project"
TRAINING = ("train", "train-more", "train-later", "train-further")
SPLITS = (*TRAINING, "validation", "test", "test-further")


@pytest.fixture(scope="module")
def articles() -> dict[str, list[dict]]:
    """The articles of each split."""
    return {
        split: [json.loads(line) for line in (FOLDER / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]
        for split in SPLITS
    }


def test_there_are_enough(articles):
    everything = [article for its in articles.values() for article in its]
    assert len(everything) >= 60
    assert sum(len(article["sentences"]) for article in everything) >= 900


def test_no_article_stands_in_two_splits(articles):
    ids = [article["id"] for its in articles.values() for article in its]
    assert len(ids) == len(set(ids))


def test_sentences_cover_the_text_in_order(articles):
    for its in articles.values():
        for article in its:
            text, position = article["text"], 0
            for sentence in article["sentences"]:
                assert text[position : sentence["start"]].strip() == ""
                assert (
                    text[sentence["start"] : sentence["end"]].strip() == text[sentence["start"] : sentence["end"]] != ""
                )
                position = sentence["end"]
            assert text[position:].strip() == ""


def test_no_sentence_occurs_in_two_splits(articles):
    seen = {
        split: {a["text"][s["start"] : s["end"]] for a in its for s in a["sentences"] if s["end"] - s["start"] > 30}
        for split, its in articles.items()
    }
    assert not set().union(*(seen[split] for split in TRAINING)) & (
        seen["validation"] | seen["test"] | seen["test-further"]
    )
    assert not seen["validation"] & seen["test"]


def test_labels_are_the_codebooks_in_its_order(articles):
    for its in articles.values():
        for article in its:
            for sentence in article["sentences"]:
                assert sentence["labels"] == [name for name in LABEL_IDS if name in sentence["labels"]]


def test_rare_labels_are_well_covered(articles):
    counts = Counter(n for its in articles.values() for a in its for s in a["sentences"] for n in s["labels"])
    for name in ("terrorist_financing", "radicalization", "policy", "responsibility_claim"):
        assert counts[name] >= 150
    assert min(counts[name] for name in LABEL_IDS) >= 50


def test_genres_regions_and_decades_vary(articles):
    everything = [article for its in articles.values() for article in its]
    assert len({article["genre"] for article in everything}) >= 7
    assert len({article["region"] for article in everything}) >= 10
    assert len({article["date"][:3] for article in everything}) >= 5
    assert {"british", "american", "south_asian", "african"} <= {article["variety"] for article in everything}


def test_agreement_is_reported(capsys):
    assert agreement.main([str(FOLDER / "test.jsonl")]) == 0
    assert "micro-F1 0.9" in capsys.readouterr().out
