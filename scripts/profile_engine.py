"""Say where the time of tagging goes: stages of the path, and operations inside the default engine.

    python scripts/profile_engine.py --output docs/benchmarks/profile.json
    python scripts/profile_engine.py --precision int8 --output docs/benchmarks/profile-int8.json

Sentences are the project's test articles unless ``--data`` names others. The engine's operations come from OpenVINO's
own counters, which slow it a little; the stages are timed without them, and without the second look. The peaks are
those of ``benchmark.py``: what torch's matrix products reach on the model's shapes. How many times as fast the engine
could be at most is told from both: if its linear layers ran at the peak, and all else took no time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmark_contenders import peak_flops

import ctclassify
from ctclassify.engines.bert_graph import BertParts, build_bert_graph
from ctclassify.engines.int8_ranges import read_int8_ranges
from ctclassify.engines.openvino_engine import OpenVinoEngine, compile_options
from ctclassify.engines.quiet_openvino import ov
from ctclassify.inference import SentenceScorer
from ctclassify.model_folder import ModelFolder
from ctclassify.tokenization import TextEncoder
from training.data import read_labelled

_ROOT = Path(__file__).resolve().parents[1]


class ProfiledEngine(OpenVinoEngine):
    """The OpenVINO engine, with the runtime's counters switched on."""

    def __init__(self, folder: ModelFolder, precision: str) -> None:
        super().__init__(folder, precision)
        is_int8 = self.precision == "int8"
        ranges = read_int8_ranges(folder) if is_int8 else None
        graph = build_bert_graph(BertParts.read(folder), is_int8=is_int8, ranges=ranges)
        has_bf16 = "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        options = compile_options(self.precision, has_bf16=has_bf16, has_ranges=ranges is not None)
        self._request = ov.Core().compile_model(graph, "CPU", options | {"PERF_COUNT": "YES"}).create_infer_request()
        self.seconds: dict[str, float] = defaultdict(float)
        self.n_tokens = 0

    def probabilities(self, input_ids: Any, n_tokens: Any) -> Any:
        """Score a batch and add up what its operations took."""
        result = super().probabilities(input_ids, n_tokens)
        self.n_tokens += input_ids.size
        for node in self._request.profiling_info:
            self.seconds[node.node_type] += node.real_time.total_seconds()
        return result


class TimedEngine:
    """An engine whose time is added up."""

    def __init__(self, engine: OpenVinoEngine) -> None:
        self._engine = engine
        self.seconds = 0.0

    def probabilities(self, input_ids: Any, n_tokens: Any) -> Any:
        """Score a batch."""
        started = time.perf_counter()
        try:
            return self._engine.probabilities(input_ids, n_tokens)
        finally:
            self.seconds += time.perf_counter() - started


def stages(folder: ModelFolder, precision: str, texts: list[str], rounds: int) -> dict[str, float]:
    """Return the median seconds of each stage, one after the other: in use, tokenising runs beside the engine."""
    engine = TimedEngine(OpenVinoEngine(folder, precision))
    scorer = SentenceScorer(TextEncoder(folder.tokenizer_path, folder.max_tokens), engine, len(folder.label_names))  # type: ignore[arg-type]
    found: dict[str, list[float]] = defaultdict(list)
    scorer.score(texts)
    for _ in range(rounds):
        engine.seconds = 0.0
        began = time.perf_counter()
        prepared = scorer.prepare(texts)
        between = time.perf_counter()
        scorer.run(prepared)
        found["tokenise"].append(between - began)
        found["engine"].append(engine.seconds)
        found["batches, order restored"].append(time.perf_counter() - between - engine.seconds)
    return {name: statistics.median(each) for name, each in found.items()}


def linear_flop(config: dict[str, Any]) -> float:
    """Return the floating-point operations of the linear layers for one token."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    return float(config["num_hidden_layers"] * 2 * (4 * width**2 + 2 * width * inner))


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", default=[_ROOT / "training/data/project/test.jsonl"])
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16", "int8"], default="auto")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    folder = ctclassify.load().folder
    texts = list(dict.fromkeys(read_labelled(args.data, folder.label_names).texts))
    peaks = peak_flops()
    seconds = stages(folder, args.precision, texts, args.rounds)
    engine = ProfiledEngine(folder, args.precision)
    scorer = SentenceScorer(TextEncoder(folder.tokenizer_path, folder.max_tokens), engine, len(folder.label_names))
    scorer.score(texts)
    engine.seconds.clear()
    engine.n_tokens = 0
    scorer.score(texts)
    total = sum(engine.seconds.values())
    flops = linear_flop(folder.config) * engine.n_tokens / engine.seconds["FullyConnected"]
    shares = {name: each / total for name, each in sorted(engine.seconds.items(), key=lambda item: -item[1]) if each}
    share_of_peak = flops / peaks[engine.precision]
    report = {
        "n_sentences": len(texts),
        "engine": f"{engine.name} {engine.version} {engine.precision}",
        "peak_flops": peaks,
        "stage_seconds": seconds,
        "operation_shares": shares,
        "linear_flops": flops,
        "linear_share_of_peak": share_of_peak,
        "gain_at_most": 1 / (share_of_peak * shares["FullyConnected"]),
    }
    for name, each in seconds.items():
        print(f"{name:<26} {each / sum(seconds.values()):6.1%}")
    for name, share in shares.items():
        print(f"  {name:<24} {share:6.1%}")
    print(f"linear layers: {flops / 1e12:.2f} TFLOP/s, {share_of_peak:.0%} of the measured peak")
    print(f"at the peak, and were all else free, the engine would be {report['gain_at_most']:.2f} times as fast")
    if args.output is not None:
        args.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
