"""The two benchmarks: their labels, their official splits, and what others published on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["SPLITS", "TASKS", "Published", "Task"]

SPLITS = {"train": "train", "dev": "validation", "test": "test"}
"""From a split's name in the benchmark's file to its name in this project, in the order of all counts below."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """Figures of a model on the test split, means over three seeds; None where none was published.

    Attributes
    ----------
    model : str
        Name, with what is needed to recognise it.
    example_based_f1, micro_f1, macro_f1 : float or None
        In [0, 1], as in :mod:`training.benchmarks.metrics`.
    """

    model: str
    example_based_f1: float
    micro_f1: float | None = None
    macro_f1: float | None = None


@dataclass(frozen=True, kw_only=True)
class Task:
    """A benchmark with official splits.

    Attributes
    ----------
    name : str
        Its file is ``<name>.jsonl``, its config ``<name>.toml``.
    n_rows : tuple of int
        Rows of train, dev and test.
    n_positive : mapping of str to tuple of int
        The labels in the model's order, and the rows of train, dev and test that have each.
    published : tuple of Published
        Figures to stand beside.
    """

    name: str
    n_rows: tuple[int, int, int]
    n_positive: Mapping[str, tuple[int, int, int]]
    published: tuple[Published, ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels in the model's order."""
        return tuple(self.n_positive)


TASKS = {
    task.name: task
    for task in (
        Task(
            name="satp",
            n_rows=(1085, 232, 233),
            n_positive={
                "col0_armed_assault": (437, 101, 121),
                "col1_bombing_explosion": (419, 90, 70),
                "col2_kidnapping": (94, 18, 28),
                "col3_other": (277, 53, 52),
            },
            published=(
                Published(model="ConfliBERT (110M)", example_based_f1=0.8935, micro_f1=0.881, macro_f1=0.854),
                Published(model="ModernBERT-base", example_based_f1=0.8721, micro_f1=0.856, macro_f1=0.838),
            ),
        ),
        Task(
            name="india_police_events",
            n_rows=(14943, 3172, 3276),
            n_positive={
                "KILL": (67, 15, 14),
                "ARREST": (204, 46, 51),
                "FAIL": (146, 33, 28),
                "FORCE": (152, 33, 37),
                "ANY_ACTION": (1472, 298, 322),
            },
            published=(
                Published(model="ConfliBERT (110M)", example_based_f1=0.6606, micro_f1=0.798, macro_f1=0.729),
                Published(model="ModernBERT-base", example_based_f1=0.6659),
                Published(model="the best there", example_based_f1=0.6858),
            ),
        ),
    )
}
"""The benchmarks by name. Counts: measured on the files, whose checksums README.md gives."""
