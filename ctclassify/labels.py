"""The codebook's labels: ids, display names, definitions, examples, crosswalks to other schemes.

The texts lie in ``labels.json`` beside this module. A model's own labels and their order come from its folder, which
may hold others; this table says what the codebook's labels mean.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ctclassify.errors import LabelError

__all__ = ["LABEL_IDS", "CounterExample", "CrosswalkEntry", "LabelDefinition", "label_definition", "label_definitions"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CrosswalkEntry:
    """The nearest category of another scheme.

    Attributes
    ----------
    code : str or None
        The scheme's code; None where it has names only.
    name : str
        The category's name in the scheme.
    match : str
        How it relates, in SKOS words: ``exact``, ``close``, ``broad`` (theirs is broader), ``narrow`` (theirs is
        narrower) or ``related``.
    """

    code: str | None
    name: str
    match: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CounterExample:
    """A near miss: a sentence that does not take the label, and the labels that it does take."""

    text: str
    labels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelDefinition:
    """What a label means.

    Attributes
    ----------
    id, name : str
        The id that models and outputs use, and the display name.
    definition, rule_of_thumb : str
        The codebook's definition, and one sentence that helps to decide.
    example : str
        A sentence with the label, written for this project.
    counter_example : CounterExample
        A near miss, written for this project.
    crosswalk : dict of str to tuple of CrosswalkEntry
        Nearest categories by scheme: ``plover``, ``cameo_root``, ``acled``, ``gtd_attack_type``; an empty tuple where
        the scheme has none.
    """

    id: str
    name: str
    definition: str
    rule_of_thumb: str
    example: str
    counter_example: CounterExample
    crosswalk: dict[str, tuple[CrosswalkEntry, ...]]


@cache
def label_definitions() -> tuple[LabelDefinition, ...]:
    """Return the codebook's labels in its order, read once from the package's data."""
    table = json.loads(files("ctclassify").joinpath("labels.json").read_text(encoding="utf-8"))
    return tuple(
        LabelDefinition(
            id=row["id"],
            name=row["name"],
            definition=row["definition"],
            rule_of_thumb=row["rule_of_thumb"],
            example=row["example"],
            counter_example=CounterExample(
                text=row["counter_example"]["text"], labels=tuple(row["counter_example"]["labels"])
            ),
            crosswalk={
                scheme: tuple(CrosswalkEntry(**entry) for entry in entries)
                for scheme, entries in row["crosswalk"].items()
            },
        )
        for row in table["labels"]
    )


LABEL_IDS: tuple[str, ...] = tuple(definition.id for definition in label_definitions())
"""Ids of the fourteen labels in the codebook's order."""


def label_definition(label_id: str) -> LabelDefinition:
    """Return the definition of one label.

    Raises
    ------
    LabelError
        If the codebook has no such label.
    """
    for definition in label_definitions():
        if definition.id == label_id:
            return definition
    raise LabelError(f"unknown label {label_id!r}; known labels: {', '.join(LABEL_IDS)}; see ctclassify labels")
