r"""Sentences a second in training: this project's settings against transformers' Trainer as it comes.

    python scripts/benchmark_training.py --data training/data/project/train.jsonl --output training-speed.json

Both sides fine-tune the same encoder on the same sentences for one epoch with the same batch size, in one process, in
turn, several rounds; the medians are compared. The other side is ``Trainer`` with ``TrainingArguments`` as they come:
float32, batches padded to their longest sentence in random order, dropout as in the encoder's config, all weights
trained, transformers' own class and loss. Loading, tokenising and saving are not timed on either side.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.utils.logging import disable_progress_bar

from ctclassify.labels import LABEL_IDS
from training import finetune
from training.config import TrainingConfig, load_config
from training.data import LabelledSentences, read_labelled
from training.encoder import resolve_encoder
from training.provenance import describe_software

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="Compare training speed with transformers' Trainer as it comes.")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="labelled JSON lines")
    parser.add_argument("--config", type=Path, default=ROOT / "training" / "configs" / "minilm.toml")
    parser.add_argument("--limit", type=int, default=640, help="sentences an epoch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    disable_progress_bar()
    config = load_config(args.config)
    whole = read_labelled(args.data, LABEL_IDS)
    n = min(args.limit, len(whole))
    sentences = LabelledSentences(texts=whole.texts[:n], labels=whole.labels[:n], documents=whole.documents[:n])
    sides = {"Trainer as it comes": plain_trainer, "ctclassify": own_trainer}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    with tempfile.TemporaryDirectory() as folder:
        for round_number in range(args.rounds + 1):  # the first warms up
            for name, build in sides.items():
                trainer = build(config, sentences, Path(folder) / f"{round_number}")
                started = time.perf_counter()
                trainer.train()
                if round_number:
                    seconds[name].append(time.perf_counter() - started)
    speeds = {name: n / statistics.median(times) for name, times in seconds.items()}
    ratio = speeds["ctclassify"] / speeds["Trainer as it comes"]
    for name, speed in speeds.items():
        print(f"{name:22} {speed:7.1f} sentences/s (median of {args.rounds}; {n} sentences a round)")
    print(f"ratio {ratio:.2f}")
    if args.output:
        record = {"sentences_per_second": speeds, "ratio": ratio, "seconds": seconds, "n_sentences": n}
        record |= {"n_threads": torch.get_num_threads(), "config": args.config.name, **describe_software()}
        args.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0


def plain_trainer(config: TrainingConfig, sentences: LabelledSentences, folder: Path) -> Trainer:
    """Return transformers' Trainer with the settings that it has by itself."""
    set_seed(config.seed)
    base = resolve_encoder(config.model.base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=len(LABEL_IDS), problem_type="multi_label_classification", dtype=torch.float32
    )
    return Trainer(
        model=model,
        args=TrainingArguments(**_common(config, folder / "plain")),
        train_dataset=_dataset(config, sentences, tokenizer),
        data_collator=DataCollatorWithPadding(tokenizer),
    )


def own_trainer(config: TrainingConfig, sentences: LabelledSentences, folder: Path) -> Trainer:
    """Return the trainer of training/finetune.py for one epoch, saving left out on both sides."""
    set_seed(config.seed)
    base = resolve_encoder(config.model.base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    one_epoch = config.model_copy(
        update={"optimisation": config.optimisation.model_copy(update={"num_train_epochs": 1.0})}
    )
    model = finetune._build_model(one_epoch, base, LABEL_IDS)
    dataset = _dataset(config, sentences, tokenizer)
    trainer = finetune._build_trainer(one_epoch, model, tokenizer, dataset, sentences, LABEL_IDS, folder / "own")
    trainer.args.save_strategy = "no"
    return trainer


def _dataset(config: TrainingConfig, sentences: LabelledSentences, tokenizer: Any) -> Dataset:
    """Return the tokenised sentences, the same for both sides."""
    return finetune._tokenise(sentences, None, LABEL_IDS, tokenizer, config.model.max_length)


def _common(config: TrainingConfig, folder: Path) -> dict[str, Any]:
    """Return the arguments that are no matter of speed: where to write, one epoch, the same batch size, no saving."""
    return {
        "output_dir": str(folder),
        "num_train_epochs": 1,
        "per_device_train_batch_size": config.optimisation.batch_size,
        "learning_rate": config.optimisation.learning_rate,
        "use_cpu": not torch.cuda.is_available(),
        "seed": config.seed,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
    }


if __name__ == "__main__":
    sys.exit(main())
