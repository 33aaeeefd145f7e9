"""Compare sentence splitters on the passages of tests/data/splitting_passages.jsonl: boundaries, whole passages, speed.

A boundary is the end of a sentence other than the last of its passage. Boundaries are compared by the number of visible
characters before them (neither whitespace nor zero-width), so that a splitter may put what lies between two sentences
on either side.

    python scripts/benchmark_splitting.py
    python scripts/benchmark_splitting.py --split dev --json figures.json
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import time
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path

from ctclassify.splitting import split_sentences

DEFAULT_PASSAGES = Path(__file__).resolve().parent.parent / "tests" / "data" / "splitting_passages.jsonl"
SPLITS = ("dev", "held_out", "all")
N_ROUNDS = 5
BENCHMARK_BYTES = 100_000

Splitter = Callable[[str], list[str]]


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A passage with its sentences as a reader parted them."""

    id: str
    category: str
    split: str
    text: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Figures of one splitter on some passages."""

    n_passages: int
    n_boundaries: int
    precision: float
    recall: float
    f1: float
    exact: float


def load_passages(path: Path) -> list[Passage]:
    """Read passages; the text of each is its sentences with its separators between them."""
    passages = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            pieces = zip(row["sentences"], [*row["separators"], ""], strict=True)
            text = "".join(sentence + separator for sentence, separator in pieces)
            passages.append(
                Passage(
                    id=row["id"],
                    category=row["category"],
                    split=row["split"],
                    text=text,
                    sentences=tuple(row["sentences"]),
                )
            )
    return passages


def n_visible(text: str) -> int:
    """Return the number of characters that are neither whitespace nor zero-width."""
    return sum(not character.isspace() and unicodedata.category(character) != "Cf" for character in text)


def boundaries(sentences: Iterable[str]) -> frozenset[int]:
    """Return the boundaries between sentences, as numbers of visible characters before them."""
    counts = [count for count in map(n_visible, sentences) if count]
    return frozenset(list(accumulate(counts))[:-1])


def score(split: Splitter, passages: list[Passage]) -> Scores:
    """Score a splitter; precision is NaN without a predicted boundary, recall without a true one."""
    n_hits = n_predicted = n_true = n_exact = 0
    for passage in passages:
        true, predicted = boundaries(passage.sentences), boundaries(split(passage.text))
        n_hits += len(true & predicted)
        n_predicted += len(predicted)
        n_true += len(true)
        n_exact += true == predicted
    nan = float("nan")
    return Scores(
        n_passages=len(passages),
        n_boundaries=n_true,
        precision=n_hits / n_predicted if n_predicted else nan,
        recall=n_hits / n_true if n_true else nan,
        f1=2 * n_hits / (n_predicted + n_true) if n_predicted + n_true else nan,
        exact=n_exact / len(passages) if passages else nan,
    )


def split_ours(text: str) -> list[str]:
    """Split with ctclassify."""
    return [text[start:end] for start, end in split_sentences(text)]


def load_nupunkt() -> Splitter:
    """Load nupunkt with the model that it ships."""
    nupunkt = importlib.import_module("nupunkt")
    return lambda text: [text[start:end] for start, end in nupunkt.sent_spans(text)]


def load_pysbd() -> Splitter:
    """Load pysbd for English."""
    segmenter = importlib.import_module("pysbd").Segmenter(language="en", clean=False)
    return lambda text: list(segmenter.segment(text))


def load_splitters() -> dict[str, Splitter]:
    """Load the splitters that are installed, ours first."""
    splitters: dict[str, Splitter] = {"ctclassify": split_ours}
    for name, load in (("nupunkt", load_nupunkt), ("pysbd", load_pysbd)):
        try:
            splitters[name] = load()
        except ImportError:
            print(f"{name} is not installed: left out")
    return splitters


def measure_speed(splitters: dict[str, Splitter], passages: list[Passage]) -> dict[str, float]:
    """Return MB (10**6 bytes of UTF-8) per second, median over rounds in which the splitters take turns."""
    joined = "\n\n".join(passage.text for passage in passages) + "\n\n"
    text = joined * max(1, round(BENCHMARK_BYTES / len(joined.encode())))
    megabytes = len(text.encode()) / 1e6
    seconds: dict[str, list[float]] = {name: [] for name in splitters}
    for _ in range(N_ROUNDS):
        for name, split in splitters.items():
            start = time.perf_counter()
            split(text)
            seconds[name].append(time.perf_counter() - start)
    return {name: megabytes / statistics.median(times) for name, times in seconds.items()}


def print_scores(rows: dict[tuple[str, str], Scores], speeds: dict[str, float]) -> None:
    """Print a line for each splitter and split."""
    print(f"\n{'splitter':<11}{'split':<9}{'passages':>9}{'P':>8}{'R':>8}{'F1':>8}{'exact':>8}{'MB/s':>8}")
    for (name, part), row in rows.items():
        figures = "".join(f"{value:8.4f}" for value in (row.precision, row.recall, row.f1, row.exact))
        print(f"{name:<11}{part:<9}{row.n_passages:>9}{figures}{speeds[name]:8.2f}")


def print_categories(categories: dict[str, Scores]) -> None:
    """Print the F1 of our splitter in each category."""
    print(f"\n{'category (ctclassify)':<24}{'passages':>9}{'F1':>8}{'exact':>8}")
    for category, row in categories.items():
        print(f"{category:<24}{row.n_passages:>9}{row.f1:8.4f}{row.exact:8.4f}")


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--passages", type=Path, default=DEFAULT_PASSAGES, help="JSON lines to read")
    parser.add_argument("--split", choices=SPLITS, default="all", help="look at these passages only (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    arguments = parser.parse_args()

    passages = [p for p in load_passages(arguments.passages) if arguments.split in ("all", p.split)]
    splitters = load_splitters()
    parts = SPLITS if arguments.split == "all" else (arguments.split,)
    rows = {
        (name, part): score(split, [p for p in passages if part in ("all", p.split)])
        for name, split in splitters.items()
        for part in parts
    }
    categories = {
        category: score(split_ours, [p for p in passages if p.category == category])
        for category in sorted({p.category for p in passages})
    }
    speeds = measure_speed(splitters, passages)
    print_scores(rows, speeds)
    print_categories(categories)
    if arguments.json:
        figures = {
            "scores": [{"splitter": name, "split": part, **asdict(row)} for (name, part), row in rows.items()],
            "megabytes_per_s": speeds,
            "categories": {category: asdict(row) for category, row in categories.items()},
        }
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
