"""The benchmarks: metrics on hand-worked tables, preparing invented rows, a run of two seeds on a tiny encoder."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from sklearn.metrics import f1_score

from ctclassify.errors import DataError
from tests.conftest import LABELS
from training import finetune
from training.benchmarks import prepare, run
from training.benchmarks.metrics import METRICS, benchmark_figures, example_based_f1
from training.benchmarks.report import markdown_table
from training.benchmarks.tasks import SPLITS, TASKS, Task
from training.config import load_config
from training.data import read_labelled
from training.once import train_once

FOLDER = Path(run.__file__).parent

INVENTED = [
    ("A bomb killed police in the town.", ["attack", "casualties"]),
    ("The court and the law.", ["policy"]),
    ("Rain on the river.", []),
    ("Troops wounded in the raid.", ["casualties"]),
]
TASK = Task(
    name="invented",
    n_rows=(12, 4, 4),
    n_positive={"attack": (3, 1, 1), "casualties": (6, 2, 2), "policy": (3, 1, 1)},
)


@pytest.fixture
def rows():
    """The rows of the invented task: three times the sentences in train, once in dev and test."""
    return [
        {"text": text, "labels": labels, "split": split, "source": "invented"}
        for split, n in (("train", 3), ("dev", 1), ("test", 1))
        for text, labels in INVENTED * n
    ]


@pytest.fixture
def source(tmp_path, rows):
    """The invented task's file."""
    return written(tmp_path / "invented.jsonl", rows)


def written(path: Path, rows) -> Path:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


# Metrics


def test_example_based_f1_of_a_table_worked_by_hand():
    y_true = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 1, 0], [1, 0, 1]])
    y_pred = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 0], [0, 1, 0]])
    # 2*1/(2+1), 1, skipped, a false label 0, a missed one 0, two misses and a false one 0
    assert example_based_f1(y_true, y_pred) == pytest.approx((2 / 3 + 1) / 5)


@pytest.mark.parametrize("n_texts", [0, 3])
def test_example_based_f1_is_undefined_without_any_label(n_texts):
    nothing = np.zeros((n_texts, 2), dtype=np.int8)
    assert math.isnan(example_based_f1(nothing, nothing))


@pytest.mark.parametrize("shape", [(3, 3), (2, 2), (6,)])
def test_matrices_of_different_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"one shape \(n_texts, n_labels\), got \(3, 2\), "):
        example_based_f1(np.ones((3, 2)), np.ones(shape))


@pytest.mark.parametrize("seed", range(5))
def test_figures_agree_with_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    y_true, y_pred = (rng.random((2, 200, 4)) < 0.2).astype(np.int8)
    figures = benchmark_figures(y_true, y_pred)
    counts = (y_true | y_pred).any(1)
    assert 0 < counts.sum() < 200
    expected = f1_score(y_true[counts], y_pred[counts], average="samples", zero_division=0)
    assert figures["example_based_f1"] == pytest.approx(expected)
    assert figures["micro_f1"] == pytest.approx(f1_score(y_true, y_pred, average="micro"))
    assert figures["macro_f1"] == pytest.approx(f1_score(y_true, y_pred, average="macro"))
    assert tuple(figures) == METRICS


def test_texts_without_labels_on_both_sides_change_nothing():
    y_true, y_pred = np.array([[1, 0], [0, 1]]), np.array([[1, 1], [0, 1]])
    blank = np.zeros((3, 2), dtype=np.int64)
    more = benchmark_figures(np.vstack([y_true, blank]), np.vstack([y_pred, blank]))
    assert more == benchmark_figures(y_true, y_pred)


def test_a_label_that_never_occurs_counts_as_zero_in_the_macro_average():
    assert benchmark_figures(np.array([[1, 0]]), np.array([[1, 0]]))["macro_f1"] == 0.5


# Preparing


def test_splits_are_written_as_training_reads_them(source, tmp_path):
    assert prepare.write_splits(tmp_path / "out", prepare.read_benchmark(source, TASK)) == 0
    for split, n in zip(SPLITS.values(), TASK.n_rows, strict=True):
        sentences = read_labelled([tmp_path / "out" / f"{split}.jsonl"], TASK.label_names)
        assert len(sentences) == n
        assert list(zip(sentences.texts[:4], map(list, sentences.labels[:4]), strict=True)) == INVENTED


def test_blank_texts_without_labels_are_left_out_and_counted(rows, tmp_path):
    rows[2]["text"] = " "
    read = prepare.read_benchmark(written(tmp_path / "blank.jsonl", rows), TASK)
    assert prepare.write_splits(tmp_path / "out", read) == 1
    assert len(read_labelled([tmp_path / "out" / "train.jsonl"], TASK.label_names)) == 11


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["bombing"]}, "unknown label 'bombing'; labels of invented: attack, casualties, policy"),
        ({"labels": [["attack"]]}, r"unknown label \['attack'\]"),
        ({"labels": ["attack", "attack"]}, "expected each label once"),
        ({"labels": "attack"}, "expected \"labels\" as a list of names, .* got 'attack'"),
        ({"split": "validation"}, "unknown \"split\" 'validation'; expected train, dev, test"),
        ({"split": ["dev"]}, 'unknown "split"'),
        ({"text": None}, 'expected "text" as a string, got None'),
        ({"text": " "}, r"a blank text with the labels \['policy'\]"),
    ],
)
def test_a_bad_line_is_named(rows, tmp_path, change, message):
    rows[1] |= change
    with pytest.raises(DataError, match=rf"invented\.jsonl, line 2: {message}") as caught:
        prepare.read_benchmark(written(tmp_path / "invented.jsonl", rows), TASK)
    assert caught.value.line_number == 2


@pytest.mark.parametrize(("line", "message"), [("{", "not JSON"), ("[]", "expected an object, got list")])
def test_a_line_that_is_no_object_is_named(source, line, message):
    source.write_text(source.read_text() + line + "\n")
    with pytest.raises(DataError, match=f"line 21: {message}"):
        prepare.read_benchmark(source, TASK)


def test_counts_other_than_the_official_ones_are_refused(rows, tmp_path):
    rows[0]["labels"] = ["attack"]
    rows[-1]["split"] = "dev"
    path = written(tmp_path / "invented.jsonl", rows)
    with pytest.raises(DataError, match="not the official splits of invented: ") as caught:
        prepare.read_benchmark(path, TASK)
    for part in ("5 of casualties in train, expected 6", "5 rows in dev, expected 4", "3 rows in test, expected 4"):
        assert part in str(caught.value)


def test_prepare_writes_all_tasks_or_none(source, tmp_path, monkeypatch, capsys):
    absent = Task(name="absent", n_rows=(0, 0, 0), n_positive={})
    arguments = ["--data", str(tmp_path), "--output", str(tmp_path / "out")]
    monkeypatch.setattr(prepare, "TASKS", {"invented": TASK, "absent": absent})
    assert prepare.main(arguments) == 2
    assert "absent.jsonl" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(prepare, "TASKS", {"invented": TASK})
    assert prepare.main(arguments) == 0
    assert "invented: 12 train, 4 validation, 4 test; 0 blank texts" in capsys.readouterr().out


# Tasks and configs


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_config_parses_and_has_its_tasks_labels(task):
    config = load_config(FOLDER / f"{task.name}.toml")
    assert config.name == f"benchmark-{task.name}"
    assert config.data.label_names == task.label_names
    assert config.data.train == (prepare.PREPARED / task.name / "train.jsonl",)
    assert config.data.validation == (prepare.PREPARED / task.name / "validation.jsonl",)
    assert config.decision.calibration == "none"


def test_git_ignores_the_prepared_texts():
    ignored = (FOLDER.parents[1] / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert f"{prepare.PREPARED.relative_to(FOLDER.parents[1]).as_posix()}/" in ignored


def points_behind(task):
    """Return by metric and published model how far the stored result at threshold 0.5 is behind, in points."""
    results = json.loads((FOLDER / "results.json").read_text(encoding="utf-8"))
    figures = results[task]["all-MiniLM-L6-v2"]["figures"]["0.5"]
    return {
        (other.model, metric): 100 * (value - figures[metric]["mean"])
        for other in TASKS[task].published
        for metric in METRICS
        if (value := getattr(other, metric)) is not None
    }


def test_the_prose_is_no_kinder_than_the_results():
    readme = " ".join((FOLDER / "README.md").read_text(encoding="utf-8").split())
    satp, police = points_behind("satp"), points_behind("india_police_events")
    example, micro, macro = (satp["ConfliBERT (110M)", metric] for metric in METRICS)
    behind = f"{example:.1f} points of example-based F1, {micro:.1f} of micro-F1 and {macro:.1f} of macro-F1"
    assert f"behind the latter by {behind}, with a fifth" in readme
    assert all(points < 0 for (model, _), points in satp.items() if model == "ModernBERT-base")
    assert f"it is {min(police.values()):.0f} to {max(police.values()):.0f} points behind the published" in readme


def test_readme_gives_the_published_figures_of_the_table():
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    published = [line for line in markdown_table({}).splitlines() if ", published |" in line]
    assert len(published) == 5
    assert all(line in readme for line in published)


def test_scripts_and_files_that_the_readme_names_are_there():
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"training/[\w/]+\.(?:py|toml)", readme)
    assert named
    assert all((FOLDER.parents[1] / name).is_file() for name in named)


# Runs


@pytest.fixture
def config(source, tmp_path, tiny_folder, monkeypatch):
    """A config of one short epoch on the tiny encoder; prepared data and runs lie in the test's folder."""
    monkeypatch.setattr(finetune, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(run, "PREPARED", tmp_path / "prepared")
    prepare.write_splits(tmp_path / "prepared" / "satp", prepare.read_benchmark(source, TASK))
    path = tmp_path / "tiny.toml"
    path.write_text(
        f"""
name = "benchmark-tiny"
[data]
train = ["prepared/satp/train.jsonl"]
validation = ["prepared/satp/validation.jsonl"]
label_names = {list(LABELS)}
[model]
base = "{tiny_folder}"
max_length = 16
[optimisation]
num_train_epochs = 1
batch_size = 6
learning_rate = 1e-2
bf16 = false
[decision]
calibration = "none"
review_precision = false
"""
    )
    return path


def arguments(config: Path, *more: str) -> list[str]:
    """Return run.py's arguments for two seeds."""
    output = str(config.parent / "results.json")
    return ["--task", "satp", "--config", str(config), "--engine", "openvino-fp32", "--output", output, *more]


def test_two_seeds_are_trained_scored_and_reported(config, tiny_folder, tmp_path, capsys):
    assert run.main(arguments(config, "--seeds", "1", "2", "--markdown")) == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [f"benchmark-tiny-seed{s}" for s in (1, 2)]
    ((base, report),) = json.loads((tmp_path / "results.json").read_text())["satp"].items()
    assert base == tiny_folder.name
    assert report["seeds"] == [1, 2]
    assert report["test"]["n_texts"] == 4
    assert list(report["encoder"]["sha256"]) == ["model.safetensors"]
    for key in ("tuned", "0.5"):
        for metric in METRICS:
            values = [each["figures"][key][metric] for each in report["runs"]]
            figure = report["figures"][key][metric]
            assert figure["mean"] == pytest.approx(np.mean(values), abs=1e-4)
            assert figure["sd"] == pytest.approx(np.std(values, ddof=1), abs=1e-4)
    for each in report["runs"]:
        assert not each["is_calibrated"]
        assert each["train_seconds"] >= 0
        assert each["versions"]["torch"]
    printed = capsys.readouterr().out
    assert f"| satp | {base}, here | tuned | " in printed
    assert "| satp | ConfliBERT (110M), published | 0.5 | 0.8935 | 0.881 | 0.854 | 3 |" in printed


def test_figures_are_those_of_the_saved_model(config, tmp_path):
    settings = load_config(config)
    folder = train_once(settings, tmp_path / "run")
    report = run.score(folder, tmp_path / "prepared" / "satp" / "test.jsonl", engine="openvino-fp32")
    classifier = run.ctclassify.load(folder / "model", engine="openvino-fp32")
    y_true = np.array([[label in labels for label in LABELS] for _, labels in INVENTED])
    for key, thresholds in (("tuned", None), ("0.5", 0.5)):
        predicted = classifier.predict([text for text, _ in INVENTED], thresholds=thresholds)
        y_pred = np.array([[label in labels for label in LABELS] for labels in predicted])
        expected = benchmark_figures(y_true, y_pred)
        got = {k: float("nan") if v is None else v for k, v in report["figures"][key].items()}
        assert got == pytest.approx(expected, abs=1e-4, nan_ok=True)


def test_a_finished_run_is_not_repeated(config, monkeypatch, capsys):
    assert run.main(arguments(config, "--seeds", "1")) == 0
    first = json.loads((config.parent / "results.json").read_text())
    monkeypatch.setattr(finetune, "finetune", lambda *_, **__: pytest.fail("trained again"))
    assert run.main(arguments(config, "--seeds", "1")) == 0
    assert "benchmark-tiny-seed1: finished already" in capsys.readouterr().out
    again = json.loads((config.parent / "results.json").read_text())
    (one,), (other,) = ([*each["satp"].values()] for each in (first, again))
    assert one["figures"] == other["figures"]


def test_a_finished_run_of_something_else_is_refused(config, capsys):
    assert run.main(arguments(config, "--seeds", "1")) == 0
    (config.parent / "results.json").unlink()
    config.write_text(config.read_text().replace("learning_rate = 1e-2", "learning_rate = 2e-2"))
    assert run.main(arguments(config, "--seeds", "1")) == 2
    message = capsys.readouterr().err
    assert "run.json: a finished run of something else, config.optimisation.learning_rate: 0.01 -> 0.02" in message


def test_a_result_of_another_config_is_not_replaced(config, tiny_folder, tmp_path, monkeypatch, capsys):
    assert run.main(arguments(config, "--seeds", "1")) == 0
    results = (tmp_path / "results.json").read_text()
    stored = json.loads(results)["satp"][tiny_folder.name]["config"]
    assert stored["optimisation"]["learning_rate"] == 0.01
    assert len(stored["data"]["train"][0]["sha256"]) == 64
    assert "seed" not in stored
    assert run.main(arguments(config, "--seeds", "2")) == 0  # another seed is no other config
    results = (tmp_path / "results.json").read_text()
    other = tmp_path / "other.toml"
    text = config.read_text().replace("benchmark-tiny", "benchmark-other")
    other.write_text(text.replace("learning_rate = 1e-2", "learning_rate = 2e-2"))
    with monkeypatch.context() as patch:
        patch.setattr(finetune, "finetune", lambda *_, **__: pytest.fail("trained"))
        assert run.main(arguments(other, "--seeds", "1")) == 2
    error = capsys.readouterr().err
    assert f"results.json: holds a result of {tiny_folder.name} by another config, config.name: " in error
    assert "config.optimisation.learning_rate: 0.01 -> 0.02" in error
    assert (tmp_path / "results.json").read_text() == results


def test_a_stopped_run_goes_on(config, monkeypatch, tmp_path):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(finetune, "save_model_folder", stop)
        with pytest.raises(KeyboardInterrupt):
            run.main(arguments(config, "--seeds", "1"))
    assert not (tmp_path / "results.json").exists()
    assert run.main(arguments(config, "--seeds", "1")) == 0
    (report,) = json.loads((tmp_path / "results.json").read_text())["satp"].values()
    assert report["runs"][0]["n_resumed"] == 1


def test_another_base_has_its_own_run_and_row(config, tiny_folder, tmp_path, monkeypatch):
    other = shutil.copytree(tiny_folder, tmp_path / "larger" / "model")
    monkeypatch.chdir(other.parent)
    assert run.main(arguments(config, "--seeds", "1")) == 0
    assert run.main(arguments(config, "--seeds", "1", "--base", "model")) == 0
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert names == ["benchmark-tiny-larger-seed1", "benchmark-tiny-seed1"]
    assert list(json.loads((tmp_path / "results.json").read_text())["satp"]) == [tiny_folder.name, "larger"]


@pytest.mark.parametrize("split", SPLITS.values())
def test_a_missing_file_is_told_before_training(config, tmp_path, monkeypatch, capsys, split):
    (tmp_path / "prepared" / "satp" / f"{split}.jsonl").unlink()
    monkeypatch.setattr(finetune, "finetune", lambda *_, **__: pytest.fail("trained"))
    assert run.main(arguments(config)) == 2
    assert f"{split}.jsonl: no such file; training/benchmarks/prepare.py makes it" in capsys.readouterr().err


def test_an_empty_test_file_is_told_before_training(config, tmp_path, monkeypatch, capsys):
    (tmp_path / "prepared" / "satp" / "test.jsonl").write_text("")
    monkeypatch.setattr(finetune, "finetune", lambda *_, **__: pytest.fail("trained"))
    assert run.main(arguments(config)) == 2
    assert "test.jsonl: no text to score" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_told_before_training(config, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(finetune, "finetune", lambda *_, **__: pytest.fail("trained"))
    assert run.main([*arguments(config), "--output", str(tmp_path / "absent" / "results.json")]) == 2
    assert "results.json: cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [[], ["--task", "satp", "--seeds", "1", "1"], ["--task", "other"]])
def test_wrong_options_are_refused(wrong):
    with pytest.raises(SystemExit):
        run.main(wrong)


# Report


def test_the_table_says_what_was_not_run(tmp_path, capsys):
    assert run.main(["--markdown", "--output", str(tmp_path / "results.json")]) == 0
    printed = capsys.readouterr().out
    assert printed.count("| not run yet | not run yet | not run yet |") == 2
    assert not (tmp_path / "results.json").exists()


def test_the_table_shows_means_and_deviations():
    figures = {
        "example_based_f1": {"n": 2, "mean": 0.8, "sd": 0.0123},
        "micro_f1": {"n": 2, "mean": 0.7, "sd": None},
        "macro_f1": {"n": 1, "mean": 0.6, "sd": None},  # of the other seed it is undefined
    }
    table = markdown_table({"satp": {"minilm": {"seeds": [1, 2], "figures": {"0.5": figures}}}})
    assert "| satp | minilm, here | 0.5 | 0.800 ± 0.012 | 0.700 | - | 2 |" in table
