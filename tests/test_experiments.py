"""Variants of a config, each once a seed, and their table; the share of the documents."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch")

from scipy import stats

from ctclassify.errors import DataError
from training import experiments, finetune
from training.data import LabelledSentences
from training.folds import take_share


@pytest.fixture
def series(tmp_path, tiny_folder):
    """A series of two variants on the tiny encoder."""
    rows = [
        {"text": f"A {what} in the town {i}.", "labels": labels, "document": f"d{i}"}
        for i in range(12)
        for what, labels in (("bomb", ["attack"]), ("law", ["policy"]), ("raid", ["casualties"]))
    ]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "base.toml").write_text(
        f"""
name = "base"
[data]
train = ["data.jsonl"]
validation = ["data.jsonl"]
label_names = ["attack", "casualties", "policy"]
[model]
base = "{tiny_folder}"
max_length = 16
[optimisation]
num_train_epochs = 1
learning_rate = 1e-2
bf16 = false
"""
    )
    path = tmp_path / "series.toml"
    path.write_text(
        'config = "base.toml"\nseeds = [1, 2]\n[variants.first]\n[variants.half]\n'
        "data.share = 0.5\noptimisation.num_train_epochs = 2\n"
    )
    return path


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    monkeypatch.setattr(finetune, "RUNS", tmp_path / "runs")


def test_variants_change_what_they_name_and_nothing_else(series):
    seeds, (first, half) = experiments.read_experiments(series)
    assert seeds == (1, 2)
    assert (half.config.data.share, half.config.optimisation.num_train_epochs) == (0.5, 2)
    assert half.config.optimisation.learning_rate == first.config.optimisation.learning_rate == 1e-2
    assert half.config.data.train == first.config.data.train
    assert (first.config.name, half.config.name) == ("base-first", "base-half")


def test_a_series_is_run_once_and_tabled(series, capsys):
    assert experiments.main(["--experiments", str(series)]) == 0
    first = capsys.readouterr().out
    assert "| half |" in first
    results = json.loads(series.with_suffix(".json").read_text())
    assert list(results) == ["first", "half"]
    assert results["half"]["n_sentences"] < results["first"]["n_sentences"] == 36
    (figures,) = results["half"]["figures"].values()
    assert len(figures["micro"]) == len(figures["macro"]) == 2
    assert experiments.main(["--experiments", str(series)]) == 0
    again = capsys.readouterr().out
    assert again.count("finished already") == 4
    assert again.splitlines()[-3:] == first.splitlines()[-3:]
    assert experiments.main(["--experiments", str(series), "--markdown"]) == 0
    assert capsys.readouterr().out.splitlines() == first.splitlines()[-4:]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[1, 2]", "[1, 1]", "each seed once"),
        ("[1, 2]", "[1]", "seeds"),
        ("share = 0.5", "share = 0", "variant half.*data.share"),
        ("data.share", "data.shares", "variant half.*data.shares"),
        ("base.toml", "other.toml", "other.toml: cannot be read"),
    ],
)
def test_a_series_that_cannot_run_is_refused_at_once(series, old, new, message):
    series.write_text(series.read_text().replace(old, new))
    with pytest.raises(DataError, match=message):
        experiments.read_experiments(series)


def test_an_unknown_variant_is_refused(series, capsys):
    assert experiments.main(["--experiments", str(series), "--only", "third"]) == 2
    assert "no variant third" in capsys.readouterr().err


def test_the_first_variant_of_the_file_is_what_others_are_compared_with(series, capsys):
    assert experiments.main(["--experiments", str(series), "--only", "half"]) == 2
    assert "first has not run" in capsys.readouterr().err
    assert experiments.main(["--experiments", str(series)]) == 0
    output = series.with_suffix(".json")
    results = json.loads(output.read_text())
    output.write_text(json.dumps({"half": results["half"], "first": results["first"], "gone": results["half"]}))
    capsys.readouterr()
    assert experiments.main(["--experiments", str(series), "--markdown"]) == 0
    assert [line.split(" |")[0] for line in capsys.readouterr().out.splitlines()[2:]] == ["| first", "| half"]


def test_the_shipped_series_parses():
    _, variants = experiments.read_experiments(experiments.Path(experiments.__file__).parent / "experiments.toml")
    assert len({variant.config.name for variant in variants}) == len(variants) > 5


def test_the_interval_is_that_of_students_test():
    values, reference = [0.81, 0.83, 0.84], [0.80, 0.79, 0.82]
    mean, half = experiments.difference(values, reference)
    interval = stats.ttest_ind(values, reference).confidence_interval(0.95)
    assert np.allclose([mean - half, mean + half], [interval.low, interval.high])


def test_the_table_shows_the_spread_over_seeds():
    results = {
        name: {"n_sentences": 9, "minutes": None, "figures": {"a/b": {"micro": values, "macro": [0.5] * len(values)}}}
        for name, values in {"first": [0.80, 0.82, 0.84], "other": [0.70, 0.70, 0.73], "one": [0.9]}.items()
    }
    lines = experiments.table(results).splitlines()
    assert lines[2] == "| first | 9 |  | 0.820, sd 2.0 | 0.500, sd 0.0 |"
    assert "| 0.710, sd 1.7 (-11.0 ± " in lines[3]
    assert "| 0.900, sd - (+8.0 ± " in lines[4]


def test_an_undefined_figure_is_a_dash():
    def result(*micro):
        return {"n_sentences": 9, "minutes": None, "figures": {"a/b": {"micro": [*micro], "macro": [0.5, 0.6]}}}

    lines = experiments.table({"first": result(None, 0.8), "other": result(0.7, 0.8), "none": result(None, None)})
    cells = [[cell.strip() for cell in line.split("|")] for line in lines.splitlines()[2:]]
    assert [row[4] for row in cells] == ["-", "0.750, sd 7.1", "-"]


def test_rows_that_do_not_stand_beside_the_others_are_marked(series, capsys):
    figures = {"x/data": {"micro": [0.5, 0.6], "macro": [0.5, 0.6]}}
    row = {"changes": {}, "seeds": [1, 2], "n_sentences": 9, "minutes": None, "figures": figures}
    stale = {"data": {"share": 0.4}, "optimisation": {"num_train_epochs": 2}}
    output = series.with_suffix(".json")
    for changed, note in (
        ({"changes": stale}, "half (stale: of other changes than the file's, run it again)"),
        ({"changes": {**stale, "data": {"share": 0.5}}, "seeds": [1, 3]}, "half (not comparable: of seeds 1, 3, run"),
        ({"changes": {**stale, "data": {"share": 0.5}}}, "half |"),
    ):
        output.write_text(json.dumps({"first": row, "half": {**row, **changed}}))
        assert experiments.main(["--experiments", str(series), "--markdown"]) == 0
        line = capsys.readouterr().out.splitlines()[-1]
        assert line.startswith(f"| {note}")
        assert ("±" in line) == (note == "half |")


def test_the_ledger_says_what_the_stored_seeds_say():
    folder = experiments.Path(experiments.__file__).parent
    results = json.loads((folder / "experiments.json").read_text(encoding="utf-8"))
    ledger = (folder / "EXPERIMENTS.md").read_text(encoding="utf-8")
    for line in experiments.table(results).splitlines()[2:]:
        assert line.split(" | ", 3)[3] in ledger
    pairs = [
        (values, results["as-it-is"]["figures"][place][average])
        for result in results.values()
        for place, averages in result["figures"].items()
        for average, values in averages.items()
    ]
    deviations = [100 * np.std(values, ddof=1) for values, _ in pairs]
    halves = [100 * experiments.difference(*pair)[1] for pair in pairs if pair[0] is not pair[1]]
    prose = " ".join(ledger.split())
    assert f"over seeds is {min(deviations):.1f} to {max(deviations):.1f} points, and the intervals of three" in prose
    assert f"seeds are {min(halves):.1f} to {max(halves):.1f} points wide to either side" in prose


def sentences(n_documents: int) -> LabelledSentences:
    documents = [f"d{i}" for i in range(n_documents) for _ in range(3)]
    return LabelledSentences(
        texts=tuple(f"sentence {i}" for i in range(len(documents))),
        labels=tuple(() for _ in documents),
        documents=tuple(documents),
        fields={"source": tuple(documents)},
    )


def test_a_share_is_of_whole_documents_and_part_of_a_larger_one():
    rows = sentences(400)
    small, large = take_share(rows, 0.2), take_share(rows, 0.5)
    assert take_share(rows, 1.0) is rows
    assert 50 <= len(set(small.documents)) <= 110
    assert set(small.documents) < set(large.documents)
    assert small.fields["source"] == small.documents
    assert all(small.documents.count(document) == 3 for document in set(small.documents))
    assert [text for text in rows.texts if text in set(small.texts)] == list(small.texts)


def test_a_share_without_a_document_is_refused(series):
    _, (first, _) = experiments.read_experiments(series)
    data = first.config.data.model_copy(update={"share": 1e-9})
    with pytest.raises(DataError, match=r"data\.share 1e-09 holds no document"):
        finetune.finetune(first.config.model_copy(update={"data": data}), finetune.RUNS / "none")


def test_two_validation_files_of_one_name_are_refused(series):
    base = series.with_name("base.toml")
    name = f"../{series.parent.name}/data.jsonl"
    base.write_text(base.read_text().replace('validation = ["data.jsonl"]', f'validation = ["data.jsonl", "{name}"]'))
    with pytest.raises(DataError, match="variant first: two validation files would have one name"):
        experiments.read_experiments(series)
