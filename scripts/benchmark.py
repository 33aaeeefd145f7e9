"""Compare ways of tagging sentences side by side in one run: speed, memory, agreement, F1, latency, cold start.

    python scripts/benchmark.py --rounds 5
    python scripts/benchmark.py --data /path/to/annotated/test.jsonl --output docs/benchmarks/cpu

Every contender runs in a process of its own, with the same threads; rounds are interleaved and medians reported, as
ratios to the transformers pipeline in batches of 32. Contenders whose packages are missing are left out and named.
Writes ``<output>.json`` and, where matplotlib is installed, ``<output>.svg``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import benchmark_prepare as prepare
import numpy as np
import numpy.typing as npt
from benchmark_contenders import CONTENDERS, TRAINED
from rich.console import Console
from rich.table import Table

from ctclassify.engines.cpus import available_cpus
from ctclassify.model_folder import ModelFolder, read_model_folder, sha256_file
from ctclassify.shipped import shipped_model_path
from ctclassify.tokenization import TextEncoder
from training.data import indicator_matrix, read_labelled

_ROOT = Path(__file__).resolve().parents[1]
_PROJECT = _ROOT / "training" / "data" / "project"
_YARDSTICK, _REFERENCE = "transformers pipeline, batch 32", "transformers, sorted batches"
_SMALLER = "ctclassify, smaller model"
_OURS = ("ctclassify fp32", "ctclassify int8", "ctclassify", _SMALLER)
_ARTICLE_SENTENCES = 15
_PACKAGES = (
    "torch",
    "transformers",
    "openvino",
    "onnxruntime",
    "tokenizers",
    "sentence-transformers",
    "spacy",
)


class Worker:
    """A contender's process."""

    def __init__(self, name: str, task: Path, n_threads: int) -> None:
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), str(n_threads))
        self._command = [sys.executable, str(Path(__file__).with_name("benchmark_contenders.py")), name, str(task)]
        started = time.perf_counter()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if name != "peak" else None,
            text=True,
            env=os.environ | threads | {"PYTHONPATH": str(_ROOT), "HF_HUB_OFFLINE": "1"},
        )
        self._answer()
        self.cold_start_s = time.perf_counter() - started

    def ask(self, command: str) -> dict[str, Any]:
        """Send a command, return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        """Return the next answer."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            _, errors = self._process.communicate()
            raise RuntimeError(f"{' '.join(self._command)} ended: {(errors or '').strip()[-600:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def main() -> None:
    """Run the comparison, print and write it."""
    args = _arguments()
    folder = read_model_folder(args.model)
    sentences = read_labelled(args.data, folder.label_names)
    texts, labels = list(sentences.texts[: args.limit]), sentences.labels[: args.limit]
    with tempfile.TemporaryDirectory() as scratch:
        skipped = _prepare(args, folder, Path(scratch))
        task = Path(scratch) / "task.json"
        fields: dict[str, Any] = {
            "texts": texts,
            "article": texts[:_ARTICLE_SENTENCES],
            "label_names": list(folder.label_names),
        }
        fields |= {"smaller": str(args.smaller)}
        fields |= {"model": str(args.model), "n_labels": len(folder.label_names), "n_threads": args.threads}
        task.write_text(json.dumps({**fields, "scratch": scratch}), encoding="utf-8")
        rows, peak = _measure([name for name in CONTENDERS if name not in skipped], task, args, skipped)
        scores = {name: np.load(Path(scratch) / f"{list(CONTENDERS).index(name)}.npy") for name in rows}
    smaller = folder if args.smaller is None else read_model_folder(args.smaller)
    _judge(rows, scores, folder, smaller, indicator_matrix(labels, folder.label_names).astype(bool))
    n_flop, n_flop_smaller = _flop(folder, texts), _flop(smaller, texts)
    for name, row in rows.items():
        row["ratio"] = row["sentences_per_s"] / rows[_YARDSTICK]["sentences_per_s"]
        if not row["is_trained_here"]:  # others make other products
            n_its = n_flop_smaller if name == _SMALLER else n_flop
            row["share_of_bf16_peak"] = n_its / len(texts) * row["sentences_per_s"] / peak["bf16"]
    report = {
        "sentences": len(texts),
        "data": [{"file": path.name, "sha256": sha256_file(path)} for path in args.data],
        "rounds": args.rounds,
        "threads": args.threads,
        "processor": _processor(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "model_sha256": folder.checksums["model.safetensors"],
        "flop_per_sentence": n_flop / len(texts),
        "peak_flops": peak,
        "contenders": rows,
        "left_out": skipped,
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    _plot(rows, args.output.with_suffix(".svg"))
    _print(report)


def _arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=shipped_model_path())
    parser.add_argument("--smaller", type=Path, help="another model folder of the same labels, as one more contender")
    parser.add_argument("--data", type=Path, nargs="+", default=[_PROJECT / "test.jsonl"], help="labelled JSON lines")
    parser.add_argument("--train", type=Path, nargs="+", default=[_PROJECT / "train.jsonl"], help="for those marked *")
    parser.add_argument("--train-limit", type=int, default=4000, help="sentences that those are trained on")
    parser.add_argument("--limit", type=int, default=1000, help="sentences")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--article-runs", type=int, default=30, help="how often a short article is tagged")
    parser.add_argument("--cold-starts", type=int, default=5, help="how often each contender is started")
    parser.add_argument("--threads", type=int, default=available_cpus())
    parser.add_argument("--output", type=Path, default=_ROOT / "docs" / "benchmarks" / "cpu", help="without suffix")
    return parser.parse_args()


def _prepare(args: argparse.Namespace, folder: ModelFolder, scratch: Path) -> dict[str, str]:
    """Make what contenders need; return those left out, with the reason."""
    training = read_labelled(args.train, folder.label_names)
    n = args.train_limit
    few = type(training)(texts=training.texts[:n], labels=training.labels[:n], documents=training.documents[:n])
    steps: dict[str, Callable[[], None]] = {
        "ONNX Runtime fp32, sorted batches": lambda: prepare.export_onnx(args.model, scratch),
        TRAINED[0]: lambda: prepare.train_head(args.model, scratch, few, folder.label_names),
        TRAINED[1]: lambda: prepare.train_spacy(scratch, few, folder.label_names),
    }
    skipped = {} if args.smaller is not None else {_SMALLER: "no --smaller"}
    for name, step in steps.items():
        try:
            step()
        except ImportError as error:
            skipped[name] = str(error)
    return skipped


def _measure(
    names: Sequence[str], task: Path, args: argparse.Namespace, skipped: dict[str, str]
) -> tuple[dict[str, dict[str, Any]], dict[str, float]]:
    """Run all contenders in turn, round by round, and the matrix products whose best is the peak."""
    workers, cold = _start(names, task, args, skipped)
    peak_worker = Worker("peak", task, args.threads)
    peak = dict.fromkeys(("fp32", "bf16", "int8"), 0.0)
    rounds: dict[str, list[float]] = {name: [] for name in workers}
    articles: dict[str, list[float]] = {name: [] for name in workers}
    for n in range(args.rounds + 1):
        peak = {name: max(peak[name], value) for name, value in peak_worker.ask("round").items()}
        for name, worker in workers.items():
            seconds = worker.ask("round")["seconds"]
            if n:  # the first warms up
                rounds[name].append(seconds)
    for _ in range(args.article_runs):
        for name, worker in workers.items():
            articles[name].append(worker.ask("article")["seconds"])
    peak_worker.close()
    n_texts = len(json.loads(task.read_text(encoding="utf-8"))["texts"])
    rows = {}
    for name, worker in workers.items():
        finish = worker.ask("finish")
        rows[name] = {
            "sentences_per_s": n_texts / statistics.median(rounds[name]),
            "round_s": rounds[name],
            "article_ms_p50": 1000 * float(np.quantile(articles[name], 0.5)),
            "article_ms_p95": 1000 * float(np.quantile(articles[name], 0.95)),
            "cold_start_s": statistics.median(cold[name]),
            **{key: finish[key] for key in ("peak_mib", "precision")},
            "is_trained_here": name in TRAINED,
        }
        worker.close()
    return rows, peak


def _start(
    names: Sequence[str], task: Path, args: argparse.Namespace, skipped: dict[str, str]
) -> tuple[dict[str, Worker], dict[str, list[float]]]:
    """Start all contenders in turn, several times, and keep the last; one that cannot start is added to ``skipped``."""
    cold: dict[str, list[float]] = {name: [] for name in names}
    workers: dict[str, Worker] = {}
    for n in range(args.cold_starts):
        for name in names:
            if name in skipped:
                continue
            try:
                worker = Worker(name, task, args.threads)
            except RuntimeError as error:
                skipped[name] = str(error)
                continue
            cold[name].append(worker.cold_start_s)
            if n == args.cold_starts - 1:
                workers[name] = worker
            else:
                worker.close()
    return workers, cold


def _judge(
    rows: dict[str, dict[str, Any]],
    scores: dict[str, npt.NDArray[np.float32]],
    folder: ModelFolder,
    smaller: ModelFolder,
    truth: npt.NDArray[np.bool_],
) -> None:
    """Add F1 and agreement with the float32 reference; probabilities of the torch and ONNX model are raw."""
    decisions = {}
    for name, probabilities in scores.items():
        calibrated = probabilities
        if name not in (*_OURS, *TRAINED) and folder.calibration is not None:
            calibrated = folder.calibration.apply(probabilities)
        thresholds = (smaller if name == _SMALLER else folder).thresholds
        decisions[name] = calibrated >= (0.5 if name in TRAINED else np.array(thresholds))
    for name, given in decisions.items():
        found, n_given = (given & truth).sum(0), given.sum(0) + truth.sum(0)
        f1 = 2 * found[n_given > 0] / n_given[n_given > 0]
        rows[name]["micro_f1"] = float(2 * found.sum() / n_given.sum())
        rows[name]["macro_f1"] = float(f1.mean())
        rows[name]["n_decisions"] = given.size
        rows[name]["n_changed"] = None if name in TRAINED else int((given != decisions[_REFERENCE]).sum())


def _flop(folder: ModelFolder, texts: Sequence[str]) -> float:
    """Return the floating-point operations that the model's matrix products need for these texts, without padding."""
    config = folder.config
    width, inner, n_layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    n_tokens = np.array([len(ids) for ids in TextEncoder(folder.tokenizer_path, folder.max_tokens).encode(texts).ids])
    linear = 2 * (4 * width**2 + 2 * width * inner) * n_tokens.sum()
    return float(n_layers * (linear + 4 * width * (n_tokens.astype(float) ** 2).sum()))


def _processor() -> str:
    """Return the processor's name, with family and model: on virtual machines the name alone may say little."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        found = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return f"{found['model name']}, family {found['cpu family']}, model {found['model']}"
    except (OSError, KeyError):
        return platform.processor()


def _version(package: str) -> str | None:
    """Return a package's version; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _plot(rows: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw the ratios as bars, where matplotlib is installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("matplotlib is not installed: no plot")
        return
    figure = Figure(figsize=(8, 0.5 * len(rows) + 1), layout="constrained")
    axes = figure.subplots()
    names = list(rows)[::-1]
    colors = ["#0b6e4f" if name in _OURS else "#9aa5b1" for name in names]
    bars = axes.barh(names, [rows[name]["ratio"] for name in names], color=colors)
    axes.bar_label(bars, [f"{rows[name]['ratio']:.1f}" for name in names], padding=3)
    axes.set_xlabel("sentences a second, as a multiple of the transformers pipeline in batches of 32")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def _print(report: dict[str, Any]) -> None:
    """Print the report as a table."""
    peaks = ", ".join(f"{name} {value / 1e12:.2f}" for name, value in report["peak_flops"].items())
    title = f"{report['sentences']} sentences, {report['rounds']} rounds, {report['threads']} threads; TFLOP/s: {peaks}"
    table = Table(title=title)
    for heading in (
        "",
        "sent./s",
        "x",
        "of bf16 peak",
        "MiB",
        "15 sent. ms p50/p95",
        "cold s",
        "changed",
        "F1 micro/macro",
    ):
        table.add_column(heading, justify="right" if heading else "left")
    for name, row in report["contenders"].items():
        table.add_row(
            name + (" *" if row["is_trained_here"] else ""),
            f"{row['sentences_per_s']:.0f}",
            f"{row['ratio']:.2f}",
            "" if row["is_trained_here"] else f"{row['share_of_bf16_peak']:.0%}",
            f"{row['peak_mib']:.0f}",
            f"{row['article_ms_p50']:.0f}/{row['article_ms_p95']:.0f}",
            f"{row['cold_start_s']:.2f}",
            "" if row["n_changed"] is None else f"{row['n_changed']}/{row['n_decisions']}",
            f"{row['micro_f1']:.3f}/{row['macro_f1']:.3f}",
        )
    console = Console(width=150)
    console.print(table)
    console.print("* head (on the shipped encoder) or model trained here, on the project's articles")
    console.print("bf16 peak: the best that torch's linear layer reaches here in one shape")
    console.print("15 sentences: for ctclassify one text, which it splits; for the others a list")
    for name, reason in report["left_out"].items():
        console.print(f"left out: {name}: {reason}")


if __name__ == "__main__":
    main()
