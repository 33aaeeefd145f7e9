"""Fine-tune an encoder on labelled sentences and save a model folder that ``ctclassify.load`` takes.

    python training/finetune.py --config training/configs/minilm.toml

The run's folder, ``training/runs/<name>``, holds ``model/``, checkpoints, and ``run.json``: the resolved config,
versions, data checksums, counts, seed and commit. A run that was stopped goes on with ``--resume``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from datasets import Dataset
from transformers import AutoConfig, AutoTokenizer, DataCollatorWithPadding, TrainingArguments, set_seed

from ctclassify.errors import CTClassifyError, DataError, ModelFolderError
from ctclassify.labels import LABEL_IDS
from ctclassify.torch_model import MEAN_POOLING_ARCHITECTURE, model_class
from training.config import TrainingConfig, load_config
from training.data import LabelledSentences, indicator_matrix, read_labelled
from training.encoder import resolve_encoder
from training.provenance import describe_run
from training.saving import save_model_folder
from training.trainer import MovingAverage, MultiLabelTrainer, positive_weights

RUNS = Path(__file__).resolve().parent / "runs"


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description="Fine-tune a sentence classifier.")
    parser.add_argument("--config", type=Path, required=True, help="a TOML file, see training/configs/")
    parser.add_argument("--seed", type=int, help="instead of the config's seed; the run's folder gets -seedN")
    parser.add_argument("--output", type=Path, help="the run's folder; training/runs/<name> unless given")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint of the folder")
    args = parser.parse_args(argv)
    try:
        config = load_config(args.config)
        name = config.name
        if args.seed is not None:
            config = config.model_copy(update={"seed": args.seed})
            name = f"{name}-seed{args.seed}"
        folder = finetune(config, args.output or RUNS / name, resume=args.resume)
    except (CTClassifyError, FileExistsError) as error:
        print(f"finetune: {error}", file=sys.stderr)
        return 2
    print(f"saved {folder / 'model'}")
    return 0


def finetune(config: TrainingConfig, folder: Path, *, resume: bool = False) -> Path:
    """Fine-tune as a config says.

    Parameters
    ----------
    config : TrainingConfig
        All values of the run.
    folder : pathlib.Path
        Where to write; made if absent.
    resume : bool
        Go on from the last checkpoint in ``folder``.

    Returns
    -------
    pathlib.Path
        ``folder``.

    Raises
    ------
    DataError
        If a data file is missing, empty, or has a bad line.
    ModelFolderError
        If the base encoder's package is missing or not the pinned one, or the pooling does not fit the encoder.
    FileExistsError
        If ``folder`` holds a run already and ``resume`` is False.
    """
    if folder.exists() and any(folder.iterdir()) and not resume:
        raise FileExistsError(f"{folder} holds a run already; pass --resume to go on, or remove it")
    label_names = config.data.label_names or LABEL_IDS
    train = read_labelled(config.data.train, label_names)
    validation = read_labelled(config.data.validation, label_names)
    for split, sentences, paths in (
        ("train", train, config.data.train),
        ("validation", validation, config.data.validation),
    ):
        if not len(sentences):
            raise DataError(f"no sentence in the {split} files", path=paths[0])

    set_seed(config.seed)
    base = resolve_encoder(config.model.base)
    tokenizer = AutoTokenizer.from_pretrained(base, trust_remote_code=False)
    model = _build_model(config, base, label_names)
    dataset = _tokenise(train, label_names, tokenizer, config.model.max_length)
    run = describe_run(config, train, validation)
    run["n_at_max_length_train"] = sum(n == config.model.max_length for n in dataset["length"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
    trainer = _build_trainer(config, model, tokenizer, dataset, train, label_names, folder)
    average = None
    if config.optimisation.ema_decay:
        average = MovingAverage(model, config.optimisation.ema_decay)
        trainer.add_callback(average)
    started = time.monotonic()
    trainer.train(resume_from_checkpoint=(resume and any(folder.glob("checkpoint-*"))) or None)
    run["train_seconds"] = round(time.monotonic() - started)
    if average is not None:
        average.copy_to(model)
    run["validation"] = save_model_folder(folder / "model", model, tokenizer, validation, label_names)
    (folder / "run.json").write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
    return folder


def _build_model(config: TrainingConfig, base: str, label_names: tuple[str, ...]) -> Any:
    """Return the encoder with a fresh head."""
    settings = AutoConfig.from_pretrained(
        base,
        trust_remote_code=False,
        num_labels=len(label_names),
        id2label=dict(enumerate(label_names)),
        label2id={name: i for i, name in enumerate(label_names)},
        problem_type="multi_label_classification",
        hidden_dropout_prob=config.model.hidden_dropout,
        attention_probs_dropout_prob=config.model.attention_dropout,
    )
    if config.model.pooling == "mean":
        if settings.model_type != "bert":
            message = f'pooling "mean" needs a BERT encoder, {base} is {settings.model_type}; set pooling = "cls"'
            raise ModelFolderError(message, path=Path(base))
        settings.architectures = [MEAN_POOLING_ARCHITECTURE]
    # Eager attention: SDPA is slower on a CPU in training (its flash backward), and the same on short sentences
    # elsewhere.
    model = model_class(settings).from_pretrained(
        base,
        config=settings,
        use_safetensors=True,
        dtype=torch.float32,
        attn_implementation="eager",
        ignore_mismatched_sizes=True,  # a head of other labels gives way to a fresh one
    )
    if config.model.freeze_word_embeddings:
        model.get_input_embeddings().weight.requires_grad_(False)
    return model


def _tokenise(sentences: LabelledSentences, label_names: tuple[str, ...], tokenizer: Any, max_length: int) -> Dataset:
    """Return a data set of ``input_ids``, ``attention_mask``, ``labels`` (floats) and ``length`` (tokens)."""
    encoded = tokenizer(list(sentences.texts), truncation=True, max_length=max_length, padding=False)
    labels = indicator_matrix(sentences.labels, label_names).astype(np.float32)
    return Dataset.from_dict(
        {
            "input_ids": encoded["input_ids"],
            "attention_mask": encoded["attention_mask"],
            "labels": list(labels),
            "length": [len(ids) for ids in encoded["input_ids"]],
        }
    )


def _build_trainer(
    config: TrainingConfig,
    model: Any,
    tokenizer: Any,
    dataset: Dataset,
    train: LabelledSentences,
    label_names: tuple[str, ...],
    folder: Path,
) -> MultiLabelTrainer:
    """Return the trainer of a run."""
    how = config.optimisation
    n_steps = int(np.ceil(len(dataset) / how.batch_size) * how.num_train_epochs)
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=how.num_train_epochs,
        per_device_train_batch_size=how.batch_size,
        learning_rate=how.learning_rate,
        warmup_steps=int(how.warmup_ratio * n_steps),
        weight_decay=how.weight_decay,
        lr_scheduler_type="linear",
        bf16=how.bf16,
        use_cpu=not torch.cuda.is_available(),
        train_sampling_strategy="group_by_length",
        length_column_name="length",
        seed=config.seed,
        data_seed=config.seed,
        save_strategy="epoch",
        save_total_limit=1,
        logging_steps=100,
        label_names=["labels"],
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    n_positive = torch.from_numpy(indicator_matrix(train.labels, label_names).sum(0, dtype=np.int64))
    return MultiLabelTrainer(
        model=model,
        args=arguments,
        train_dataset=dataset,
        data_collator=DataCollatorWithPadding(tokenizer),
        pos_weight=positive_weights(n_positive, len(train), how.positive_weight_cap),
        layer_decay=how.layer_decay,
    )


if __name__ == "__main__":
    sys.exit(main())
