"""A stand-in for a model, quick and without a heavy library, and a run of it that can be killed at any step.

    python tests/corpus_stub.py INPUT OUT FORMAT KILL_AT

kills itself with SIGKILL before the KILL_AT-th call that changes the disk; 0 never does.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ctclassify import Article, Sentence, split_sentences, tag_corpus

LABELS = ("attack", "court")


class StubClassifier:
    """Probabilities from a checksum of the sentence."""

    label_names = LABELS
    thresholds = dict.fromkeys(LABELS, 0.5)
    threshold_sets = {"f2": dict.fromkeys(LABELS, 0.25)}  # noqa: RUF012

    def __init__(self) -> None:
        self.part_sizes: list[int] = []

    def info(self) -> dict[str, Any]:
        return {
            "sha256": {"model": "stub"},
            "engine": "stub",
            "engine_version": "1",
            "precision": "fp32",
            "device": "x",
        }

    def predict_stream(self, articles: Sequence[str], *, thresholds: Any = None) -> Iterator[Article]:
        self.part_sizes.append(len(articles))
        limits = thresholds or self.thresholds
        for text in articles:
            sentences = tuple(self._tag(text, a, b, limits) for a, b in split_sentences(text))
            labels = tuple(name for name in LABELS if any(name in each.labels for each in sentences))
            yield Article(text=text, sentences=sentences, labels=labels)

    def _tag(self, text: str, start: int, end: int, limits: dict[str, float]) -> Sentence:
        digest = hashlib.sha256(text[start:end].encode()).digest()
        probabilities = {name: digest[i] / 256 for i, name in enumerate(LABELS)}
        labels = tuple(name for name in LABELS if probabilities[name] >= limits[name])
        return Sentence(
            text=text[start:end],
            start=start,
            end=end,
            labels=labels,
            probabilities=probabilities,
            is_truncated=False,
            expected_errors=probabilities["attack"] / 2,
            needs_review=probabilities["attack"] > 0.75,
        )


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return the final output of a run: every file but the log and the work folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "run.log" and "_work" not in path.parts
    }


def count_changes(before: Callable[[int, str], None]) -> None:
    """Call ``before`` with a number and a name ahead of every call of ours that changes the disk."""
    n_calls = 0

    def watch(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            nonlocal n_calls
            n_calls += 1
            before(n_calls, name)
            return original(*arguments, **options)

        setattr(owner, name, watched)

    from ctclassify.corpus import files, index, run_folder

    watch(os, "fsync")
    watch(Path, "replace")
    watch(Path, "unlink")
    watch(run_folder.RunFolder, "append_rejections")
    watch(run_folder.RunFolder, "commit")
    watch(index.CorpusIndex, "finish_part")
    watch(index.CorpusIndex, "claim_id")
    watch(files._HashingFile, "write")


def main(source: str, out: str, output_format: str, kill_at: int) -> None:
    """Run the stub over a corpus; die on the way if told to."""

    def die(n_calls: int, _name: str) -> None:
        if n_calls == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    count_changes(die)
    tag_corpus(source, out, classifier=StubClassifier(), output_format=output_format, part_articles=3)


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))
