"""Measure a run over many short articles: memory over time, and speed against the bare engine in the same run.

    python scripts/benchmark_corpus.py --articles 1000000 --out training/runs/benchmark-corpus

Between parts, now and then, the same part's texts are tagged by ``predict_stream`` alone: its time stands against the
time that the run took for a part, reading and writing included. Memory is this process's resident set, model included.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpus_articles import article_text, jsonl_lines

import ctclassify
from ctclassify.corpus.progress import Progress

_SAMPLE_S = 1.0
_MIB = 1 << 20


def resident_mib() -> float:
    """Return this process's resident memory, in MiB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / _MIB


@dataclass
class Meter:
    """Takes the time of parts, and of the bare engine on the texts of some of them."""

    classifier: ctclassify.SentenceClassifier
    part_articles: int
    every: int
    last: float = field(default_factory=time.monotonic)
    part_seconds: list[float] = field(default_factory=list)
    pairs: list[tuple[float, float]] = field(default_factory=list)
    memory: list[tuple[float, int, float]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    n_articles: int = 0

    def report(self, progress: Progress) -> None:
        """Note a part; compare it with the bare engine where its turn is."""
        seconds = time.monotonic() - self.last
        self.n_articles = progress.n_articles
        if not progress.is_finished:
            self.part_seconds.append(seconds)
            # Not the last part: nothing is computed while it is written.
            if progress.n_parts % self.every == 0 and progress.bytes_read < progress.n_bytes:
                first = (progress.n_parts - 1) * self.part_articles
                texts = [article_text(i) for i in range(first, first + self.part_articles)]
                start = time.monotonic()
                for _ in self.classifier.predict_stream(texts):
                    pass
                self.pairs.append((seconds, time.monotonic() - start))
        self.last = time.monotonic()

    def watch_memory(self, stop: threading.Event) -> None:
        """Note the memory every second."""
        while not stop.wait(_SAMPLE_S):
            self.memory.append((time.monotonic() - self.began, self.n_articles, resident_mib()))


def figures(meter: Meter, n_articles: int, manifest: dict[str, Any]) -> dict[str, Any]:
    """Return what was measured."""
    half = [each for each in meter.memory if each[1] >= n_articles // 2]
    # The first tenth fills caches of the runtime; what grows after it grows with the corpus.
    settled = [each[2] for each in meter.memory if n_articles // 10 <= each[1] < n_articles // 2]
    return {
        "n_articles": n_articles,
        "n_sentences": manifest["counts"]["n_sentences"],
        "n_near_copies": manifest["counts"]["n_near_copies"],
        "engine": manifest["engine"],
        "machines": manifest["machines"],
        "peak_mib": max((each[2] for each in meter.memory), default=None),
        "median_mib_first_half": statistics.median(settled) if settled else None,
        "median_mib_second_half": statistics.median(each[2] for each in half) if half else None,
        "median_part_seconds": statistics.median(meter.part_seconds),
        "rate_of_bare_engine": statistics.median(bare / run for run, bare in meter.pairs) if meter.pairs else None,
        "n_pairs": len(meter.pairs),
        "memory": [[round(seconds, 1), n, round(mib, 1)] for seconds, n, mib in meter.memory],
    }


def plot(path: Path, memory: list[list[float]]) -> None:
    """Draw memory over articles."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
    axes.plot([each[1] for each in memory], [each[2] for each in memory])
    axes.set(xlabel="articles written", ylabel="resident memory, MiB", ylim=(0, None))
    figure.savefig(path)


def main() -> None:
    """Generate the corpus, run it, write ``benchmark.json`` and ``memory.svg``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--articles", type=int, default=1_000_000)
    parser.add_argument("--part-articles", type=int, default=1000)
    parser.add_argument("--compare-every", type=int, default=20, help="parts between two comparisons with the engine")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    classifier = ctclassify.load(engine=options.engine)
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "articles.jsonl.gz"
        with gzip.open(source, "wb", compresslevel=1) as stream:
            stream.writelines(jsonl_lines(options.articles))
        meter = Meter(classifier, options.part_articles, options.compare_every)
        stop = threading.Event()
        watcher = threading.Thread(target=meter.watch_memory, args=(stop,))
        watcher.start()
        try:
            manifest = ctclassify.tag_corpus(
                source,
                Path(scratch) / "run",
                classifier=classifier,
                part_articles=options.part_articles,
                report=meter.report,
            )
        finally:
            stop.set()
            watcher.join()
    found = figures(meter, options.articles, manifest)
    (options.out / "benchmark.json").write_text(json.dumps(found) + "\n", encoding="utf-8")
    plot(options.out / "memory.svg", found["memory"])
    print(json.dumps({key: value for key, value in found.items() if key != "memory"}, indent=1))


if __name__ == "__main__":
    main()
