r"""Run the behavioural tests in training/behaviour on a model: what it must keep, change and find.

python training/check_behaviour.py --model models/ctclassify-minilm --failures 3

``--output metrics.json`` stores the figures under ``--name``, other names in it are kept; ``--markdown`` prints the
table for a model card.

References
----------
Ribeiro et al., "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList", ACL 2020.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import ctclassify
from ctclassify.classifier import SentenceClassifier
from ctclassify.engines.selection import ENGINE_NAMES
from ctclassify.errors import CTClassifyError, DataError
from ctclassify.model_folder import sha256_file
from ctclassify.tokenization import TextEncoder
from training.behaviour_tables import markdown_table, print_table
from training.evaluation.model_scores import describe_engine, describe_model
from training.evaluation.outputs import check_writable
from training.files import read_json_object, read_lines, write_text

CASE_FILES = tuple(
    Path(__file__).resolve().parent / "behaviour" / f"{kind}.jsonl"
    for kind in ("invariance", "direction", "minimum_functionality", "fairness")
)
"""The project's cases."""

TARGETS = {
    ("invariance", "person_names"): 0.02,
    ("invariance", "place_names"): 0.02,
    ("invariance", "numbers"): 0.02,
    ("fairness", "nationality"): 0.01,
    ("fairness", "religion"): 0.01,
}
"""The largest share of label decisions that may change, by kind and capability."""

_EXPECTATIONS = {
    "invariance": frozenset[str](),
    "fairness": frozenset[str](),
    "direction": frozenset({"added", "removed", "kept", "free"}),
    "minimum_functionality": frozenset({"present", "absent"}),
}
"""The keys that ``expect`` may have, by kind; kinds without any have no ``expect``."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One behavioural test; ``training/behaviour/README.md`` defines the kinds.

    Attributes
    ----------
    id : str
        Unique over all files.
    capability : str
        What is tested, such as ``person_names``.
    kind : str
        ``invariance``, ``direction``, ``minimum_functionality`` or ``fairness``.
    text : str
        A sentence.
    variant : str or None
        The changed sentence; None for ``minimum_functionality``.
    expect : dict of str to frozenset of str
        Label names by expectation; empty for ``invariance`` and ``fairness``.
    """

    id: str
    capability: str
    kind: str
    text: str
    variant: str | None = None
    expect: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def texts(self) -> tuple[str, ...]:
        """The sentences to predict: one, or two where there is a variant."""
        return (self.text,) if self.variant is None else (self.text, self.variant)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a model folder; the shipped model unless given")
    parser.add_argument("--engine", choices=ENGINE_NAMES, default="auto")
    parser.add_argument(
        "--cases", type=Path, nargs="+", default=CASE_FILES, help="files of cases; those of the project unless given"
    )
    parser.add_argument("--output", type=Path, help="metrics.json, made or added to")
    parser.add_argument("--name", default="behaviour", help="name of the report in metrics.json")
    parser.add_argument("--failures", type=int, default=0, metavar="N", help="print N failing cases a capability")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    args = parser.parse_args(argv)
    try:
        if args.output:
            check_writable(args.output)
        reports = read_json_object(args.output) if args.output and args.output.exists() else {}
        classifier = ctclassify.load(args.model, engine=args.engine)
        cases = read_cases(args.cases, classifier.label_names)
        predicted = predict_cases(classifier, cases)
        rows = summarize(cases, predicted, token_ids(classifier, cases), n_labels=len(classifier.label_names))
        reports[args.name] = {
            "data": [{"file": path.name, "sha256": sha256_file(path)} for path in args.cases],
            "engine": describe_engine(classifier),
            "model_folder": describe_model(classifier),
            "capabilities": rows,
        }
    except (CTClassifyError, OSError) as error:
        print(f"check_behaviour: {error}", file=sys.stderr)
        return 2
    if args.markdown:
        print(markdown_table(rows))
    else:
        print_table(rows)
    print_failures(cases, predicted, n_each=args.failures)
    if args.output:
        try:
            write_text(args.output, json.dumps(reports, indent=1) + "\n")
        except OSError as error:
            print(f"check_behaviour: {args.output}: cannot be written: {error}", file=sys.stderr)
            return 2
    return 0


def read_cases(paths: Sequence[Path], label_names: Sequence[str]) -> list[Case]:
    """Read files of cases.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        JSON lines, one case a line, see ``training/behaviour/README.md``.
    label_names : sequence of str
        The labels that an expectation may name: those of the model under test.

    Returns
    -------
    list of Case
        All files joined, in order.

    Raises
    ------
    DataError
        If a file cannot be read or holds no case, or a line is no case, repeats an id, or expects a label that the
        model does not have; it names the line.
    """
    known = frozenset(label_names)
    cases: list[Case] = []
    ids: set[str] = set()
    for path in paths:
        n_before = len(cases)
        for line_number, line in read_lines(path):
            try:
                case = _parse_case(line, known)
                if case.id in ids:
                    raise ValueError(f"id {case.id!r} occurs twice; give each case its own")
            except ValueError as error:
                raise DataError(str(error), path=path, line_number=line_number) from error
            ids.add(case.id)
            cases.append(case)
        if len(cases) == n_before:
            raise DataError("holds no case", path=path)
    return cases


def _parse_case(line: str, known: frozenset[str]) -> Case:
    """Return the case of a line."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(row, dict):
        raise ValueError(f"expected an object, got {type(row).__name__}")
    kind = row.get("kind")
    if not isinstance(kind, str) or kind not in _EXPECTATIONS:
        raise ValueError(f"unknown kind {kind!r}; expected one of: {', '.join(_EXPECTATIONS)}")
    fields = {"id", "capability", "kind", "text"}
    fields |= {"variant"} if kind != "minimum_functionality" else set()
    fields |= {"expect"} if _EXPECTATIONS[kind] else set()
    if set(row) != fields:
        raise ValueError(f"expected the fields {sorted(fields)} for kind {kind!r}, got {sorted(row)}")
    for name in sorted(fields - {"expect"}):
        if not isinstance(row[name], str) or not row[name].strip():
            raise ValueError(f'expected "{name}" as a non-empty string, got {row[name]!r}')
    if row.get("variant") == row["text"]:
        raise ValueError('"variant" is the same as "text"; expected a changed sentence')
    expect = _parse_expectation(row.get("expect", {}), kind, known)
    return Case(**{**row, "expect": expect})


def _parse_expectation(value: Any, kind: str, known: frozenset[str]) -> dict[str, frozenset[str]]:
    """Return the labels of each expectation; a label has one expectation at most."""
    allowed = _EXPECTATIONS[kind]
    if not isinstance(value, dict) or not value.keys() <= allowed:
        raise ValueError(f'expected "expect" as an object with keys among {sorted(allowed)}, got {value!r}')
    expect: dict[str, frozenset[str]] = {}
    seen: set[str] = set()
    for key, labels in value.items():
        if not isinstance(labels, list):
            raise ValueError(f'expected "{key}" as a list of label names, got {labels!r}')
        for label in labels:
            if not isinstance(label, str) or label not in known:
                raise ValueError(f"expects the label {label!r}, which the model lacks; its labels: {_joined(known)}")
            if label in seen:
                raise ValueError(f"label {label!r} has two expectations; keep one")
            seen.add(label)
        expect[key] = frozenset(labels)
    if allowed and not seen - expect.get("free", frozenset()):
        raise ValueError('"expect" demands nothing; name a label')
    return expect


def predict_cases(classifier: SentenceClassifier, cases: Sequence[Case]) -> dict[str, frozenset[str]]:
    """Return the labels of every sentence of the cases; one that occurs often is predicted once."""
    texts = list(dict.fromkeys(text for case in cases for text in case.texts))
    return dict(zip(texts, map(frozenset, classifier.predict(texts)), strict=True))


def token_ids(classifier: SentenceClassifier, cases: Sequence[Case]) -> dict[str, tuple[tuple[int, ...], ...]]:
    """Return what the model reads of every sentence of the cases: the token ids of its windows."""
    texts = list(dict.fromkeys(text for case in cases for text in case.texts))
    windows = TextEncoder(classifier.folder.tokenizer_path, classifier.folder.max_tokens).encode(texts)
    read: list[list[tuple[int, ...]]] = [[] for _ in texts]
    for owner, ids in zip(windows.owner.tolist(), windows.ids, strict=True):
        read[owner].append(tuple(ids.tolist()))
    return dict(zip(texts, map(tuple, read), strict=True))


def changed_labels(case: Case, predicted: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return the labels that only one of the case's two sentences was given; none for a single sentence."""
    return predicted[case.texts[0]] ^ predicted[case.texts[-1]]


def faults(case: Case, predicted: Mapping[str, frozenset[str]]) -> list[str]:
    """Return what is wrong with the predictions for a case.

    Parameters
    ----------
    case : Case
        The case.
    predicted : mapping of str to frozenset of str
        The labels given to each sentence, as :func:`predict_cases` returns them.

    Returns
    -------
    list of str
        A phrase a fault, sorted; empty where the case passes.
    """
    before, after = predicted[case.texts[0]], predicted[case.texts[-1]]

    def expected(key: str) -> frozenset[str]:
        return case.expect.get(key, frozenset())

    if case.kind == "minimum_functionality":
        wrong = {"lacks": expected("present") - before, "must not have": expected("absent") & before}
    else:
        judged = expected("added") | expected("removed") | expected("kept") | expected("free")
        others = changed_labels(case, predicted) - judged
        wrong = {
            "text lacks": (expected("removed") | expected("kept")) - before,
            "text must not have": expected("added") & before,
            "variant lacks": (expected("added") | expected("kept")) - after,
            "variant must not have": expected("removed") & after,
            "only text has": others & before,
            "only variant has": others & after,
        }
    return sorted(f"{what} {label}" for what, labels in wrong.items() for label in labels)


def summarize(
    cases: Sequence[Case],
    predicted: Mapping[str, frozenset[str]],
    tokens: Mapping[str, Hashable],
    *,
    n_labels: int,
) -> list[dict[str, Any]]:
    """Return the figures of each capability.

    Parameters
    ----------
    cases : sequence of Case
        The cases.
    predicted : mapping of str to frozenset of str
        The labels given to each sentence.
    tokens : mapping of str to hashable
        What the model reads of each sentence, as :func:`token_ids` returns it.
    n_labels : int
        How many labels the model decides on.

    Returns
    -------
    list of dict
        One a kind and capability, in order of first appearance: ``kind``, ``capability``, ``n_cases``, ``n_bases``
        (distinct ``text``: cases of one base fail together), ``n_can_fail`` (cases less those of invariance and
        fairness whose two sentences are the same tokens, which any model passes), ``n_passed``,
        ``pass_rate`` (of all cases, in [0, 1]), ``changed_share`` (for invariance and fairness, label decisions that
        differ between text and variant over ``n_cases * n_labels``; None for the others) and ``target`` (what
        ``changed_share`` may be at most, or None). Empty for no cases.
    """
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        groups.setdefault((case.kind, case.capability), []).append(case)
    rows = []
    for (kind, capability), its in groups.items():
        n_passed = sum(not faults(case, predicted) for case in its)
        n_changed = sum(len(changed_labels(case, predicted)) for case in its)
        is_of_pairs_alike = not _EXPECTATIONS[kind]
        n_equal = sum(len({tokens[text] for text in case.texts}) == 1 for case in its) if is_of_pairs_alike else 0
        rows.append(
            {
                "kind": kind,
                "capability": capability,
                "n_cases": len(its),
                "n_bases": len({case.text for case in its}),
                "n_can_fail": len(its) - n_equal,
                "n_passed": n_passed,
                "pass_rate": n_passed / len(its),
                "changed_share": n_changed / (len(its) * n_labels) if is_of_pairs_alike else None,
                "target": TARGETS.get((kind, capability)),
            }
        )
    return rows


def print_failures(cases: Sequence[Case], predicted: Mapping[str, frozenset[str]], *, n_each: int) -> None:
    """Print the first failing cases of each capability and what is wrong with them."""
    n_printed: dict[tuple[str, str], int] = {}
    for case in cases:
        group = case.kind, case.capability
        wrong = faults(case, predicted)
        if not wrong or n_printed.get(group, 0) >= n_each:
            continue
        n_printed[group] = n_printed.get(group, 0) + 1
        print(f"\n{case.id}: {'; '.join(wrong)}")
        for text in case.texts:
            print(f"  {text!r}: {_joined(predicted[text])}")


def _joined(labels: frozenset[str]) -> str:
    """Return label names as a list in words."""
    return ", ".join(sorted(labels)) or "none"


if __name__ == "__main__":
    sys.exit(main())
