"""The configuration of a fine-tuning run: one TOML file, checked on reading."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ctclassify.errors import DataError
from training.encoder import MINILM

__all__ = [
    "CalibrationMethod",
    "DataConfig",
    "DecisionConfig",
    "DistillationConfig",
    "LossName",
    "ModelConfig",
    "OptimisationConfig",
    "TrainingConfig",
    "check_config",
    "load_config",
    "read_toml",
]

CalibrationMethod: TypeAlias = Literal["none", "temperature", "platt"]
LossName: TypeAlias = Literal["bce", "asymmetric"]

_Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
_Share = Annotated[float, Field(gt=0.0, lt=1.0)]
_Positive = Annotated[float, Field(gt=0.0)]
_Count = Annotated[int, Field(ge=1)]
_LabelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
"""No comma, bar or space: label names are joined by them in tables and on the command line."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataConfig(_Section):
    """Files of labelled sentences or articles, JSON lines as in README.md; paths relative to the config file."""

    train: tuple[Path, ...] = Field(min_length=1)
    """Files to learn from, joined in this order."""
    share: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Part of the training documents to learn from, chosen by a hash of their text: for a learning curve, quick trials.

    A smaller share is part of a larger one. Files of ``[distillation]`` are taken whole.
    """
    validation: tuple[Path, ...] = Field(min_length=1)
    """Files that thresholds are tuned on; never a test file."""
    label_names: Annotated[tuple[_LabelName, ...], Field(min_length=1)] | None = None
    """The labels in the model's order, each once; None takes the codebook's fourteen."""

    @field_validator("label_names")
    @classmethod
    def _distinct(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        twice = sorted({name for name in names or () if (names or ()).count(name) > 1})
        if twice:
            raise ValueError(f"expected each label once, got twice: {', '.join(twice)}")
        return names


class ModelConfig(_Section):
    """The encoder and its head."""

    base: Annotated[str, Field(min_length=1)] = MINILM
    """``all-MiniLM-L6-v2`` (from its package, checksum pinned), a folder (relative to the config file), or a Hub name.

    A folder of that very name is reached as ``./all-MiniLM-L6-v2``.
    """
    pooling: Literal["cls", "mean"] = "mean"
    """``mean``: average of the token states (BERT, MPNet); ``cls``: the architecture's own classification head."""
    max_length: Annotated[int, Field(ge=8, le=512)] = 128
    """Longest training sentence in tokens; longer ones are cut and counted."""
    hidden_dropout: _Fraction = 0.1
    """Dropout of the hidden states and the head."""
    attention_dropout: _Fraction = 0.0
    """Dropout of the attention weights; on a CPU its random numbers cost time."""
    keep_layers: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    """Layers of the encoder to start from, by number from 0, in rising order; None keeps all. For a smaller student."""
    freeze_layers: Annotated[int, Field(ge=0)] = 0
    """Lowest layers that stay as pre-trained, the embeddings with them: training takes less time and memory."""
    freeze_word_embeddings: bool = True
    """Leave the word embedding table as it is: it holds half of the parameters, and rare words stay as pre-trained."""

    @field_validator("keep_layers")
    @classmethod
    def _rising(cls, layers: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if layers is not None and (not layers or list(layers) != sorted(set(layers))):
            raise ValueError(f"expected at least one layer, each once, in rising order, got {list(layers)}")
        return layers


class DistillationConfig(_Section):
    """A teacher's probabilities as further targets; training/soft_label.py writes them."""

    soft: tuple[Path, ...] = Field(min_length=1)
    """Files of JSON lines with ``text`` and ``probabilities``; paths relative to the config file.

    A text that stands among the training sentences too gives both its targets; others have the teacher's alone.
    """
    weight: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """Weight of the teacher's target where a sentence has labels too; the labels weigh the rest."""


class OptimisationConfig(_Section):
    """How the weights are learned."""

    num_train_epochs: _Positive = 5.0
    """Passes over the training rows."""
    batch_size: _Count = 32
    """Sentences a step."""
    learning_rate: _Positive = 2e-4
    """Peak of the schedule, for the head and the top layer."""
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Factor on the learning rate for each layer further from the head; 1 treats all alike."""
    warmup_ratio: _Fraction = 0.1
    """Part of the steps in which the learning rate rises."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.01
    """AdamW's decay; biases and layer norms are exempt."""
    loss: LossName = "bce"
    """How labels count: ``bce``, weighted cross-entropy, or ``asymmetric``, which leaves easy negatives out."""
    r_drop: Annotated[float, Field(ge=0.0)] = 0.0
    """Weight of the divergence between two passes with different dropout; above 0 a step takes twice the time."""
    positive_weight_cap: Annotated[float, Field(ge=1.0)] = 8.0
    """Positives of a label weigh sqrt(negatives / positives), held between 1 and this.

    With ``loss = "asymmetric"`` it has no effect.
    """
    ema_decay: _Fraction = 0.0
    """Decay a step of the running average of the weights that is kept as the model; 0 keeps the last weights."""
    bf16: bool = True
    """Compute in bfloat16 autocast; master weights stay float32."""


class DecisionConfig(_Section):
    """How probabilities become labels, chosen on the validation data once the weights stand."""

    calibration: CalibrationMethod = "platt"
    """``none``, ``temperature`` (one slope) or ``platt`` (slope and bias of each label)."""
    objective: Annotated[str, Field(pattern=r"^(f1|f0\.5|f2|precision-0\.\d+)$")] = "f1"
    """The set of thresholds that is used unless a caller names another: f1, f0.5, f2, precision-FLOOR."""
    precision_floors: tuple[_Share, ...] = (0.8, 0.9, 0.95)
    """For each, a set of thresholds ``precision-FLOOR`` is stored: the lowest ones that keep each label's precision."""
    review_precision: _Share | Literal[False] = 0.9
    """Micro-precision that the sentences outside the review band reach on the validation data; false for no band."""

    @model_validator(mode="after")
    def _objective_is_tuned(self) -> Self:
        floors = [f"precision-{floor:g}" for floor in self.precision_floors]
        if self.objective.startswith("precision") and self.objective not in floors:
            raise ValueError(f"objective {self.objective} is not among precision_floors, which give {floors}")
        if self.calibration == "none" and self.review_precision:
            raise ValueError(
                "calibration none has no review band: expected errors rest on calibrated probabilities; "
                "set review_precision to false (calibrate.py: --review-precision 0)"
            )
        return self


class TrainingConfig(_Section):
    """All values of a run."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    """Name of the run: its folder below ``training/runs``."""
    seed: int = 13
    """Reaches the initialisation, the shuffles and the dropout."""
    data: DataConfig
    model: ModelConfig = ModelConfig()
    optimisation: OptimisationConfig = OptimisationConfig()
    decision: DecisionConfig = DecisionConfig()
    distillation: DistillationConfig | None = None


def load_config(path: Path) -> TrainingConfig:
    """Read and check a run's configuration.

    Parameters
    ----------
    path : pathlib.Path
        A TOML file.

    Returns
    -------
    TrainingConfig
        With the data paths made absolute (they are written relative to the config file), and ``model.base`` too where
        it names a folder there.

    Raises
    ------
    DataError
        If the file is missing, not TOML, has an unknown key, or a value out of range; the message names each field.
    """
    return check_config(read_toml(path), path)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; a :class:`DataError` where it is missing or no TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror or error}; expected a TOML file such as those in training/configs",
            path=path,
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"not a TOML file: {error}", path=path) from error


def check_config(raw: Mapping[str, Any], path: Path) -> TrainingConfig:
    """Check a configuration's values, as :func:`load_config` does; its paths are relative to the folder of ``path``."""
    try:
        config = TrainingConfig.model_validate(raw)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise DataError(f"{problems}; the fields are described in training/config.py", path=path) from error
    folder = path.resolve().parent
    data = config.data.model_copy(
        update={
            "train": tuple((folder / p).resolve() for p in config.data.train),
            "validation": tuple((folder / p).resolve() for p in config.data.validation),
        }
    )
    model = config.model.model_copy(update={"base": _resolve_base(config.model.base, folder)})
    update: dict[str, _Section] = {"data": data, "model": model}
    if config.distillation is not None:
        soft = tuple((folder / p).resolve() for p in config.distillation.soft)
        update["distillation"] = config.distillation.model_copy(update={"soft": soft})
    return config.model_copy(update=update)


def _resolve_base(base: str, folder: Path) -> str:
    """Return the absolute path of an encoder's folder, or the name as it is where the config's folder has none."""
    path = (folder / base).resolve()
    return str(path) if base != MINILM and path.is_dir() else base
