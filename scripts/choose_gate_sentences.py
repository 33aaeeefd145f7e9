"""Choose the gate's sentences from the project's validation and test articles: ``ctclassify/gate_sentences.json``.

    python scripts/choose_gate_sentences.py

The first sentences in the order of their SHA-256, and further ones with a label that too few of those have.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

from ctclassify.labels import LABEL_IDS
from training.data import read_labelled

_ROOT = Path(__file__).resolve().parents[1]
_DATA = [_ROOT / "training" / "data" / "project" / f"{split}.jsonl" for split in ("validation", "test")]
_OUTPUT = _ROOT / "ctclassify" / "gate_sentences.json"
_N_ANY = 400
_N_OF_EACH_LABEL = 40


def main() -> None:
    """Write the file."""
    sentences = read_labelled(_DATA, LABEL_IDS)
    labelled = sorted(
        dict(zip(sentences.texts, sentences.labels, strict=True)).items(),
        key=lambda pair: hashlib.sha256(pair[0].encode()).digest(),
    )
    counts: Counter[str] = Counter()
    chosen = []
    for n, (text, labels) in enumerate(labelled):
        if n < _N_ANY or any(counts[name] < _N_OF_EACH_LABEL for name in labels):
            chosen.append({"text": text, "labels": list(labels)})
            counts.update(labels)
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in chosen)
    _OUTPUT.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{len(chosen)} sentences; of each label: {dict(counts)}")


if __name__ == "__main__":
    main()
