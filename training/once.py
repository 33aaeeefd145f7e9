"""A run that is trained once: finished ones are left alone, stopped ones go on."""

from __future__ import annotations

from pathlib import Path

from ctclassify.errors import DataError
from ctclassify.labels import LABEL_IDS
from training import finetune
from training.config import DecisionConfig, TrainingConfig
from training.data import read_labelled
from training.encoder import resolve_encoder
from training.files import read_json_object
from training.provenance import describe_run, differences

__all__ = ["train_once"]


def train_once(config: TrainingConfig, folder: Path) -> Path:
    """Fine-tune into a folder, go on where it holds a stopped run, and leave a finished run of the same config alone.

    Parameters
    ----------
    config : TrainingConfig
        All values of the run.
    folder : pathlib.Path
        Where to write; made if absent.

    Returns
    -------
    pathlib.Path
        ``folder``, with ``model/`` and ``run.json``.

    Raises
    ------
    DataError
        If the folder holds a run of another config, data or encoder.
    ModelFolderError
        As for :func:`training.finetune.finetune`.
    """
    record = folder / "run.json"
    run = read_json_object(record) if record.is_file() else {}
    if "validation" not in run or not (folder / "model").is_dir():
        return finetune.finetune(config, folder, resume=True)
    names = LABEL_IDS if config.data.label_names is None else config.data.label_names
    now = describe_run(
        config,
        read_labelled(config.data.train, names),
        read_labelled(config.data.validation, names),
        encoder=resolve_encoder(config.model.base),
        encoder_commit=run["encoder"].get("commit"),
    )
    found = differences(run, now)
    if found:
        message = f"a finished run of something else, {'; '.join(found)}; undo that, or move the folder away"
        raise DataError(message, path=record)
    if {**DecisionConfig().model_dump(mode="json"), **run["config"].get("decision", {})} != now["config"]["decision"]:
        message = (
            "a finished run with another [decision]; undo the change, or move the folder away to train anew "
            "(training/calibrate.py chooses anew for a model folder, outside of this run)"
        )
        raise DataError(message, path=record)
    print(f"{folder}: finished already")
    return folder
