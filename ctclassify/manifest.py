"""``ctclassify.json``: what a model folder holds besides a Hugging Face model, parsed and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctclassify.calibration import Calibration
from ctclassify.errors import ModelFolderError
from ctclassify.review import ReviewBand

__all__ = ["FORMAT_VERSION", "MANIFEST", "Manifest", "check_version", "parse_manifest"]

MANIFEST = "ctclassify.json"
FORMAT_VERSION = 2
"""Version of the format: 2 added threshold sets, calibration and the review band, which a folder of version 1 lacks."""

_READABLE = (1, 2)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """How probabilities become labels.

    Attributes
    ----------
    thresholds : mapping of str to float
        Decision threshold of every label, in [0, 1], on calibrated probabilities: the set that is used unless another
        is asked for.
    threshold_sets : mapping of str to mapping of str to float
        Further sets by name, such as ``precision-0.9``; each names every label.
    max_tokens : int
        Most tokens that the model reads at once, special tokens included.
    calibration : Calibration or None
        None leaves the probabilities as the model gives them.
    review : ReviewBand or None
        None: the model marks no sentence for review.
    """

    thresholds: Mapping[str, float]
    threshold_sets: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    max_tokens: int = 512
    calibration: Calibration | None = None
    review: ReviewBand | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest in JSON types, without the checksums that :mod:`ctclassify.model_folder` adds."""
        names = list(self.thresholds)
        fields: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "max_tokens": self.max_tokens,
            "thresholds": dict(self.thresholds),
            "threshold_sets": {name: dict(values) for name, values in self.threshold_sets.items()},
        }
        if self.calibration is not None:
            fields["calibration"] = {
                "scale": dict(zip(names, self.calibration.scale, strict=True)),
                "bias": dict(zip(names, self.calibration.bias, strict=True)),
            }
        if self.review is not None:
            fields["review"] = {key: getattr(self.review, key) for key in ("limit", "target_precision", "share")}
        return fields


def check_version(raw: Mapping[str, Any], path: Path) -> None:
    """Refuse a manifest of a version that this code does not read, before anything else in it is."""
    if raw.get("format_version") not in _READABLE:
        raise ModelFolderError(
            f"{path}: format_version is {raw.get('format_version')!r}, "
            f"this version of ctclassify reads {' and '.join(map(str, _READABLE))}; "
            "install the version of ctclassify that saved the folder, or save it again",
            path=path,
        )


def parse_manifest(raw: Mapping[str, Any], label_names: Sequence[str], path: Path) -> Manifest:
    """Check what ``ctclassify.json`` holds.

    Parameters
    ----------
    raw : mapping
        The file's object.
    label_names : sequence of str
        The model's labels, in order.
    path : pathlib.Path
        The file, for messages.

    Returns
    -------
    Manifest
        With every mapping in the order of ``label_names``.

    Raises
    ------
    ModelFolderError
        If the version is another, a label has no value, or a value is out of range.
    """
    check_version(raw, path)
    sets = raw.get("threshold_sets", {})
    if not isinstance(sets, dict):
        raise ModelFolderError(f"{path}: threshold_sets is {sets!r}; expected an object of sets by name", path=path)
    return Manifest(
        thresholds=_thresholds(raw.get("thresholds"), label_names, path, "thresholds"),
        threshold_sets={
            name: _thresholds(values, label_names, path, f"threshold_sets.{name}") for name, values in sets.items()
        },
        max_tokens=_max_tokens(raw.get("max_tokens"), path),
        calibration=_calibration(raw.get("calibration"), label_names, path),
        review=_review(raw.get("review"), path),
    )


def _by_label(stored: Any, label_names: Sequence[str], path: Path, what: str) -> dict[str, Any]:
    """Return an object that names each label once, in the order of the labels."""
    if not isinstance(stored, dict) or set(stored) != set(label_names):
        raise ModelFolderError(f"{path}: {what} must name each of the labels {', '.join(label_names)}", path=path)
    return {name: stored[name] for name in label_names}


def _is_number(value: Any, low: float, high: float) -> bool:
    """Return whether a value is a number in [low, high], which are finite."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and low <= value <= high


def _thresholds(stored: Any, label_names: Sequence[str], path: Path, what: str) -> dict[str, float]:
    """Return a set of thresholds."""
    values = _by_label(stored, label_names, path, what)
    for name, value in values.items():
        if not _is_number(value, 0, 1):
            noun = "threshold" if what == "thresholds" else what
            raise ModelFolderError(f"{path}: {noun} of {name} is {value!r}; expected a number in [0, 1]", path=path)
    return {name: float(value) for name, value in values.items()}


def _max_tokens(value: Any, path: Path) -> int:
    """Return the stored limit of tokens."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 8:
        raise ModelFolderError(f"{path}: max_tokens is {value!r}; expected a whole number of at least 8", path=path)
    return value


def _calibration(stored: Any, label_names: Sequence[str], path: Path) -> Calibration | None:
    """Return the calibration, None where there is none."""
    if stored is None:
        return None
    if not isinstance(stored, dict):
        raise ModelFolderError(f"{path}: calibration is {stored!r}; expected an object of scale and bias", path=path)
    scale = _by_label(stored.get("scale"), label_names, path, "calibration.scale")
    bias = _by_label(stored.get("bias"), label_names, path, "calibration.bias")
    for name in label_names:
        if not _is_number(scale[name], 1e-6, 1e6) or not _is_number(bias[name], -1e6, 1e6):
            raise ModelFolderError(
                f"{path}: calibration of {name} is scale {scale[name]!r}, bias {bias[name]!r}; "
                "expected finite numbers, the scale above 0",
                path=path,
            )
    return Calibration(scale=tuple(map(float, scale.values())), bias=tuple(map(float, bias.values())))


def _review(stored: Any, path: Path) -> ReviewBand | None:
    """Return the review band, None where there is none."""
    if stored is None:
        return None
    highest = {"limit": 1e6, "target_precision": 1, "share": 1}
    if not isinstance(stored, dict) or not all(_is_number(stored.get(key), 0, highest[key]) for key in highest):
        raise ModelFolderError(
            f"{path}: review is {stored!r}; expected limit (0 or more), target_precision and share (in [0, 1])",
            path=path,
        )
    return ReviewBand(**{key: float(stored[key]) for key in highest})
