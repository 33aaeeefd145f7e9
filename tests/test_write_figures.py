"""Figures in the pages come from metrics.json."""

from __future__ import annotations

import json

import numpy as np
import pytest

from training import write_figures
from training.data import LabelledSentences
from training.evaluation.analysis import Predictions, analyse, headline

LABELS = ("attack", "policy")


@pytest.fixture
def metrics(tmp_path):
    """A metrics.json of twenty sentences."""
    rng = np.random.default_rng(5)
    scores = rng.random((20, 2)).astype(np.float32)
    labels = tuple(tuple(n for n, p in zip(LABELS, row, strict=True) if p > 0.4) for row in scores)
    sentences = LabelledSentences(texts=("A b.",) * 20, labels=labels, documents=tuple(map(str, range(20))))
    predictions = Predictions(
        sentences=sentences,
        label_names=LABELS,
        y_score=scores,
        thresholds=np.full((20, 2), 0.5),
        needs_review=scores.max(1) < 0.6,
    )
    folder = {"name": "mine", "sha256": {"model.safetensors": "a" * 64, "ctclassify.json": "b" * 64}}
    report = {"model_folder": folder, "model": headline(predictions), **analyse(predictions)}
    row = {"kind": "fairness", "capability": "religion", "n_cases": 3, "pass_rate": 1.0, "changed_share": 0.0}
    behaviour = {"model_folder": folder, "capabilities": [{**row, "n_passed": 3, "target": 0.01}]}
    path = tmp_path / "metrics.json"
    names = ("test", "validation", "project_test", "project_test_further")
    path.write_text(json.dumps({**dict.fromkeys(names, report), "behaviour": behaviour}))
    return path, report


def test_what_stands_between_the_marks_is_replaced(metrics, tmp_path):
    path, report = metrics
    page = tmp_path / "page.md"
    marks = "".join(f"<!-- figures {name} -->\nold\n<!-- /figures -->\nkept {name}\n" for name in write_figures._PARTS)
    page.write_text("# Title\n" + marks)
    assert write_figures.main(["--metrics", str(path), "--pages", str(page)]) == 0
    text = page.read_text()
    assert "\nold\n" not in text
    assert all(f"kept {name}" in text for name in write_figures._PARTS)
    assert f"| **micro** | {report['model']['micro']['precision']:.3f} |" in text
    assert f"expected calibration error is {report['reliability']['pooled']['ece']:.3f}" in text
    assert "| fairness | religion | 3 | 100.0% |" in text
    before = page.read_bytes()
    assert write_figures.main(["--metrics", str(path), "--pages", str(page)]) == 0
    assert page.read_bytes() == before


def test_a_page_without_marks_is_refused(metrics, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("# Title\n")
    assert write_figures.main(["--metrics", str(metrics[0]), "--pages", str(page)]) == 2
    assert "has no <!-- figures NAME --> mark" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"), [("tests", "expected one of test, other"), ("behaviour", "metrics.json has no 'behaviour'")]
)
def test_a_mark_that_cannot_be_filled_is_an_error(metrics, tmp_path, capsys, name, message):
    path, report = metrics
    path.write_text(json.dumps({"test": report}))
    page = tmp_path / "page.md"
    page.write_text(f"<!-- figures {name} -->\nold\n<!-- /figures -->\n")
    assert write_figures.main(["--metrics", str(path), "--pages", str(page)]) == 2
    assert message in capsys.readouterr().err
    assert "old" in page.read_text()


def page_of(path, tmp_path, *names):
    """Return the exit code and a page with these marks, written from a metrics.json."""
    page = tmp_path / "page.md"
    page.write_text("".join(f"<!-- figures {name} -->\nold\n<!-- /figures -->\n" for name in names))
    return write_figures.main(["--metrics", str(path), "--pages", str(page)]), page.read_text()


def changed(path, change):
    """Change the stored reports."""
    reports = json.loads(path.read_text())
    change(reports)
    path.write_text(json.dumps(reports))


def test_reports_of_two_models_make_no_page(metrics, tmp_path, capsys):
    path, _ = metrics
    changed(path, lambda reports: reports["behaviour"]["model_folder"]["sha256"].update({"ctclassify.json": "c" * 64}))
    code, text = page_of(path, tmp_path, "test", "behaviour")
    assert code == 2
    assert "the reports 'test' and 'behaviour' are of models that differ in ctclassify.json" in capsys.readouterr().err
    assert "| **micro** |" not in text
    # A page that does not need the other report is written.
    assert page_of(path, tmp_path, "test", "other", "calibration")[0] == 0


def test_pages_are_of_one_model_together_and_none_is_written_where_one_cannot_be(metrics, tmp_path, capsys):
    path, _ = metrics
    changed(path, lambda reports: reports["behaviour"]["model_folder"]["sha256"].update({"config.json": "c" * 64}))
    pages = [tmp_path / f"{name}.md" for name in ("test", "behaviour")]
    for page in pages:
        page.write_text(f"<!-- figures {page.stem} -->\nold\n<!-- /figures -->\n")
    assert write_figures.main(["--metrics", str(path), "--pages", *map(str, pages)]) == 2
    assert "differ in config.json" in capsys.readouterr().err
    assert all("old" in page.read_text() for page in pages)


def test_a_report_that_names_no_model_makes_no_page(metrics, tmp_path, capsys):
    path, _ = metrics
    changed(path, lambda reports: reports["validation"].pop("model_folder"))
    assert page_of(path, tmp_path, "other")[0] == 2
    assert "the report 'validation' does not say which model it is of" in capsys.readouterr().err


def test_the_split_that_thresholds_were_chosen_on_is_named_so(metrics, tmp_path):
    _, text = page_of(metrics[0], tmp_path, "other")
    assert "| the corpus's validation split, on which thresholds were chosen | 20 |" in text


@pytest.mark.parametrize(
    ("points", "shown"), [(1.64, "0.500, 1.6 points higher."), (-0.6, "0.500, 0.6 points lower."), (None, "0.500.")]
)
@pytest.mark.parametrize("name", ["test", "project_test"])
def test_what_review_gains_is_said_of_both_kinds_of_text(metrics, tmp_path, name, points, shown):
    path, _ = metrics

    def change(reports):
        least = reports[name]["review"]["least_certain"]
        least.update(micro_f1=0.5, gain_points=points)

    changed(path, change)
    code, text = page_of(path, tmp_path, "calibration")
    assert code == 0
    beginnings = {"test": "micro-F1 of the rest is", "project_test": "articles the 10% set aside leave a micro-F1 of"}
    assert f"{beginnings[name]} {shown}" in text


def test_figures_that_are_undefined_are_said_to_be(metrics, tmp_path):
    path, _ = metrics

    def change(reports):
        reports["test"]["model"].update(
            intervals={key: [None, None] for key in ("micro_f1", "macro_f1", "exact_match")}, exact_match=None
        )
        reports["project_test"]["review"]["band"] = None

    changed(path, change)
    code, text = page_of(path, tmp_path, "test", "calibration")
    assert code == 0
    assert "No 95% intervals: they take 10 documents with labels at least. Exact label set on - of" in text
    assert "of their sentences" not in text


def test_bases_and_cases_that_can_fail_stand_beside_the_cases_where_they_were_counted(metrics, tmp_path):
    path, _ = metrics
    assert "| kind | capability | cases | passed |" in page_of(path, tmp_path, "behaviour")[1]
    changed(path, lambda reports: reports["behaviour"]["capabilities"][0].update(n_bases=1, n_can_fail=2))
    _, text = page_of(path, tmp_path, "behaviour")
    assert "| kind | capability | cases | bases | can fail | passed |" in text
    assert "| fairness | religion | 3 | 1 | 2 | 100.0% |" in text
