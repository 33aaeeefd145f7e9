"""Measure memory while sentences stream through ``predict_stream``: whether it is flat, and how high it gets.

    python scripts/measure_stream_memory.py --sentences 200000

The articles are made up of distinct sentences of 6 to 30 words, drawn from the gate's sentences with a fixed seed;
nothing of them is kept.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from pathlib import Path

import ctclassify
from ctclassify.gate import gate_sentences

_SENTENCES_AN_ARTICLE = 20


def articles(n_sentences: int) -> Iterator[str]:
    """Yield articles of sentences that do not repeat."""
    words = [word for text in gate_sentences().texts for word in text.rstrip('.!?"”’').split() if word.isalpha()]
    draw = random.Random(0)
    for start in range(0, n_sentences, _SENTENCES_AN_ARTICLE):
        numbers = range(start, min(start + _SENTENCES_AN_ARTICLE, n_sentences))
        yield " ".join(f"Report {n} {' '.join(draw.choices(words, k=draw.randint(6, 30)))}." for n in numbers)


def resident_mib(field: str) -> float:
    """Return a field of ``/proc/self/status`` in MiB: ``VmRSS`` now, ``VmHWM`` at most."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":")) / 1024


def main() -> None:
    """Print memory at ten points of the way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=200_000)
    parser.add_argument("--engine", default="auto")
    args = parser.parse_args()
    classifier = ctclassify.load(engine=args.engine)
    started = time.perf_counter()
    n_seen, next_report = 0, 0
    for article in classifier.predict_stream(articles(args.sentences)):
        n_seen += len(article.sentences)
        if n_seen >= next_report:
            rate = n_seen / (time.perf_counter() - started)
            now, most = resident_mib("VmRSS"), resident_mib("VmHWM")
            print(f"{n_seen:>9,} sentences: {now:.0f} MiB, at most {most:.0f} MiB, {rate:.0f} sentences/s", flush=True)
            next_report += args.sentences // 10
    print(f"{n_seen:>9,} sentences: at most {resident_mib('VmHWM'):.0f} MiB")


if __name__ == "__main__":
    main()
