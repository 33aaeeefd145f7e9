"""Compare inference engines on one model: speed side by side, agreement with the torch reference.

    python scripts/benchmark_engines.py --data training/data/project/test.jsonl --rounds 5

Every engine scores the same sentences, tokenisation included, in interleaved rounds; medians are reported, as ratios
to the
transformers pipeline in batches of 32. ONNX Runtime joins where ``onnx`` and ``onnxruntime`` are installed: it gets
the same torch model, exported, and the same batches as the others.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table
from transformers import AutoConfig, AutoTokenizer, pipeline

import ctclassify
from ctclassify.classifier import SentenceClassifier
from ctclassify.errors import EngineError
from ctclassify.shipped import shipped_model_path
from ctclassify.torch_model import load_torch_model
from training.data import read_labelled

_Scores = npt.NDArray[np.float32]


class OnnxRuntimeEngine:
    """The torch model in ONNX Runtime, float32; stands in for an engine of the package, for this comparison alone."""

    name = "onnxruntime"
    precision = "fp32"
    device = "cpu"

    def __init__(self, folder: Path, scratch: Path) -> None:
        import onnxruntime

        self.version = onnxruntime.__version__
        model = load_torch_model(folder, AutoConfig.from_pretrained(folder), attn_implementation="eager").eval()
        example = torch.ones((2, 8), dtype=torch.long)
        path = scratch / "model.onnx"
        axes = {0: "batch", 1: "tokens"}
        torch.onnx.export(
            model,
            (example, example),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "logits": {0: "batch"}},
            dynamo=False,
        )
        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def probabilities(self, input_ids: npt.NDArray[np.int32], n_tokens: npt.NDArray[np.int32]) -> _Scores:
        """Score a batch."""
        mask = np.arange(input_ids.shape[1])[None] < n_tokens[:, None]
        feed = {"input_ids": input_ids.astype(np.int64), "attention_mask": mask.astype(np.int64)}
        (logits,) = self._session.run(None, feed)
        return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float32)


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=shipped_model_path())
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="labelled JSON lines")
    parser.add_argument("--limit", type=int, default=1000, help="sentences")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    classifier = ctclassify.load(args.model, engine="torch-cpu")
    texts = list(read_labelled(args.data, classifier.label_names).texts[: args.limit])
    with tempfile.TemporaryDirectory() as scratch:
        contenders = _contenders(args.model, classifier, Path(scratch))
        report = _compare(contenders, texts, np.array(list(classifier.thresholds.values())), args.rounds)
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    table = Table(title=f"{len(texts)} sentences, {args.rounds} rounds, {torch.get_num_threads()} threads")
    for heading in ("engine", "sentences/s", "x pipeline", "max difference", "decisions changed"):
        table.add_column(heading, justify="left" if heading == "engine" else "right")
    for name, row in report.items():
        changed = f"{row['n_changed']} of {row['n_decisions']}"
        table.add_row(name, f"{row['rate']:.0f}", f"{row['ratio']:.2f}", f"{row['max_difference']:.1e}", changed)
    Console().print(table)


def _contenders(model: Path, reference: SentenceClassifier, scratch: Path) -> dict[str, Callable[[list[str]], _Scores]]:
    """Return what is compared, the yardstick first and the torch reference second."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    usual = pipeline(
        "text-classification",
        model=load_torch_model(model, AutoConfig.from_pretrained(model)),
        tokenizer=tokenizer,
        top_k=None,
        function_to_apply="sigmoid",
    )

    def by_pipeline(texts: list[str]) -> _Scores:
        rows = usual(texts, batch_size=32, truncation=True, max_length=512)
        by_name = [{entry["label"]: entry["score"] for entry in row} for row in rows]
        return np.array([[row[name] for name in reference.label_names] for row in by_name], dtype=np.float32)

    contenders: dict[str, Callable[[list[str]], _Scores]] = {
        "transformers pipeline, batch 32": by_pipeline,
        "torch fp32": reference.predict_proba,
    }
    for name in ("openvino-fp32", "openvino-bf16"):
        try:
            contenders[name] = ctclassify.load(model, engine=name).predict_proba
        except EngineError as error:
            print(f"{name}: {error}")
    if find_spec("onnx") and find_spec("onnxruntime"):
        engine: Any = OnnxRuntimeEngine(model, scratch)
        contenders["onnxruntime fp32"] = SentenceClassifier(reference.folder, engine).predict_proba
    return contenders


def _compare(
    contenders: dict[str, Callable[[list[str]], _Scores]],
    texts: list[str],
    thresholds: npt.NDArray[np.float64],
    n_rounds: int,
) -> dict[str, dict[str, float]]:
    """Time each contender in each round; compare its scores with the torch reference's."""
    scores = {name: score(texts) for name, score in contenders.items()}  # the first pass also warms up
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(n_rounds):
        for name, score in contenders.items():
            started = time.perf_counter()
            score(texts)
            seconds[name].append(time.perf_counter() - started)
    reference = scores["torch fp32"]
    rates = {name: len(texts) / statistics.median(its) for name, its in seconds.items()}
    yardstick = next(iter(rates.values()))
    return {
        name: {
            "rate": rates[name],
            "ratio": rates[name] / yardstick,
            "max_difference": float(np.abs(scores[name] - reference).max()),
            "n_changed": int(((scores[name] >= thresholds) != (reference >= thresholds)).sum()),
            "n_decisions": reference.size,
        }
        for name in contenders
    }


if __name__ == "__main__":
    main()
