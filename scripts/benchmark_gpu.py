"""Compare ways to run one BERT model on one CUDA card: speed, agreement, memory, share of the card's bf16 peak.

    python scripts/benchmark_gpu.py --data sentences.jsonl --sentences 32768 --output gpu.json

Needs torch, transformers, tokenizers, safetensors and numpy. Each line of ``--data`` holds a ``text``: a sentence, or
with ``--split`` an article. Few sentences are repeated up to ``--sentences``. Nothing is computed once for equal ones.

What runs
    ``pipeline``       transformers' text-classification pipeline, float16, batches of 32, fed by a list
    ``padded``         the model of transformers in bfloat16, batches sorted by length, padded to the longest
    ``varlen`` ...     this project's packed engine; its attention, ``+graphs``, ``+compile``, ``@`` tokens of a batch

Two speeds, medians of interleaved rounds: ``engine`` starts from token ids and ends with probabilities on the host,
``whole`` starts from texts, and tokenises the next texts while the card computes. The pipeline gets the first
``--baseline-sentences`` texts alone, since it takes long; the texts are shuffled first.

Floating-point operations of a window of n tokens, products alone, 2 for each multiply-add::

    2 n layers (4 hidden^2 + 2 hidden intermediate) + 4 n^2 hidden layers + 2 hidden labels

Padding does not count. The peak is a product of two bf16 matrices of 8192 x 8192, measured in the same run.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from benchmark_gpu_contenders import (
    CHUNK,
    Contender,
    PaddedModel,
    Scores,
    Tokens,
    make_contenders,
    run_batches,
    tokenise,
)

from ctclassify.engines.cuda_attention import make_attention
from ctclassify.engines.cuda_batch import PackedBatch, flat_size, pack
from ctclassify.model_folder import ModelFolder, read_model_folder
from ctclassify.shipped import shipped_model_path
from ctclassify.splitting import split_sentences
from ctclassify.tokenization import TextEncoder


def main() -> None:
    """Run the comparison; write and print the figures."""
    args = _arguments()
    started = time.perf_counter()
    transformers.logging.set_verbosity(50)  # the pipeline prints a list of every class that it knows
    transformers.logging.disable_progress_bar()
    folder = read_model_folder(args.model)
    device = torch.device(args.device)
    texts, n_distinct = _texts(args)
    encoder = TextEncoder(folder.tokenizer_path, folder.max_tokens)
    tokens = tokenise(encoder, texts)
    check = tokenise(encoder, texts[: args.check])
    report: dict[str, Any] = {"machine": _machine(device), "data": _data(texts, n_distinct, tokens), "variants": {}}
    report["machine"]["peak_tflops"] = peak = _guarded(report, "peak", lambda: _peak(device))
    print(json.dumps(report["machine"]), flush=True)
    torch.set_float32_matmul_precision("highest")
    reference = run_batches(PaddedModel(folder, device, torch.float32).submit, check, args.budgets[0])
    _check_reference(reference, folder)
    contenders = []
    for name, make in make_contenders(args, folder, device, encoder).items():
        if args.kinds and name.partition("@")[0] not in args.kinds:
            continue
        row = report["variants"][name] = {}
        if time.perf_counter() - started > 0.6 * args.seconds:
            row["error"] = f"not run: more than 60% of --seconds {args.seconds:g} had passed"
            continue
        contender = _guarded(row, "error", partial(_prepare, make, row, check, tokens, reference, folder, device))
        if contender is not None:
            contender.row = row
            contenders.append(contender)
        print(f"{time.perf_counter() - started:6.1f} s  {name}: {json.dumps(row)}", flush=True)
        _write(report, args)
    report["flops_per_sentence"] = flops = _flops(folder, tokens) / len(texts)
    stop_at = started + args.seconds
    _time_engines(contenders, tokens, args, stop_at)
    _derive(contenders, "engine", flops, peak)
    _write(report, args)
    _time_wholes(_best(contenders, args.whole), texts, args, stop_at)
    _derive(contenders, "whole", flops, peak)
    report["tokenise_sentences_per_s"] = _guarded(report, "tokenise", lambda: _tokenising_rate(encoder, texts))
    if device.type == "cuda":
        _write(report, args)
        report["attention_ms"] = _guarded(report, "attention", lambda: _attention_times(folder, tokens, device))
        report["profile"] = _guarded(report, "profiling", lambda: _profile(folder, tokens, _best(contenders, 1)))
    report["seconds"] = round(time.perf_counter() - started, 1)
    _write(report, args)
    _print_table(report)


def _arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=shipped_model_path())
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="JSON lines with a text each")
    parser.add_argument("--split", action="store_true", help="the texts are articles: split them into sentences")
    parser.add_argument("--limit", type=int, help="read so many sentences at most")
    parser.add_argument("--sentences", type=int, default=32768, help="repeat or cut the sentences to so many")
    parser.add_argument("--baseline-sentences", type=int, default=4096, help="for the pipeline")
    parser.add_argument("--check", type=int, default=8192, help="sentences for agreement and determinism")
    parser.add_argument("--budgets", type=int, nargs="+", default=[8192, 16384, 32768, 65536], help="tokens of a batch")
    parser.add_argument("--kinds", nargs="+", help="run these alone, such as: pipeline varlen varlen+graphs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--whole", type=int, default=4, help="time so many of the fastest from texts, the baseline besides"
    )
    parser.add_argument("--seconds", type=float, default=240, help="start no further round after this time")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu only to rehearse")
    parser.add_argument("--output", type=Path, help="write the figures here as JSON (default: print them)")
    return parser.parse_args()


# Data


def _texts(args: argparse.Namespace) -> tuple[list[str], int]:
    """Return the sentences, shuffled and repeated, and how many are distinct."""
    texts: list[str] = []
    for path in args.data:
        with path.open(encoding="utf-8") as file:
            texts.extend(json.loads(line)["text"] for line in file if line.strip())
    if args.split:
        texts = [text[start:end] for text in texts for start, end in split_sentences(text)]
    texts = [text for text in texts if text.strip()][: args.limit]
    if not texts:
        sys.exit(f"no sentences in {', '.join(map(str, args.data))}; expected JSON lines with a text each")
    n_distinct = min(len(set(texts)), args.sentences)
    repeated = (texts * -(-args.sentences // len(texts)))[: args.sentences]
    order = np.random.default_rng(0).permutation(len(repeated))
    return [repeated[i] for i in order], n_distinct


def _prepare(
    make: Callable[[], Contender],
    row: dict[str, Any],
    check: Tokens,
    tokens: Tokens,
    reference: Scores,
    folder: ModelFolder,
    device: torch.device,
) -> Contender:
    """Make a contender, warm it up, compare it with the float32 reference and with itself."""
    gc.collect()
    held = _memory(device, reset=True)
    started = time.perf_counter()
    contender = make()
    contender.row = row
    first = contender.engine(check)
    if not contender.is_baseline:
        contender.engine(tokens)  # every shape that the timing meets, so that graphs are recorded
    row["first_run_s"] = round(time.perf_counter() - started, 2)
    again = contender.engine(check)
    row["is_deterministic"] = bool((first.view(np.int32) == again.view(np.int32)).all())
    row["max_difference"] = float(np.abs(again - reference).max())
    limits = np.array(folder.thresholds)
    its, theirs = (
        (again, reference) if folder.calibration is None else map(folder.calibration.apply, (again, reference))
    )
    row["n_changed"] = int(((its >= limits) != (theirs >= limits)).sum())
    row["n_decisions"] = int(reference.size)
    used = _memory(device)
    row["memory_mib"] = {kind: round((used[kind] - held[kind]) / 2**20, 1) for kind in used}
    if not np.isfinite(again).all():
        raise ValueError("probabilities that are not finite")
    return contender


def _check_reference(reference: Scores, folder: ModelFolder) -> None:
    """Refuse a reference that says nothing."""
    if not np.isfinite(reference).all() or np.ptp(reference, axis=0).max() < 0.1:
        sys.exit(f"{folder.path}: the float32 reference tells no sentences apart; nothing can be compared with it")


# Timing


def _time_engines(contenders: list[Contender], tokens: Tokens, args: argparse.Namespace, stop_at: float) -> None:
    """Time each contender from token ids, round by round."""
    small = _head(tokens, args.baseline_sentences)
    for _ in range(args.rounds):
        for contender in contenders:
            if time.perf_counter() < stop_at:
                _timed(contender, "engine", small if contender.is_baseline else tokens)


def _time_wholes(contenders: list[Contender], texts: list[str], args: argparse.Namespace, stop_at: float) -> None:
    """Time each contender from texts, round by round."""
    small = texts[: args.baseline_sentences]
    for contender in contenders:  # unmeasured: batches cut chunk by chunk may have shapes not met before
        its = small[:512] if contender.is_baseline else texts
        _guarded(contender.row, "whole_error", lambda contender=contender, its=its: contender.whole(its))  # type: ignore[misc]
    for _ in range(args.rounds):
        for contender in contenders:
            if time.perf_counter() < stop_at:
                _timed(contender, "whole", small if contender.is_baseline else texts)


def _timed(contender: Contender, what: str, given: Any) -> None:
    """Add one time, in sentences a second, to the contender's row; an error ends its timing alone."""
    n_texts = given.n_texts if isinstance(given, Tokens) else len(given)
    row = contender.row
    if f"{what}_error" in row:
        return
    started = time.perf_counter()
    _guarded(row, f"{what}_error", lambda: getattr(contender, what)(given))
    if f"{what}_error" not in row:
        row.setdefault(f"{what}_rounds", []).append(round(n_texts / (time.perf_counter() - started), 1))


def _derive(contenders: list[Contender], what: str, flops: float, peak: float | None) -> None:
    """Add medians, ratios to the pipeline and shares of the peak to the rows."""
    rates = {c.name: statistics.median(c.row[f"{what}_rounds"]) for c in contenders if f"{what}_rounds" in c.row}
    for contender in contenders:
        rate = rates.get(contender.name)
        if rate is None:
            continue
        contender.row[f"{what}_sentences_per_s"] = rate
        if "pipeline" in rates:
            contender.row[f"{what}_ratio"] = round(rate / rates["pipeline"], 3)
        if peak:
            contender.row[f"{what}_share_of_peak"] = round(rate * flops / (peak * 1e12), 4)


def _best(contenders: list[Contender], n: int) -> list[Contender]:
    """Return the baseline, the padded one, the first packed one, and the n fastest engines, in order."""
    timed = [c for c in contenders if "engine_sentences_per_s" in c.row]
    fastest = sorted((c for c in timed if not c.is_baseline), key=lambda c: -c.row["engine_sentences_per_s"])[:n]
    if n == 1:
        return fastest
    kept = {c.name for c in [*contenders[:3], *fastest]}
    return [c for c in contenders if c.name in kept]


def _head(tokens: Tokens, n_texts: int) -> Tokens:
    """Return the tokens of the first texts."""
    n_texts = min(n_texts, tokens.n_texts)
    n_windows = int(np.searchsorted(tokens.owner, n_texts))
    lengths = tokens.lengths[:n_windows]
    return Tokens(
        ids=tokens.ids[: int(lengths.sum())], lengths=lengths, owner=tokens.owner[:n_windows], n_texts=n_texts
    )


def _tokenising_rate(encoder: TextEncoder, texts: list[str]) -> float:
    """Return sentences a second of tokenisation alone, chunk by chunk."""
    started = time.perf_counter()
    for start in range(0, len(texts), CHUNK):
        tokenise(encoder, texts[start : start + CHUNK])
    return round(len(texts) / (time.perf_counter() - started), 1)


def _peak(device: torch.device) -> float:
    """Return the measured peak, TFLOP/s: the median of 20 products of random bf16 matrices of 8192 x 8192."""
    size = 8192 if device.type == "cuda" else 512
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(5):
        a @ b
    return round(2 * size**3 / (_median_ms(lambda: a @ b, device, 20) * 1e-3) / 1e12, 3)


def _median_ms(run: Callable[[], Any], device: torch.device, n: int) -> float:
    """Return the median time of a call, in milliseconds, on the device's own clock."""
    times = []
    for _ in range(n):
        if device.type == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            begin.record()
            run()
            end.record()
            end.synchronize()
            times.append(float(begin.elapsed_time(end)))
        else:
            started = time.perf_counter()
            run()
            times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times)


def _attention_times(folder: ModelFolder, tokens: Tokens, device: torch.device) -> dict[str, float | str]:
    """Return the time of one layer's attention over 16384 tokens of sentences of middling length, in milliseconds."""
    heads = int(folder.config["num_attention_heads"])
    size = int(folder.config["hidden_size"]) // heads
    batches = list(tokens.batches(16384))
    _, ids, lengths = batches[len(batches) // 2]
    flat = torch.empty(flat_size(len(ids), len(lengths)), dtype=torch.int32)
    pack(ids, lengths, flat.numpy(), n_tokens=len(ids), n_windows=len(lengths))
    batch = PackedBatch.view(flat.to(device), len(ids), int(lengths.max()))
    qkv = torch.randn(len(ids), 3, heads, size, device=device, dtype=torch.bfloat16)
    kinds: dict[str, Callable[[], Any]] = {
        kind: lambda kind=kind: make_attention(kind)(qkv, batch)  # type: ignore[misc]
        for kind in ("varlen", "padded")
    }
    result: dict[str, float | str] = {"n_tokens": len(ids), "longest": batch.longest}
    for kind, run in kinds.items():
        failures: dict[str, Any] = {}
        time_ms = _guarded(failures, "error", lambda run=run: (run(), run(), _median_ms(run, device, 20))[-1])  # type: ignore[misc]
        result[kind] = failures.get("error", time_ms)
    return result


def _profile(folder: ModelFolder, tokens: Tokens, best: list[Contender]) -> dict[str, Any]:
    """Return the kernels that the fastest engine spends its time in, milliseconds over 8192 sentences."""
    from torch.profiler import ProfilerActivity, profile

    head = _head(tokens, 8192)
    best[0].engine(head)
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        best[0].engine(head)
        torch.cuda.synchronize()
    kernels = [event for event in profiler.key_averages() if str(event.device_type).endswith("CUDA")]
    kernels.sort(key=lambda event: -event.self_device_time_total)
    return {
        "variant": best[0].name,
        "kernels": [
            {"name": event.key[:100], "ms": round(event.self_device_time_total / 1e3, 3), "calls": event.count}
            for event in kernels[:20]
        ],
    }


# Reporting


def _guarded(row: dict[str, Any], key: str, run: Callable[[], Any]) -> Any:
    """Return what a call gives; note its error in the row and return None if it fails."""
    try:
        return run()
    except Exception as error:
        row[key] = f"{type(error).__name__}: {error}"[:600]
        traceback.print_exc()
        return None


def _flops(folder: ModelFolder, tokens: Tokens) -> float:
    """Return the floating-point operations over all windows, by the formula above."""
    config = folder.config
    n_layers, hidden, inner = (config[key] for key in ("num_hidden_layers", "hidden_size", "intermediate_size"))
    n = tokens.lengths.astype(np.float64)
    linear = 2 * n_layers * (4 * hidden**2 + 2 * hidden * inner) * n.sum()
    return float(linear + 4 * n_layers * hidden * (n**2).sum() + 2 * hidden * len(folder.label_names) * len(n))


def _memory(device: torch.device, *, reset: bool = False) -> dict[str, int]:
    """Return the bytes that torch reserves and the most that it handed out since the last reset."""
    if device.type != "cuda":
        return {"peak": 0, "reserved": 0}
    torch.cuda.synchronize()
    if reset:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return {"peak": torch.cuda.max_memory_allocated(), "reserved": torch.cuda.memory_reserved()}


def _machine(device: torch.device) -> dict[str, Any]:
    """Return what the run ran on."""
    machine = {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "transformers": transformers.__version__,
        "numpy": np.__version__,
        "device": "cpu",
    }
    if device.type == "cuda":
        machine |= {"device": torch.cuda.get_device_name(), "cuda": str(torch.version.cuda)}
        query = ["nvidia-smi", "--query-gpu=driver_version,clocks.sm,power.limit", "--format=csv,noheader"]
        machine["smi"] = _guarded({}, "smi", lambda: subprocess.check_output(query, text=True, timeout=20).strip())
    return machine


def _data(texts: list[str], n_distinct: int, tokens: Tokens) -> dict[str, Any]:
    """Return what was scored."""
    return {
        "n_sentences": len(texts),
        "n_distinct": n_distinct,
        "mean_tokens": round(float(tokens.lengths.mean()), 2),
        "p95_tokens": float(np.percentile(tokens.lengths, 95)),
        "most_tokens": int(tokens.lengths.max()),
    }


def _write(report: dict[str, Any], args: argparse.Namespace) -> None:
    """Write what is known so far: a run that is stopped leaves it behind."""
    if args.output:
        args.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    elif "seconds" in report:
        print(json.dumps(report, indent=2))


def _print_table(report: dict[str, Any]) -> None:
    """Print the rows side by side."""
    print(f"\n{report['machine']['device']}, bf16 peak {report['machine']['peak_tflops']} TFLOP/s; {report['data']}")
    print(
        f"tokenisation alone {report['tokenise_sentences_per_s']} sentences/s; attention {report.get('attention_ms')}"
    )
    columns = [f"{what}_{key}" for what in ("engine", "whole") for key in ("sentences_per_s", "ratio", "share_of_peak")]
    columns += ["max_difference", "n_changed", "is_deterministic"]
    print(f"{'variant':32}" + "".join(f"{name.replace('_sentences_per_s', '/s')[-16:]:>18}" for name in columns))
    for name, row in report["variants"].items():
        cells = [row.get(column, "-") for column in columns]
        print(
            f"{name:32}" + "".join(f"{cell:>18.5g}" if isinstance(cell, float) else f"{cell!s:>18}" for cell in cells)
        )
        for key in ("error", "engine_error", "whole_error"):
            if key in row:
                print(f"    {key}: {row[key][:160]}")


if __name__ == "__main__":
    main()
