"""The contenders of ``benchmark.py``, each run in a process of its own.

    python scripts/benchmark_contenders.py NAME TASK.json

Reads commands from standard input, one a line, and answers each with a line of JSON on standard output. Heavy libraries
are imported by the contender that needs them, so that each one's cold start and memory are its own.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]
Score = Callable[[list[str]], Scores]


def pipeline(task: dict[str, Any], batch_size: int) -> Score:
    """Return the usual way: a transformers pipeline."""
    from transformers import AutoConfig, AutoTokenizer
    from transformers import pipeline as make

    from ctclassify.torch_model import load_torch_model

    config = AutoConfig.from_pretrained(task["model"])
    usual = make(
        "text-classification",
        model=load_torch_model(Path(task["model"]), config),
        tokenizer=AutoTokenizer.from_pretrained(task["model"]),
        top_k=None,
        function_to_apply="sigmoid",
    )
    names = [config.id2label[i] for i in range(len(config.id2label))]

    def score(texts: list[str]) -> Scores:
        rows = usual(texts, batch_size=batch_size, truncation=True, max_length=512)
        by_name = [{entry["label"]: entry["score"] for entry in row} for row in rows]
        return np.array([[row[name] for name in names] for row in by_name], dtype=np.float32)

    return score


def _sorted_batches(task: dict[str, Any], run: Callable[[Any, Any], Scores]) -> Score:
    """Return a contender that gives a function padded token ids and masks, texts of like length together."""
    from ctclassify.batching import batch_sizes, iter_batches
    from ctclassify.tokenization import TextEncoder

    encoder = TextEncoder(Path(task["model"]) / "tokenizer.json", 512)

    def score(texts: list[str]) -> Scores:
        ids = [windows[:512] for windows in encoder.encode(texts).ids]
        result = np.zeros((len(ids), task["n_labels"]), dtype=np.float32)
        for chosen, _ in iter_batches([len(each) for each in ids], batch_sizes(4096), max_tokens=512):
            n_tokens = np.array([len(ids[i]) for i in chosen])
            mask = np.arange(n_tokens.max()) < n_tokens[:, None]
            matrix = np.zeros(mask.shape, dtype=np.int64)
            matrix[mask] = np.concatenate([ids[i] for i in chosen])
            result[chosen] = run(matrix, mask.astype(np.int64))
        return result

    return score


def transformers_sorted(task: dict[str, Any]) -> Score:
    """Return the same torch model with texts of like length together: the float32 reference."""
    import torch
    from transformers import AutoConfig

    from ctclassify.torch_model import load_torch_model

    model = load_torch_model(Path(task["model"]), AutoConfig.from_pretrained(task["model"])).eval()

    def run(ids: Any, mask: Any) -> Scores:
        with torch.inference_mode():
            logits = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits
        return np.asarray(torch.sigmoid(logits).numpy(), dtype=np.float32)

    return _sorted_batches(task, run)


def onnxruntime(task: dict[str, Any]) -> Score:
    """Return ONNX Runtime in float32, texts of like length together; the graph is what ``prepare`` exported."""
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.intra_op_num_threads = task["n_threads"]
    session = runtime.InferenceSession(task["scratch"] + "/model.onnx", options, providers=["CPUExecutionProvider"])

    def run(ids: Any, mask: Any) -> Scores:
        (logits,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
        return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float32)

    return _sorted_batches(task, run)


def sentence_transformers(task: dict[str, Any]) -> Score:
    """Return what a SetFit model runs: a sentence-transformers encoder, and logistic regression for each label.

    The encoder is the shipped one, so its F1 is no measure of SetFit's training, which is not run here.
    """
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(task["scratch"] + "/encoder", device="cpu")
    head = np.load(task["scratch"] + "/head.npz")

    def score(texts: list[str]) -> Scores:
        vectors = encoder.encode(texts, batch_size=32, show_progress_bar=False)
        return np.asarray(1 / (1 + np.exp(-(vectors @ head["weight"].T + head["bias"]))), dtype=np.float32)

    return score


def spacy(task: dict[str, Any]) -> Score:
    """Return spaCy's multi-label text classifier: its default ensemble of n-grams and a small network."""
    from spacy import load

    nlp = load(task["scratch"] + "/spacy")

    def score(texts: list[str]) -> Scores:
        docs = nlp.pipe(texts, batch_size=256)
        return np.array([[doc.cats[name] for name in task["label_names"]] for doc in docs], dtype=np.float32)

    return score


class Ours:
    """ctclassify with an engine; a short article goes to it as text, which it splits itself."""

    def __init__(self, task: dict[str, Any], engine: str) -> None:
        import ctclassify

        self._classifier = ctclassify.load(task["model"], engine=engine)
        self.precision = self._classifier.engine.precision

    def __call__(self, texts: list[str]) -> Scores:
        """Score texts."""
        return self._classifier.predict_proba(texts)

    def article(self, sentences: list[str]) -> None:
        """Tag an article of these sentences."""
        self._classifier.predict_article(" ".join(sentences))


CONTENDERS: dict[str, Callable[[dict[str, Any]], Score]] = {
    "transformers pipeline, batch 1": lambda task: pipeline(task, 1),
    "transformers pipeline, batch 32": lambda task: pipeline(task, 32),
    "transformers, sorted batches": transformers_sorted,
    "sentence-transformers + logistic regression": sentence_transformers,
    "spaCy textcat": spacy,
    "ONNX Runtime fp32, sorted batches": onnxruntime,
    "ctclassify fp32": lambda task: Ours(task, "openvino-fp32"),
    "ctclassify int8": lambda task: Ours(task, "openvino-int8"),
    "ctclassify": lambda task: Ours(task, "auto"),
    "ctclassify, smaller model": lambda task: Ours({**task, "model": task["smaller"]}, "auto"),
}
"""By name, in the order of the report."""

TRAINED = ("sentence-transformers + logistic regression", "spaCy textcat")
"""Contenders of other decisions than the shipped model's: a head, or all, is trained on the project's own articles."""


def peak_mib() -> float:
    """Return the most memory that this process held, in MiB; NaN where the system does not tell."""
    # Not getrusage: its figure starts from the parent's memory at the fork.
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
    except (OSError, StopIteration):
        return float("nan")


def peak_flops() -> dict[str, float]:
    """Return what torch's matrix products reach on the model's own shapes, in operations a second: best of 30 runs."""
    import torch

    def best(multiply: Callable[[Any, Any], Any], states: Any, weight: Any) -> float:
        seconds = []
        for _ in range(30):
            started = time.perf_counter()
            for _ in range(10):
                multiply(states, weight)
            seconds.append((time.perf_counter() - started) / 10)
        return 2 * 2048 * 384 * 1536 / min(seconds)

    states, weight = torch.randn(2048, 384), torch.randn(1536, 384)
    linear = torch.nn.functional.linear
    return {
        "fp32": best(linear, states, weight),
        "bf16": best(linear, states.bfloat16(), weight.bfloat16()),
        # The one int8 product that torch offers on a CPU without scales around it.
        "int8": best(torch._int_mm, (states * 30).to(torch.int8), (weight * 30).to(torch.int8).t().contiguous()),
    }


def main(argv: Sequence[str]) -> None:
    """Answer commands until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not come between the answers
    name, path = argv
    task = json.loads(Path(path).read_text(encoding="utf-8"))

    def answer(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    if name == "peak":
        answer(is_ready=True)
        for _ in sys.stdin:
            answer(**peak_flops())
        return
    score = CONTENDERS[name](task)
    score(task["texts"][:1])
    answer(is_ready=True)
    scores: Scores | None = None
    for line in sys.stdin:
        command = line.strip()
        started = time.perf_counter()
        if command == "round":
            scores = score(task["texts"])
        elif command == "article":
            getattr(score, "article", score)(task["article"])
        elif command == "finish":
            assert scores is not None
            np.save(Path(task["scratch"]) / f"{list(CONTENDERS).index(name)}.npy", scores)
        precision = getattr(score, "precision", None)
        answer(seconds=time.perf_counter() - started, peak_mib=peak_mib(), precision=precision)


if __name__ == "__main__":
    main(sys.argv[1:])
