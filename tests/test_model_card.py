"""What the card of the shipped model says of its data is what the data say."""

from __future__ import annotations

import csv
import re
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_dates_of_the_test_split_are_as_the_card_has_them():
    card = " ".join((ROOT / "models" / "ctclassify-minilm" / "README.md").read_text(encoding="utf-8").split())
    with (ROOT / "training" / "data" / "corpus" / "standoff.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    dates = {
        split: sorted(row["date"] for row in rows if row["split"] == split and row["source"] == "wcep")
        for split in ("train", "test")
    }
    years = {
        split: {
            re.findall(r"20\d\d", row["date"])[0] for row in rows if row["split"] == split and row["source"] != "wcep"
        }
        for split in ("train", "test")
    }
    last = dates["train"][-1]
    later = [day for day in dates["test"] if day > last]
    others = dates["test"][: -len(later)]
    said = (
        f"Of its {len(dates['test'])} Wikipedia sentences {len(later)} are of {month(later[0])} to {month(later[-1])}, "
        f"later than every labelled training sentence (the last is of {month(last)};"
    )
    assert said in card
    assert f"The other {len(others)} are of {month(others[0])} to {month(others[-1])}, and the 480 sentences" in card
    assert sum(row["split"] == "test" and row["source"] != "wcep" for row in rows) == 480
    assert years["test"] <= years["train"]


def month(day: str) -> str:
    """Return the month of an ISO date in words."""
    return f"{date.fromisoformat(day):%B %Y}"
