"""Every engine that this machine has, through the gate and against the clock."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ctclassify.classifier import SentenceClassifier, load
from ctclassify.engines.gate_record import record_passed
from ctclassify.engines.selection import ENGINE_NAMES
from ctclassify.errors import EngineError
from ctclassify.gate import GateResult, gate_sentences, judge

__all__ = ["BenchRow", "bench"]

_WITHOUT_OWN_PRECISION = ("auto", "openvino", "torch")


@dataclass(frozen=True, kw_only=True)
class BenchRow:
    """What was measured of one engine.

    Attributes
    ----------
    engine : str
        As ``engine=`` takes it.
    precision, device : str
        As the engine states them; empty where it cannot run here.
    sentences_per_s : float
        Median over the rounds, tokenising included.
    gate : GateResult or None
        None where it cannot run here.
    is_reference : bool
        Whether the others are compared with it.
    is_default : bool
        Whether ``auto`` takes it here.
    reason : str
        Why it cannot run here.
    """

    engine: str
    precision: str = ""
    device: str = ""
    sentences_per_s: float = 0.0
    gate: GateResult | None = None
    is_reference: bool = False
    is_default: bool = False
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the row in JSON types."""
        gate = None if self.gate is None else {"passed": self.gate.passed, **asdict(self.gate)}
        return {**asdict(self), "gate": gate}


def bench(model: Path | None = None, *, rounds: int = 3, record: bool = False) -> list[BenchRow]:
    """Run gate and speed test.

    Parameters
    ----------
    model : pathlib.Path or None
        A model folder; None is the shipped model.
    rounds : int
        How often each engine scores the gate's sentences, in turn with the others; at least 1.
    record : bool
        Write into the model folder which engines passed, for ``auto`` to go by.

    Returns
    -------
    list of BenchRow
        In the order of :data:`ctclassify.engines.selection.ENGINE_NAMES`, those that cannot run here among them. The
        reference is ``torch-cpu`` (float32), or ``openvino-fp32`` where torch is not installed.

    Raises
    ------
    EngineError
        If the reference cannot run.
    ModelFolderError
        As for :func:`ctclassify.load`.
    OSError
        If the record cannot be written.
    """
    sentences = gate_sentences()
    reference_name = "torch-cpu" if find_spec("torch") and find_spec("transformers") else "openvino-fp32"
    reference = load(model, engine=reference_name)
    scores = reference.predict_proba(sentences.texts)
    chosen = load(model).engine
    classifiers = {reference_name: reference}
    refused = {}
    for name in ENGINE_NAMES:
        if name not in classifiers and name not in _WITHOUT_OWN_PRECISION:
            try:
                classifiers[name] = load(model, engine=name)
            except EngineError as error:
                refused[name] = str(error)
    gates = {
        name: judge(each.predict_proba(sentences.texts), scores, sentences.labels, each.thresholds)
        for name, each in classifiers.items()
    }
    rates = _rates(classifiers, sentences.texts, rounds)
    if record:
        record_passed((name for name, gate in gates.items() if gate.passed), reference.folder)
    return [
        BenchRow(
            engine=name,
            precision=classifiers[name].engine.precision,
            device=classifiers[name].engine.device,
            sentences_per_s=rates[name],
            gate=gates[name],
            is_reference=name == reference_name,
            is_default=_is_same(classifiers[name], chosen.name, chosen.precision, chosen.device),
        )
        if name in classifiers
        else BenchRow(engine=name, reason=refused[name])
        for name in ENGINE_NAMES
        if name in classifiers or name in refused
    ]


def _is_same(classifier: SentenceClassifier, name: str, precision: str, device: str) -> bool:
    """Return whether a classifier's engine is the one described."""
    engine = classifier.engine
    return (engine.name, engine.precision, engine.device) == (name, precision, device)


def _rates(classifiers: dict[str, SentenceClassifier], texts: Sequence[str], rounds: int) -> dict[str, float]:
    """Return sentences a second, medians of rounds in which the engines take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in classifiers}
    for _ in range(rounds):
        for name, classifier in classifiers.items():
            started = time.perf_counter()
            classifier.predict_proba(texts)
            seconds[name].append(time.perf_counter() - started)
    return {name: len(texts) / statistics.median(its) for name, its in seconds.items()}
