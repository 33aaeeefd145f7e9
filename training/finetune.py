"""Fine-tune an encoder on labelled sentences and save a model folder that ``ctclassify.load`` takes.

    python training/finetune.py --config training/configs/minilm.toml

The run's folder, ``training/runs/<name>``, holds ``model/``, checkpoints, and ``run.json``: the resolved config,
versions, checksums of data and encoder, counts, seed and commit. A run that was stopped goes on with ``--resume``, from
its last complete checkpoint, where config, data and encoder are the same; run.json lists each such start.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from datasets import Dataset
from transformers import AutoConfig, AutoTokenizer, DataCollatorWithPadding, TrainingArguments, set_seed
from transformers.utils.logging import disable_progress_bar

from ctclassify.errors import CTClassifyError, DataError, ModelFolderError
from ctclassify.labels import LABEL_IDS
from ctclassify.torch_model import MEAN_POOLING_ARCHITECTURES, model_class
from training.checkpoints import last_complete_checkpoint
from training.config import TrainingConfig, load_config
from training.data import LabelledSentences, indicator_matrix, labels_without_positives, read_labelled
from training.decision import check_positives
from training.distillation import SoftLabels, join_targets, read_soft_labels
from training.encoder import encoder_errors, resolve_encoder
from training.files import read_json_object, write_text
from training.finite import check_weights
from training.folds import take_share
from training.losses import Objective, positive_weights
from training.provenance import describe_run, describe_software, differences
from training.saving import count_truncated, save_model_folder
from training.trainer import MultiLabelTrainer

RUNS = Path(__file__).resolve().parent / "runs"

_WRITTEN_LAST = ("validation", "n_truncated_validation")
"""What run.json holds of a finished run alone."""

_HIDDEN_DROPOUTS = (
    *("hidden_dropout_prob", "hidden_dropout", "dropout", "dropout_rate", "mlp_dropout", "embedding_dropout"),
    *("resid_pdrop", "embd_pdrop", "classifier_dropout", "classifier_dropout_prob", "seq_classif_dropout"),
)
"""What encoders and heads call it; None in a config stands for another of these, and stays."""
_ATTENTION_DROPOUTS = ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="a TOML file, see training/configs/")
    parser.add_argument("--seed", type=int, help="instead of the config's seed; the run's folder gets -seedN")
    parser.add_argument("--output", type=Path, help="the run's folder; training/runs/<name> unless given")
    parser.add_argument("--resume", action="store_true", help="go on from the folder's last complete checkpoint")
    args = parser.parse_args(argv)
    disable_progress_bar()  # bars of a second's work would bury the log
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
    figures = json.loads((folder / "run.json").read_text(encoding="utf-8"))["validation"]
    print(f"validation, thresholds tuned on it: micro-F1 {figures['micro_f1']}, macro-F1 {figures['macro_f1']}")
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
        Go on from the last complete checkpoint in ``folder``, or start where it has none.

    Returns
    -------
    pathlib.Path
        ``folder``.

    Raises
    ------
    DataError
        If a data file is missing, empty, or has a bad line, or if a run that is to go on was started with another
        config, data or encoder, or has no run.json; if no validation sentence has a label.
    ModelFolderError
        If the base encoder cannot be loaded, is not the pinned one, or the pooling does not fit it.
    FileExistsError
        If ``folder`` holds a run already and ``resume`` is False, or is a file.
    NotFiniteError
        If the training diverged; nothing is saved as a model then.
    """
    is_continued = _is_continued(folder, resume)
    label_names = LABEL_IDS if config.data.label_names is None else config.data.label_names
    train = take_share(_read_split("train", config.data.train, label_names), config.data.share)
    if not len(train):
        raise DataError(f"data.share {config.data.share} holds no document; give more", path=config.data.train[0])
    validation = _read_split("validation", config.data.validation, label_names)
    check_positives(validation, label_names, path=config.data.validation[0])
    _name_unseen(train, label_names)
    soft = None if config.distillation is None else read_soft_labels(config.distillation.soft, label_names)

    set_seed(config.seed)
    base = resolve_encoder(config.model.base)
    with encoder_errors(base):
        tokenizer = AutoTokenizer.from_pretrained(base, trust_remote_code=False)
    model = _build_model(config, base, label_names)
    dataset = _tokenise(train, soft, label_names, tokenizer, config.model.max_length)
    commit = getattr(model.config, "_commit_hash", None)
    run = describe_run(config, train, validation, encoder=base, encoder_commit=commit)
    run["counts"]["n_texts_train"] = len(dataset)
    run["n_at_max_length_train"] = _count_at_max_length(dataset, config.model.max_length)
    start, checkpoint = run, None
    if is_continued:
        checkpoint = last_complete_checkpoint(folder, with_average=config.optimisation.ema_decay > 0)
        run = _continued(folder, run, checkpoint)
        print(f"going on from {checkpoint.name}" if checkpoint is not None else "no complete checkpoint: starting anew")
        start = run["resumed"][-1]
    folder.mkdir(parents=True, exist_ok=True)
    _write_run(folder, run)
    trainer = _build_trainer(config, model, tokenizer, dataset, train, label_names, folder)
    started = time.monotonic()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint is not None else None)
    start["train_seconds"] = round(time.monotonic() - started)
    if trainer.average is not None:
        trainer.average.copy_to(model)
    # Trainer's autocast off: thresholds are tuned on float32 answers, as the saved model gives them.
    model = trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    _check_weights(model, config, folder)
    run["validation"] = save_model_folder(folder / "model", model, tokenizer, validation, label_names, config.decision)
    run["n_truncated_validation"] = _count_truncated(model, tokenizer, validation)
    _write_run(folder, run)
    return folder


def _is_continued(folder: Path, resume: bool) -> bool:
    """Return whether a folder holds a run that is to go on; refuse one that is not."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; expected a folder for the run, or none")
    holds_a_run = folder.exists() and any(folder.iterdir())
    if holds_a_run and not resume:
        raise FileExistsError(f"{folder} holds a run already; pass --resume to go on, or remove it")
    return holds_a_run


def _read_split(split: str, paths: tuple[Path, ...], label_names: tuple[str, ...]) -> LabelledSentences:
    """Read the files of a split, which must hold something."""
    sentences = read_labelled(paths, label_names)
    if not len(sentences):
        raise DataError(f"no sentence in the {split} files", path=paths[0])
    return sentences


def _name_unseen(train: LabelledSentences, label_names: tuple[str, ...]) -> None:
    """Say which labels occur in no training sentence, where there are any."""
    unseen = labels_without_positives(train, label_names)
    if unseen:
        print(f"no positive in the training data of {', '.join(unseen)}: the labels alone cannot teach it")


def _count_at_max_length(dataset: Dataset, max_length: int) -> int:
    """Count the training sentences that reach ``max_length``, and say so where there are any."""
    n = int(sum(length == max_length for length in dataset["length"]))
    if n:
        print(
            f"{n} of {len(dataset)} training sentences reach model.max_length, {max_length} tokens; "
            "what is longer is cut there"
        )
    return n


def _count_truncated(model: Any, tokenizer: Any, validation: LabelledSentences) -> int:
    """Count the validation sentences that are longer than the model's window, and say so where there are any."""
    n = count_truncated(model, tokenizer, validation.texts)
    if n:
        print(
            f"{n} of {len(validation)} validation sentences are longer than the model's window: "
            "thresholds are tuned on their first window, ctclassify reads all of them"
        )
    return n


def _check_weights(model: Any, config: TrainingConfig, folder: Path) -> None:
    """Refuse the weights of a training that diverged."""
    remedy = (
        f"lower optimisation.learning_rate, {config.optimisation.learning_rate:g}, and train in a new folder: "
        "the checkpoints here hold such weights too"
    )
    check_weights(model.state_dict(), folder, remedy=remedy)


def _continued(folder: Path, now: dict[str, Any], checkpoint: Path | None) -> dict[str, Any]:
    """Return the record of a folder's first start with this start added to ``resumed``; refuse another run."""
    path = folder / "run.json"
    if not path.is_file():
        raise DataError("no such file, so nothing says what run this is; give an empty folder", path=path)
    first = read_json_object(path)
    found = differences(first, now)
    if found:
        message = f"the run was started from something else, {'; '.join(found)}; undo that, or train in a new folder"
        raise DataError(message, path=path)
    resumed = {"checkpoint": checkpoint.name if checkpoint is not None else None, **describe_software()}
    # [decision] may differ by now, and today's is what the model gets. What is written last marks a finished run: a
    # stop from here on must not leave it beside an older model.
    first = {key: value for key, value in first.items() if key not in _WRITTEN_LAST}
    return {**first, "config": now["config"], "resumed": [*first.get("resumed", []), resumed]}


def _write_run(folder: Path, run: dict[str, Any]) -> None:
    """Write run.json."""
    write_text(folder / "run.json", json.dumps(run, indent=2, allow_nan=False) + "\n")


def _build_model(config: TrainingConfig, base: str, label_names: tuple[str, ...]) -> Any:
    """Return the encoder with a fresh head, or with its own where it is an earlier model of the very same labels."""
    with encoder_errors(base):
        named = AutoConfig.from_pretrained(base, trust_remote_code=False).id2label
        settings = AutoConfig.from_pretrained(
            base,
            trust_remote_code=False,
            num_labels=len(label_names),
            id2label=dict(enumerate(label_names)),
            label2id={name: i for i, name in enumerate(label_names)},
            problem_type="multi_label_classification",
        )
    _set_dropout(settings, _HIDDEN_DROPOUTS, "hidden_dropout", config.model.hidden_dropout, base)
    _set_dropout(settings, _ATTENTION_DROPOUTS, "attention_dropout", config.model.attention_dropout, base)
    if config.model.pooling == "mean":
        if settings.model_type not in MEAN_POOLING_ARCHITECTURES:
            known = " or ".join(sorted(MEAN_POOLING_ARCHITECTURES))
            message = f'pooling "mean" needs an encoder of type {known}, {base} is {settings.model_type}'
            raise ModelFolderError(f'{message}; set pooling = "cls"', path=Path(base))
        settings.architectures = [MEAN_POOLING_ARCHITECTURES[settings.model_type].__name__]
    # Eager attention: SDPA is slower on a CPU in training (its flash backward), and the same on short sentences
    # elsewhere.
    with encoder_errors(base):
        model, loaded = model_class(settings).from_pretrained(
            base,
            config=settings,
            use_safetensors=True,
            dtype=torch.float32,
            attn_implementation="eager",
            ignore_mismatched_sizes=True,  # a head of other labels gives way to a fresh one
            output_loading_info=True,
        )
    if tuple(named[i] for i in sorted(named)) != tuple(label_names):
        _renew_head(model, base, loaded)
    if config.model.keep_layers is not None:
        _keep_layers(model, config.model.keep_layers, base)
    if config.model.freeze_word_embeddings:
        model.get_input_embeddings().weight.requires_grad_(False)
    if config.model.freeze_layers:
        _freeze_lowest(model, config.model.freeze_layers, base)
    return model


def _is_of_head(model: Any, name: str) -> bool:
    """Return whether a weight belongs to the head and not to the encoder."""
    return not name.startswith(f"{model.base_model_prefix}.")


def _renew_head(model: Any, base: str, loaded: Mapping[str, Any]) -> None:
    """Give a model of other labels random weights in its head, and say so: a row stands for one label alone."""
    heads = {name for name in model.state_dict() if _is_of_head(model, name)}
    held = heads - set(loaded["missing_keys"])
    if not held:
        return  # an encoder without a head: it got a fresh one
    print(f"{base} has other labels, or has them in another order: the head starts anew, from the seed")
    if held <= {name for name, *_ in loaded["mismatched_keys"]}:
        return  # another number of labels: transformers has put a fresh one in its place
    fresh = type(model)(model.config).state_dict()
    model.load_state_dict({name: fresh[name] for name in heads}, strict=False)


def _set_dropout(settings: Any, names: tuple[str, ...], field: str, value: float, base: str) -> None:
    """Set a dropout under whatever name an encoder's config has for it."""
    known = [name for name in names if getattr(settings, name, None) is not None]
    for name in known:
        setattr(settings, name, value)
    if not known and value:
        message = f"model.{field} is {value}, but the config of {base} ({settings.model_type}) has none of "
        raise ModelFolderError(f"{message}{', '.join(names)}; set it to 0", path=Path(base))


def _layers(model: Any) -> Any:
    """Return an encoder's list of layers, or None where it has none of the usual name."""
    return getattr(getattr(model.base_model, "encoder", None), "layer", None)


def _keep_layers(model: Any, kept: tuple[int, ...], base: str) -> None:
    """Leave out all layers of an encoder but some."""
    layers = _layers(model)
    if layers is None or kept[-1] >= len(layers):
        found = "no list of layers" if layers is None else f"{len(layers)} layers, numbered from 0"
        raise ModelFolderError(f"model.keep_layers is {list(kept)}, the encoder {base} has {found}", path=Path(base))
    model.base_model.encoder.layer = torch.nn.ModuleList(layers[i] for i in kept)
    model.config.num_hidden_layers = len(kept)


def _freeze_lowest(model: Any, n_layers: int, base: str) -> None:
    """Leave the embeddings and the lowest layers of an encoder as they are."""
    encoder, layers = model.base_model, _layers(model)
    if layers is None or n_layers >= len(layers):
        found = "no list of layers" if layers is None else f"{len(layers)} layers"
        raise ModelFolderError(
            f"model.freeze_layers is {n_layers}, the encoder {base} has {found}; expected less than its layers, or 0",
            path=Path(base),
        )
    for part in (encoder.embeddings, *layers[:n_layers]):
        part.requires_grad_(False)
        for module in part.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0  # noise in layers that do not learn costs time for nothing
    # What all layers share, MPNet's position bias, would draw gradients through the frozen ones.
    for name, parameter in encoder.encoder.named_parameters():
        if not name.startswith("layer."):
            parameter.requires_grad_(False)


def _tokenise(
    sentences: LabelledSentences,
    soft: SoftLabels | None,
    label_names: tuple[str, ...],
    tokenizer: Any,
    max_length: int,
) -> Dataset:
    """Return ``input_ids``, ``attention_mask``, ``labels`` (floats), ``length`` (tokens), ``soft_labels`` if any."""
    texts: list[str]
    if soft is None:
        texts, targets = list(sentences.texts), {}
        targets["labels"] = indicator_matrix(sentences.labels, label_names).astype(np.float32)
    else:
        texts, labels, soft_labels = join_targets(sentences, soft, label_names)
        targets = {"labels": labels, "soft_labels": soft_labels}
    encoded = tokenizer(texts, truncation=True, max_length=max_length, padding=False)
    return Dataset.from_dict(
        {
            "input_ids": encoded["input_ids"],
            "attention_mask": encoded["attention_mask"],
            "length": [len(ids) for ids in encoded["input_ids"]],
            **{name: list(values) for name, values in targets.items()},
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
        label_names=["labels", "soft_labels"],  # Trainer drops columns that it does not know
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    _ = arguments.device  # found here, or it would overwrite what follows
    arguments._n_gpu = min(1, arguments._n_gpu)  # all cards at once would multiply the config's batch
    n_positive = torch.from_numpy(indicator_matrix(train.labels, label_names).sum(0, dtype=np.int64))
    objective = Objective(
        pos_weight=positive_weights(n_positive, len(train), how.positive_weight_cap),
        loss=how.loss,
        soft_weight=0.0 if config.distillation is None else config.distillation.weight,
    )
    return MultiLabelTrainer(
        model=model,
        args=arguments,
        train_dataset=dataset,
        data_collator=DataCollatorWithPadding(tokenizer),
        objective=objective,
        r_drop=how.r_drop,
        layer_decay=how.layer_decay,
        ema_decay=how.ema_decay,
    )


if __name__ == "__main__":
    sys.exit(main())
