"""The label table."""

from __future__ import annotations

import pytest

from ctclassify.errors import LabelError
from ctclassify.labels import LABEL_IDS, label_definition, label_definitions

MATCHES = {"exact", "close", "broad", "narrow", "related"}
SCHEMES = {"plover", "cameo_root", "acled", "gtd_attack_type"}


def test_the_table_has_the_fourteen_labels_in_order():
    expected = (
        "designation attack casualties responsibility_claim diplomatic_dialogue cooperation condemnation endorsement "
        "security_operation legal_action threat terrorist_financing policy radicalization"
    )
    assert " ".join(LABEL_IDS) == expected


@pytest.mark.parametrize("label", label_definitions(), ids=lambda each: each.id)
def test_a_definition_is_complete(label):
    assert all((label.name, label.definition, label.rule_of_thumb, label.example, label.counter_example.text))
    assert label.id not in label.counter_example.labels
    assert set(label.counter_example.labels) <= set(LABEL_IDS)
    assert set(label.crosswalk) == SCHEMES
    assert {entry.match for entries in label.crosswalk.values() for entry in entries} <= MATCHES


def test_an_unknown_label_is_refused():
    with pytest.raises(LabelError, match="unknown label 'bombing'; known labels: designation, attack"):
        label_definition("bombing")
