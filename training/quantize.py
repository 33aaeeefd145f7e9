r"""Learn the ranges that int8 needs, and write them into a model folder: ``int8.json``.

    python training/quantize.py --model training/runs/my-run/model --text training/data/project/train.jsonl
    ctclassify bench --model training/runs/my-run/model --record

The weights stay as they are. Any sentences of the kind that the model will read do, 2,000 or more: labelled sentences,
or articles, as training/soft_label.py reads them; labels are not looked at. Takes minutes. The second command holds
int8 against float32, and lets ``engine="auto"`` take it where it passes.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import numpy.typing as npt
import torch
from transformers.utils.logging import disable_progress_bar

from ctclassify.calibration import logits
from ctclassify.engines.bert_graph import BertShape
from ctclassify.engines.int8_ranges import InputRange, Int8Ranges, write_int8_ranges
from ctclassify.engines.openvino_engine import OpenVinoEngine
from ctclassify.errors import CTClassifyError, DataError
from ctclassify.inference import SentenceScorer
from ctclassify.model_folder import ModelFolder, read_model_folder
from ctclassify.tokenization import TextEncoder
from ctclassify.torch_model import load_torch_model, torch_config
from training.quantization import QuantizedModel
from training.soft_label import read_sentences

_BATCH = 32
_STEPS = 400
_FEWEST = 8
"""Sentences with which it works at all."""
_ENOUGH = 2000
"""Sentences from which ranges hold for others; with fewer it warns."""
_N_FIRST = 32
"""Batches from which the first ranges are taken."""
_N_HELD_OUT = 2000
_MOST_TOKENS = 96
_NEAR = 0.5
"""Logits within which of a threshold the error counts towards the margin."""
_DEVIATIONS = 1.75
"""Standard deviations of that error in the margin: of what it turns, a twenty-fifth lies beyond."""
_SAFE_MARGIN = 1.0
"""Where fewer errors than that were seen, and until they are."""
_FEWEST_ERRORS = 30


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a model folder; int8.json is written into it")
    parser.add_argument("--text", type=Path, nargs="+", required=True, help="JSON lines with texts, also .gz")
    parser.add_argument("--steps", type=int, default=_STEPS, help="batches of 32 sentences to learn from")
    parser.add_argument("--seed", type=int, default=13)
    args = parser.parse_args(argv)
    if args.steps < 1:
        parser.error(f"--steps: expected at least 1, got {args.steps}")
    disable_progress_bar()
    try:
        folder = read_model_folder(args.model)
        BertShape.from_config(folder.config)  # refuses what the engine cannot run
        texts = sorted(set(read_sentences(args.text)))
        random.Random(args.seed).shuffle(texts)
        if len(texts) < _FEWEST:
            raise DataError(f"{len(texts)} sentences; expected {_ENOUGH:,} or more", path=args.text[0])
        if len(texts) < _ENOUGH:
            message = f"{len(texts)} sentences, expected {_ENOUGH:,} or more: the ranges may not fit other text"
            print(f"quantize: warning: {message}; give more with --text", file=sys.stderr)
        held_out = texts[: min(_N_HELD_OUT, len(texts) // 4)]
        batches = _batches(_short_ids(folder, texts[len(held_out) :], args.steps))
        if not batches:
            message = f"no sentence of at most {_MOST_TOKENS} tokens to learn from; give sentences, or articles as such"
            raise DataError(message, path=args.text[0])
        ranges = _learn(folder, batches, args.steps, args.seed)
        write_int8_ranges(Int8Ranges(margin=_SAFE_MARGIN, inputs=ranges), folder)
        margin = _margin(read_model_folder(args.model), held_out)
        write_int8_ranges(Int8Ranges(margin=margin, inputs=ranges), folder)
    except (CTClassifyError, OSError) as error:
        print(f"quantize: {error}", file=sys.stderr)
        return 2
    print(f"saved {args.model / 'int8.json'}: margin {margin:.3f}")
    return 0


def _short_ids(folder: ModelFolder, texts: Sequence[str], n_steps: int) -> list[npt.NDArray[np.int32]]:
    """Return the token ids of as many texts as so many steps take, without those that are too long to learn from."""
    encoder = TextEncoder(folder.tokenizer_path, folder.max_tokens)
    return [row for row in encoder.encode(texts[: _BATCH * max(n_steps, _N_FIRST)]).ids if len(row) <= _MOST_TOKENS]


def _learn(
    folder: ModelFolder, batches: list[tuple[torch.Tensor, torch.Tensor]], n_steps: int, seed: int
) -> dict[tuple[int, str], InputRange]:
    """Return the ranges learned from batches."""
    torch.manual_seed(seed)
    first = random.Random(seed).sample(batches, min(_N_FIRST, len(batches)))
    model = QuantizedModel(load_torch_model(folder.path, torch_config(folder.config)), first)
    total = 0.0
    for step, loss in model.learn(batches, n_steps=n_steps, seed=seed):
        total += loss
        if step % 50 == 0:
            print(f"step {step} of {n_steps}: loss {total / 50:.4f}", flush=True)
            total = 0.0
    return model.ranges()


def _batches(ids: Sequence[npt.NDArray[np.int32]]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return batches of token ids and masks, of like length."""
    ordered = sorted(ids, key=len)
    batches = []
    for start in range(0, len(ordered), _BATCH):
        rows = ordered[start : start + _BATCH]
        lengths = torch.tensor([len(row) for row in rows])
        mask = torch.arange(len(rows[-1])) < lengths[:, None]
        matrix = torch.zeros(mask.shape, dtype=torch.long)
        matrix[mask] = torch.from_numpy(np.concatenate(rows)).long()
        batches.append((matrix, mask.long()))
    return batches


def _margin(folder: ModelFolder, texts: Sequence[str]) -> float:
    """Return what the engine's error near thresholds asks for, in logits of the model's own probabilities."""
    rounded, exact = (logits(_scorer(folder, precision).score(texts)[0]) for precision in ("int8", "fp32"))
    errors = (rounded - exact)[np.abs(exact - folder.borders) < _NEAR]
    if len(errors) < _FEWEST_ERRORS:
        return _SAFE_MARGIN  # nothing to go by: most is scored again
    return round(_DEVIATIONS * float(np.sqrt(np.mean(errors**2))), 4)


def _scorer(folder: ModelFolder, precision: str) -> SentenceScorer:
    """Return what scores in one precision alone: without borders, nothing is scored again."""
    encoder = TextEncoder(folder.tokenizer_path, folder.max_tokens)
    return SentenceScorer(encoder, OpenVinoEngine(folder, precision), len(folder.label_names))


if __name__ == "__main__":
    sys.exit(main())
