"""The command-line options of ``[decision]``, and what a model folder shows of the decision it was saved with."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from ctclassify.errors import DataError
from ctclassify.manifest import Manifest
from training.config import DecisionConfig

__all__ = ["add_decision_options", "common_decision", "decision_of", "given_options"]

_FLOOR = "precision-"


def add_decision_options(parser: argparse.ArgumentParser, *, otherwise: str) -> None:
    """Add the four options of a decision.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Each option that is not given will be None there.
    otherwise : str
        What holds then, for the help; ``{}`` in it stands for the default's value.
    """
    defaults = DecisionConfig()
    parser.add_argument(
        "--calibration",
        help=f"platt, temperature or none ({otherwise.format(defaults.calibration)}); none needs --review-precision 0",
    )
    parser.add_argument("--objective", help=f"f1, f0.5, f2 or precision-FLOOR ({otherwise.format(defaults.objective)})")
    floors = " ".join(map(str, defaults.precision_floors))
    parser.add_argument(
        "--precision-floors", type=float, nargs="*", help=f"a set for each floor ({otherwise.format(floors)})"
    )
    parser.add_argument(
        "--review-precision",
        type=float,
        help=f"micro-precision outside the review band; 0: no band ({otherwise.format(defaults.review_precision)})",
    )


def given_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of a decision that were given, as fields of :class:`DecisionConfig`."""
    given = {name: getattr(args, name) for name in DecisionConfig.model_fields if getattr(args, name) is not None}
    if "review_precision" in given:
        given["review_precision"] = given["review_precision"] or False
    return given


def decision_of(fields: dict[str, Any], *, path: Path) -> DecisionConfig:
    """Return fields as a checked config, its defaults for the others.

    Raises
    ------
    DataError
        If a value is out of range or two do not go together; it names ``path``, the model folder.
    """
    try:
        return DecisionConfig(**fields)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'options'}: {e['msg']}" for e in error.errors())
        raise DataError(problems, path=path) from error


def common_decision(first: Manifest, second: Manifest) -> dict[str, Any]:
    """Return how the calibration, thresholds and band of two folders were chosen, where both show the same.

    Parameters
    ----------
    first, second : Manifest
        Of the folders.

    Returns
    -------
    dict
        Fields of :class:`DecisionConfig`. ``objective`` is a set that both use: where two sets of a folder are equal,
        it may be either, and the first that fits both folders is taken. ``review_precision`` is False where neither has
        a band. What a folder does not show, as one without sets its objective, is left out.
    """
    pairs = {name: (get(first), get(second)) for name, get in _SHOWN.items()}
    found = {name: one for name, (one, other) in pairs.items() if one is not None and one == other}
    objectives = [name for name in _objectives(first) if name in _objectives(second)]
    return {**found, **({"objective": objectives[0]} if objectives else {})}


def _objectives(manifest: Manifest) -> list[str]:
    """Return the sets that are the thresholds in use."""
    return [name for name, values in manifest.threshold_sets.items() if values == manifest.thresholds]


def _precision_floors(manifest: Manifest) -> tuple[float, ...] | None:
    """Return the floors of the sets, None without sets."""
    floors = [name.removeprefix(_FLOOR) for name in manifest.threshold_sets if name.startswith(_FLOOR)]
    return tuple(map(float, floors)) if manifest.threshold_sets else None


def _review_precision(manifest: Manifest) -> float | Literal[False]:
    """Return the band's precision, False without one."""
    return manifest.review.target_precision if manifest.review is not None else False


def _calibration_method(manifest: Manifest) -> str:
    """Return the method that gives such lines."""
    lines = manifest.calibration
    if lines is None:
        return "none"
    return "temperature" if len(set(lines.scale)) == 1 and not any(lines.bias) else "platt"


_SHOWN: dict[str, Callable[[Manifest], Any]] = {
    "calibration": _calibration_method,
    "precision_floors": _precision_floors,
    "review_precision": _review_precision,
}
"""What a manifest shows of each field but the objective."""
