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
    report = {"model": headline(predictions), **analyse(predictions)}
    row = {"kind": "fairness", "capability": "religion", "n_cases": 3, "pass_rate": 1.0, "changed_share": 0.0}
    behaviour = {"capabilities": [{**row, "n_passed": 3, "target": 0.01}]}
    path = tmp_path / "metrics.json"
    names = ("test", "validation", "project_test")
    path.write_text(json.dumps({**dict.fromkeys(names, report), "behaviour": behaviour}))
    return path, report


def test_what_stands_between_the_marks_is_replaced(metrics, tmp_path):
    path, report = metrics
    page = tmp_path / "page.md"
    marks = "".join(f"<!-- figures {name} -->\nold\n<!-- /figures -->\nkept {name}\n" for name in write_figures._PARTS)
    page.write_text("# Title\n" + marks)
    assert write_figures.main(["--metrics", str(path), "--pages", str(page)]) == 0
    text = page.read_text()
    assert "old" not in text
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
