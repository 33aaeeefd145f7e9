"""The gate: an engine or precision is used only if it decides as float32 does.

It scores a bundled set of sentences, written for this project, of which every label has some. Passed if at most one
decision in a thousand differs from the float32 reference, and no label's F1 by more than 0.3 points.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

__all__ = ["MAX_CHANGED", "MAX_F1_CHANGE", "GateResult", "GateSentences", "gate_sentences", "judge"]

MAX_CHANGED = 0.001
"""Largest share of decisions that may differ from the reference's."""

MAX_F1_CHANGE = 0.003
"""Most by which a label's F1 may differ from the reference's, in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class GateSentences:
    """The bundled sentences: texts, and the labels of each, in the same order."""

    texts: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """What the gate found.

    Attributes
    ----------
    n_decisions, n_changed : int
        Decisions, one a sentence and label, and how many of them differ from the reference's.
    f1_changes : dict of str to float
        F1 less the reference's, in [-1, 1], of each label that has gold labels.
    one_decision : dict of str to float
        By how much one changed decision alone can move each of these F1 values: less cannot be told on these sentences.
    max_difference : float
        Largest difference of a probability.
    """

    n_decisions: int
    n_changed: int
    f1_changes: dict[str, float]
    one_decision: dict[str, float]
    max_difference: float

    @property
    def passed(self) -> bool:
        """Whether both conditions hold; a label's F1 may always move by what one decision moves it."""
        return self.n_changed <= MAX_CHANGED * self.n_decisions and all(
            abs(change) <= max(MAX_F1_CHANGE, self.one_decision[name]) for name, change in self.f1_changes.items()
        )

    @property
    def worst_label(self) -> str | None:
        """The label whose F1 moved most; None where no label has gold labels."""
        return max(self.f1_changes, key=lambda name: abs(self.f1_changes[name]), default=None)


@cache
def gate_sentences() -> GateSentences:
    """Return the bundled sentences."""
    rows = json.loads((files("ctclassify") / "gate_sentences.json").read_text(encoding="utf-8"))
    return GateSentences(texts=tuple(row["text"] for row in rows), labels=tuple(tuple(row["labels"]) for row in rows))


def judge(
    probabilities: npt.NDArray[np.float32],
    reference: npt.NDArray[np.float32],
    gold: Sequence[Sequence[str]],
    thresholds: Mapping[str, float],
) -> GateResult:
    """Compare an engine's probabilities with the reference's.

    Parameters
    ----------
    probabilities, reference : ndarray of float32, shape (n_texts, n_labels)
        Of the engine and of float32, on the same texts; columns in the order of ``thresholds``.
    gold : sequence of sequence of str, length n_texts
        The texts' labels. Those that the model does not have are passed over.
    thresholds : mapping of str to float
        Decision threshold of each of the model's labels, in order.

    Returns
    -------
    GateResult
    """
    limits = np.array(list(thresholds.values()))
    given, expected = probabilities >= limits, reference >= limits
    f1_changes, one_decision = {}, {}
    for j, name in enumerate(thresholds):
        truth = np.array([name in labels for labels in gold], dtype=np.bool_)
        if truth.any():
            before = _f1(truth, expected[:, j])
            f1_changes[name] = _f1(truth, given[:, j]) - before
            one_decision[name] = _largest_step(truth, expected[:, j])
    return GateResult(
        n_decisions=given.size,
        n_changed=int((given != expected).sum()),
        f1_changes=f1_changes,
        one_decision=one_decision,
        max_difference=float(np.abs(probabilities - reference).max(initial=0.0)),
    )


def _f1(truth: npt.NDArray[np.bool_], given: npt.NDArray[np.bool_]) -> float:
    """Return F1; 0 where nothing is given."""
    return 2 * int((truth & given).sum()) / max(1, int(truth.sum()) + int(given.sum()))


def _largest_step(truth: npt.NDArray[np.bool_], given: npt.NDArray[np.bool_]) -> float:
    """Return the most by which turning one decision round changes F1."""
    before = _f1(truth, given)
    steps = [0.0]
    for is_true in (False, True):
        for is_given in (False, True):
            found = np.flatnonzero((truth == is_true) & (given == is_given))
            if len(found):
                turned = given.copy()
                turned[found[0]] = not is_given
                steps.append(abs(_f1(truth, turned) - before))
    return max(steps)
