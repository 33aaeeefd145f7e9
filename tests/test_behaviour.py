"""The behavioural tests: their files are whole, their logic can fail, the shipped model keeps its fairness targets."""

from __future__ import annotations

import json
from collections import Counter
from difflib import SequenceMatcher

import pytest

from ctclassify.errors import DataError
from ctclassify.labels import LABEL_IDS
from training import check_behaviour
from training.check_behaviour import CASE_FILES, TARGETS, Case, faults, predict_cases, read_cases, summarize, token_ids

FAMILIES = {
    "invariance": {
        *("person_names", "place_names", "dates", "numbers", "agencies", "typos", "quotes_and_dashes"),
        *("headline_case", "spelling", "punctuation_and_spaces"),
    },
    "direction": {
        *("casualties_added", "no_casualties", "claim_added", "claim_denied", "threat_added", "condemnation_added"),
        *("endorsement_added", "arrest_added", "status_added", "talks_to_agreement", "policy_added"),
        *("financing_added", "recruitment_added", "actor_swap", "plan_carried_out", "plot_foiled"),
        *("domain_change", "arrest_tie"),
    },
    "minimum_functionality": {*LABEL_IDS, "no_label"},
    "fairness": {"nationality", "religion", "ethnicity", "gender"},
}

LIMITS = " ".join((CASE_FILES[0].parent / "README.md").read_text(encoding="utf-8").split("## Limits")[1].split())

LINE = {"id": "x-1", "capability": "x", "kind": "minimum_functionality", "text": "the bomb killed the envoy ."}


class FakeClassifier:
    """Gives each text the labels of a table and counts what it is asked."""

    def __init__(self, table):
        self.table = table
        self.asked = []

    def predict(self, texts):
        self.asked += texts
        return [self.table[text] for text in texts]


@pytest.fixture(scope="module")
def cases():
    """The project's cases."""
    return read_cases(CASE_FILES, LABEL_IDS)


def make_case(kind, **fields):
    expect = {key: frozenset(labels) for key, labels in fields.pop("expect", {}).items()}
    variant = None if kind == "minimum_functionality" else "b"
    return Case(id="x", capability="x", kind=kind, text="a", variant=variant, expect=expect)


def predicted(before, after=()):
    return {"a": frozenset(before), "b": frozenset(after)}


def write_cases(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


# The data


def test_there_are_enough_cases_of_every_family(cases):
    assert len(cases) >= 1800
    counts = Counter((case.kind, case.capability) for case in cases)
    assert {kind: {c for k, c in counts if k == kind} for kind in FAMILIES} == FAMILIES
    by_kind = Counter(case.kind for case in cases)
    assert by_kind["direction"] >= 300
    assert by_kind["fairness"] >= 400
    assert min(n for (kind, _), n in counts.items() if kind == "invariance") >= 70


def test_every_label_has_positives_and_near_misses(cases):
    for name in LABEL_IDS:
        its = [case for case in cases if case.kind == "minimum_functionality" and case.capability == name]
        assert sum(name in case.expect["present"] for case in its) >= 25
        assert sum(name in case.expect["absent"] for case in its) >= 10


def test_sentences_without_a_label_exclude_every_label(cases):
    its = [case for case in cases if case.capability == "no_label"]
    assert len(its) >= 60
    assert all(case.expect["absent"] == frozenset(LABEL_IDS) for case in its)


def test_no_case_occurs_twice(cases):
    assert max(Counter(case.texts for case in cases).values()) == 1


def test_invariance_has_many_base_sentences(cases):
    for capability in FAMILIES["invariance"]:
        assert len({case.text for case in cases if case.kind == "invariance" and case.capability == capability}) >= 30


@pytest.mark.parametrize(
    ("capability", "n_words"),
    [("person_names", 3), ("place_names", 1), ("dates", 3), ("numbers", 1), ("agencies", 3), ("typos", 2)],
)
def test_a_variant_changes_nothing_else(cases, capability, n_words):
    for case in (case for case in cases if case.kind == "invariance" and case.capability == capability):
        before, after = (text.split() for text in case.texts)
        blocks = SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes()
        edits = [(i2 - i1, j2 - j1) for tag, i1, i2, j1, j2 in blocks if tag != "equal"]
        assert max(sum(removed for removed, _ in edits), sum(added for _, added in edits)) <= n_words, case.id


@pytest.mark.parametrize("capability", ["quotes_and_dashes", "punctuation_and_spaces", "headline_case"])
def test_a_change_of_form_keeps_the_letters(cases, capability):
    for case in (case for case in cases if case.kind == "invariance" and case.capability == capability):
        before, after = ("".join(filter(str.isalnum, text)).lower() for text in case.texts)
        assert before == after, case.id


def test_fairness_covers_many_groups(cases):
    groups = {c: Counter(x.text for x in cases if x.capability == c) for c in ("nationality", "religion", "ethnicity")}
    assert min(groups["nationality"].values()) >= 23
    assert min(groups["religion"].values()) >= 7
    assert min(groups["ethnicity"].values()) >= 11


def test_the_limits_give_the_bases(cases):
    counts = Counter((case.kind, case.capability) for case in cases)
    bases = Counter(group for group, _ in {((case.kind, case.capability), case.text) for case in cases})
    fairness = ", ".join(f"{bases['fairness', c]} for {c}" for c in ("religion", "ethnicity"))
    assert f"{bases['fairness', 'nationality']} bases for nationality, {fairness} and " in LIMITS
    assert f"and {bases['fairness', 'gender']} for gender;" in LIMITS
    shared = {c: (bases[k, c], counts[k, c]) for k, c in counts if k == "invariance" and bases[k, c] < counts[k, c]}
    (first, (n_bases, n_cases)), *others = shared.items()
    its = [f"`{first}` has {n_bases} bases for {n_cases} cases", *(f"`{c}` {b} for {n}" for c, (b, n) in others)]
    assert f"Of the invariance, {', '.join(its)}, the others one a case." in LIMITS
    halved = {c for k, c in counts if k == "direction" and 2 * bases[k, c] == counts[k, c]}
    assert halved == {c for c in FAMILIES["direction"] if c.endswith("_added")} | {
        "no_casualties",
        "talks_to_agreement",
    }
    assert all(bases[k, c] == counts[k, c] for k, c in counts if k == "direction" and c not in halved)


# What passes


@pytest.mark.parametrize("kind", ["invariance", "fairness"])
def test_equal_labels_pass_and_any_difference_fails(kind):
    assert faults(make_case(kind), predicted(["attack"], ["attack"])) == []
    assert faults(make_case(kind), predicted(["attack"], ["policy"])) == [
        "only text has attack",
        "only variant has policy",
    ]


def test_minimum_functionality_judges_only_the_labels_named():
    case = make_case("minimum_functionality", expect={"present": ["attack"], "absent": ["policy"]})
    assert faults(case, predicted(["attack", "threat"])) == []
    assert faults(case, predicted(["policy"])) == ["lacks attack", "must not have policy"]


@pytest.mark.parametrize(
    ("before", "after", "wrong"),
    [
        (["attack", "casualties"], ["threat", "casualties"], []),
        (["attack", "casualties"], ["threat", "casualties", "policy"], []),
        (["casualties"], ["threat", "casualties"], ["text lacks attack"]),
        (["attack", "threat", "casualties"], ["threat", "casualties"], ["text must not have threat"]),
        (["attack", "casualties"], ["casualties"], ["variant lacks threat"]),
        (["attack", "casualties"], ["attack", "threat", "casualties"], ["variant must not have attack"]),
        (["attack"], ["threat"], ["text lacks casualties", "variant lacks casualties"]),
        (["attack", "casualties", "designation"], ["threat", "casualties"], ["only text has designation"]),
        (["attack", "casualties"], ["threat", "casualties", "designation"], ["only variant has designation"]),
    ],
)
def test_direction(before, after, wrong):
    expect = {"added": ["threat"], "removed": ["attack"], "kept": ["casualties"], "free": ["policy"]}
    assert faults(make_case("direction", expect=expect), predicted(before, after)) == wrong


def test_each_text_is_predicted_once_and_keeps_its_labels():
    classifier = FakeClassifier({"a": ("attack",), "b": ()})
    cases = [make_case("invariance"), make_case("fairness"), make_case("minimum_functionality")]
    assert predict_cases(classifier, cases) == {"a": frozenset({"attack"}), "b": frozenset()}
    assert classifier.asked == ["a", "b"]


def test_summary_counts_passes_and_changed_decisions():
    cases = [
        Case(id="1", capability="numbers", kind="invariance", text="a", variant="b"),
        Case(id="2", capability="numbers", kind="invariance", text="a", variant="c"),
    ]
    labels = {"a": frozenset({"attack"}), "b": frozenset({"attack"}), "c": frozenset({"policy"})}
    tokens = {"a": ((1, 2),), "b": ((1, 2),), "c": ((1, 3),)}
    (row,) = summarize(cases, labels, tokens, n_labels=4)
    assert (row["n_cases"], row["n_passed"], row["pass_rate"]) == (2, 1, 0.5)
    assert (row["n_bases"], row["n_can_fail"]) == (1, 1)
    assert row["changed_share"] == 2 / 8
    assert row["target"] == 0.02
    for kind in ("minimum_functionality", "direction"):  # a direction of the same tokens fails, whatever the model
        (row,) = summarize([make_case(kind)], predicted([]), {"a": (), "b": ()}, n_labels=4)
        assert row["changed_share"] is None
        assert row["n_can_fail"] == 1
    assert summarize([], {}, {}, n_labels=4) == []


def test_tokens_are_what_the_model_reads(tiny):
    cases = [
        Case(id="1", capability="x", kind="invariance", text="the bomb", variant="The  bomb"),
        Case(id="2", capability="x", kind="invariance", text="the bomb", variant="the bank"),
        Case(id="3", capability="x", kind="invariance", text="rain " * 40 + "by", variant="rain " * 40 + "on"),
    ]
    tokens = token_ids(tiny, cases)
    assert tokens["the bomb"] == tokens["The  bomb"] == ((2, 4, 16, 3),)
    # A text that does not fit one window differs by its last.
    first, last = (tokens[text] for text in cases[2].texts)
    assert len(first) == len(last) > 1
    assert first[:-1] == last[:-1]
    assert first[-1] != last[-1]
    (row,) = summarize(cases, dict.fromkeys(tokens, frozenset()), tokens, n_labels=3)
    assert (row["n_cases"], row["n_bases"], row["n_can_fail"]) == (3, 2, 2)


# Reading


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "guess"}, "unknown kind 'guess'"),
        ({"variant": "b"}, "expected the fields"),
        ({"text": " "}, '"text" as a non-empty string'),
        ({"expect": {"present": ["bombing"]}}, "label 'bombing', which the model lacks"),
        ({"expect": {"added": ["attack"]}}, '"expect" as an object'),
        ({"expect": {"present": "attack"}}, '"present" as a list'),
        ({"expect": {"present": ["attack"], "absent": ["attack"]}}, "two expectations"),
        ({"expect": {}}, "demands nothing"),
        ({"kind": "direction", "variant": "b", "expect": {"free": ["attack"]}}, "demands nothing"),
        ({"kind": "direction", "variant": LINE["text"]}, "same as"),
        ({"kind": "fairness", "variant": "b"}, "expected the fields"),
    ],
)
def test_a_bad_case_is_named_with_its_line(tmp_path, change, message):
    good = LINE | {"expect": {"present": ["attack"]}}
    path = write_cases(tmp_path / "cases.jsonl", good, good | {"id": "x-2"} | change)
    with pytest.raises(DataError, match=message) as caught:
        read_cases([path], LABEL_IDS)
    assert (caught.value.path, caught.value.line_number) == (path, 2)


@pytest.mark.parametrize(("line", "message"), [("{", "not JSON"), ("[]", "expected an object")])
def test_a_line_that_is_no_object_is_refused(tmp_path, line, message):
    path = tmp_path / "cases.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_cases([path], LABEL_IDS)


def test_an_id_may_not_return_in_another_file(tmp_path):
    row = LINE | {"expect": {"present": ["attack"]}}
    paths = [write_cases(tmp_path / name, row) for name in ("a.jsonl", "b.jsonl")]
    with pytest.raises(DataError, match="occurs twice"):
        read_cases(paths, LABEL_IDS)


def test_a_file_without_cases_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no case"):
        read_cases([write_cases(tmp_path / "cases.jsonl")], LABEL_IDS)


# The command


@pytest.fixture
def arguments(tiny_folder, tmp_path):
    """The command on the tiny model, with cases that it passes or fails for certain."""
    single = LINE | {"expect": {"present": ["attack"]}}
    path = write_cases(
        tmp_path / "cases.jsonl",
        single,
        LINE | {"id": "x-2", "expect": {"absent": ["attack"]}},
        {"id": "n-1", "capability": "numbers", "kind": "invariance", "text": "the bomb", "variant": "the  bomb"},
    )
    return ["--model", str(tiny_folder), "--engine", "openvino-fp32", "--cases", str(path)]


def test_the_command_prints_a_table_and_the_failures(arguments, capsys):
    assert check_behaviour.main([*arguments, "--failures", "5"]) == 0
    out = capsys.readouterr().out
    assert "3 behavioural tests" in out
    assert ("x-1: lacks attack" in out) != ("x-2: must not have attack" in out)
    assert "n-1:" not in out


def test_the_command_prints_markdown(arguments, capsys):
    assert check_behaviour.main([*arguments, "--markdown"]) == 0
    out = capsys.readouterr().out
    assert "| kind | capability | cases | bases | can fail | passed | decisions changed | target |" in out
    assert "| invariance | numbers | 1 | 1 | 0 | 100.0% | 0.00% | 2.00% |" in out
    assert "| minimum_functionality | x | 2 | 1 | 2 | 50.0% |  |  |" in out


def test_the_report_stands_beside_the_others(arguments, tmp_path):
    output = tmp_path / "metrics.json"
    output.write_text('{"test": {"kept": 1}}', encoding="utf-8")
    assert check_behaviour.main([*arguments, "--output", str(output)]) == 0
    reports = json.loads(output.read_text(encoding="utf-8"))
    assert reports["test"] == {"kept": 1}
    assert [row["n_cases"] for row in reports["behaviour"]["capabilities"]] == [2, 1]
    assert len(reports["behaviour"]["data"][0]["sha256"]) == 64
    assert {"ctclassify.json", "model.safetensors"} <= set(reports["behaviour"]["model_folder"]["sha256"])


def test_a_report_that_cannot_be_written_is_told_before_scoring(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(check_behaviour, "predict_cases", lambda *_: pytest.fail("scored"))
    for output in (tmp_path / "absent" / "metrics.json", tmp_path):
        assert check_behaviour.main([*arguments, "--output", str(output)]) == 2
        assert f"{output}: cannot be written" in capsys.readouterr().err


def test_a_file_that_cannot_be_opened_is_named(arguments, tmp_path, monkeypatch, capsys):
    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(check_behaviour, "sha256_file", refused)
    assert check_behaviour.main(arguments) == 2
    assert "cases.jsonl" in capsys.readouterr().err


def test_a_model_without_the_codebooks_labels_is_refused(tiny_folder, capsys):
    assert check_behaviour.main(["--model", str(tiny_folder), "--engine", "openvino-fp32"]) == 2
    error = capsys.readouterr().err
    assert "which the model lacks; its labels: attack, casualties, policy" in error
    assert "direction.jsonl, line" in error


# The shipped model


@pytest.mark.model
@pytest.mark.parametrize(
    ("kind", "capability"),
    list(TARGETS),
)
def test_the_shipped_model_keeps_the_targets(shipped, cases, kind, capability):
    its = [case for case in cases if (case.kind, case.capability) == (kind, capability)]
    (row,) = summarize(its, predict_cases(shipped, its), token_ids(shipped, its), n_labels=len(LABEL_IDS))
    assert row["changed_share"] <= row["target"]


@pytest.mark.model
def test_the_limits_say_which_cases_the_shipped_model_cannot_fail(shipped, cases):
    nothing = dict.fromkeys((text for case in cases for text in case.texts), frozenset())
    rows = summarize(cases, nothing, token_ids(shipped, cases), n_labels=len(LABEL_IDS))
    some = {row["capability"]: row for row in rows if row["n_can_fail"] < row["n_cases"]}
    assert set(some) == {"headline_case", "punctuation_and_spaces"}
    headlines, spaces = some["headline_case"], some["punctuation_and_spaces"]
    assert headlines["n_can_fail"] == 0
    left = f"none of the {headlines['n_cases']} cases of `headline_case` and {spaces['n_can_fail']} of the "
    assert f"{left}{spaces['n_cases']} of `punctuation_and_spaces`;" in LIMITS
    card = " ".join((shipped.folder.path / "README.md").read_text(encoding="utf-8").split())
    n_equal = spaces["n_cases"] - spaces["n_can_fail"]
    assert f"all {headlines['n_cases']} pairs of `headline_case` and of {n_equal} of the {spaces['n_cases']} of" in card
