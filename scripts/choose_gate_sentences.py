"""Make the gate's sentences from the project's validation and test articles: ``ctclassify/gate_sentences.json``.

    python scripts/choose_gate_sentences.py

All of them: with fewer, a single changed decision moves a rare label's F1 by more than the gate allows.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from ctclassify.labels import LABEL_IDS
from training.data import read_labelled

_ROOT = Path(__file__).resolve().parents[1]
_DATA = [_ROOT / "training" / "data" / "project" / f"{split}.jsonl" for split in ("validation", "test")]
_OUTPUT = _ROOT / "ctclassify" / "gate_sentences.json"


def main() -> None:
    """Write the file."""
    sentences = read_labelled(_DATA, LABEL_IDS)
    labelled = dict(zip(sentences.texts, sentences.labels, strict=True))
    rows = [json.dumps({"text": text, "labels": list(labels)}, ensure_ascii=False) for text, labels in labelled.items()]
    _OUTPUT.write_text("[\n" + ",\n".join(rows) + "\n]\n", encoding="utf-8")
    counts = Counter(name for labels in labelled.values() for name in labels)
    print(f"{len(labelled)} sentences; of each label: {dict(counts)}")


if __name__ == "__main__":
    main()
