"""The whole recipe on tiny encoders: from texts to a student, and nothing twice."""

from __future__ import annotations

import csv
import hashlib
import json

import pytest

pytest.importorskip("torch")

from tests.conftest import LABELS
from training import finetune, prepare_data, quantize, recipe

SENTENCES = {
    "train": [("A bomb killed police in the town.", "attack|casualties"), ("The court and the law.", "policy")],
    "validation": [("A bomb in the bank.", "attack"), ("Rain on the river.", "")],
    "test": [("Troops wounded in the raid.", "casualties")],
}


@pytest.fixture
def world(tmp_path, tiny_folder, tiny_mean_folder, monkeypatch):
    """Texts, a stand-off file, project articles and two configs, all in a temporary folder."""
    prepared, project = tmp_path / "prepared", tmp_path / "project"
    project.mkdir()
    rows, texts = (
        [],
        [{"text": f"Kenyan police raid the town on day {i}, and rain fell on the old road."} for i in range(40)],
    )
    for split, sentences in SENTENCES.items():
        for i, (text, labels) in enumerate(sentences * 3):
            sum_ = hashlib.sha256(text.encode()).hexdigest()
            rows.append([f"{split}{i}", split, "wcep", f"{split}-{i}#0", "2020", sum_, labels, "", "", "", ""])
            texts.append({"text": text})
        article = {"id": split, "text": f"Rain {split}.", "sentences": [{"start": 0, "end": 4, "labels": []}]}
        (project / f"{split}.jsonl").write_text(json.dumps(article) + "\n")
    further = {"id": "more", "text": "Troops freed ten men.", "sentences": [{"start": 0, "end": 21, "labels": []}]}
    (project / "train-more.jsonl").write_text(json.dumps(further) + "\n")
    (project / "train-further.jsonl").write_text(
        json.dumps({**further, "id": "further", "text": "Troops freed two men."})
    )
    (project / "train-later.jsonl").write_text(json.dumps({**further, "id": "later", "text": "Troops freed six men."}))
    standoff = tmp_path / "standoff.csv"
    with standoff.open("w", newline="") as file:
        columns = ["id", "split", "source", "key", "date", "sha256", "labels", "annotator_a", "annotator_b"]
        csv.writer(file).writerows([[*columns, "labels_before", "reason"], *rows])
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))
    body = f"""
[data]
train = ["prepared/train.jsonl", "project/train.jsonl"]
validation = ["prepared/validation.jsonl", "project/validation.jsonl"]
label_names = {json.dumps(LABELS)}
[model]
base = "{tiny_folder}"
max_length = 16
[optimisation]
num_train_epochs = 1
bf16 = false
"""
    (tmp_path / "teacher.toml").write_text('name = "teacher"\n' + body)
    (tmp_path / "screen.toml").write_text('name = "screen"\n' + body)
    (tmp_path / "student.toml").write_text(
        'name = "student"\n' + body + '[distillation]\nsoft = ["soft.jsonl", "swapped.jsonl"]\n'
    )
    more = ["soft.jsonl", "rest.jsonl", "parts.jsonl", "swapped.jsonl"]
    (tmp_path / "more.toml").write_text(f'name = "more"\n{body}[distillation]\nsoft = {json.dumps(more)}\n')
    (tmp_path / "teacher-more.toml").write_text('name = "teacher-more"\n' + body)
    wide = ["wide_soft.jsonl", *more[1:]]
    (tmp_path / "wide.toml").write_text(f'name = "wide"\n{body}[distillation]\nsoft = {json.dumps(wide)}\n')
    third = ["wide_soft.jsonl", "rest.jsonl", "further_soft.jsonl"]
    (tmp_path / "further.toml").write_text(f'name = "further"\n{body}[distillation]\nsoft = {json.dumps(third)}\n')
    monkeypatch.setattr(prepare_data, "STANDOFF", standoff)
    monkeypatch.setattr(prepare_data, "DATA", tmp_path)
    monkeypatch.setattr(quantize, "_STEPS", 5)
    monkeypatch.setattr(recipe, "PREPARED", prepared)
    monkeypatch.setattr(recipe, "PROJECT", project)
    monkeypatch.setattr(finetune, "RUNS", tmp_path / "runs")
    return tmp_path, ["--text", str(tmp_path / "texts.jsonl"), "--encoder", str(tiny_mean_folder)]


def arguments(world) -> list[str]:
    """The command line."""
    folder, start = world
    configs = ["--screen-config", str(folder / "screen.toml")]
    configs += ["--teacher-config", str(folder / "teacher.toml"), "--student-config", str(folder / "student.toml")]
    configs += ["--more-config", str(folder / "more.toml"), "--wide-config", str(folder / "wide.toml")]
    configs += ["--teacher-more-config", str(folder / "teacher-more.toml")]
    configs += ["--further-config", str(folder / "further.toml")]
    return [*start, *configs, "--teacher-seeds", "13", "14"]


def test_the_recipe_goes_from_texts_to_a_student(world, capsys, monkeypatch):
    folder, _ = world
    monkeypatch.chdir(folder)
    assert recipe.main(arguments(world)) == 0
    soft = [json.loads(line)["text"] for line in (folder / "soft.jsonl").read_text().splitlines()]
    assert any(text.startswith("Kenyan police") for text in soft)  # some, whatever the screen finds
    assert "A bomb killed police in the town." in soft
    swapped = [json.loads(line)["text"] for line in (folder / "swapped.jsonl").read_text().splitlines()]
    assert swapped
    assert all("police raid" in text and "Kenyan" not in text for text in swapped)
    held_out = {text for split in ("validation", "test") for text, _ in SENTENCES[split]}
    assert not held_out & set(soft)
    rest = [json.loads(line)["text"] for line in (folder / "rest.jsonl").read_text().splitlines()]
    assert not set(rest) & set(soft)
    assert sum(text.startswith("Kenyan police") for text in rest + soft) == 40  # all: the screen's rest comes later
    parts = [json.loads(line)["text"] for line in (folder / "parts.jsonl").read_text().splitlines()]
    assert "Rain fell on the old road." in parts
    assert _base(folder, "more") == _weights(folder, "student")
    metrics = json.loads((folder / "runs" / "more" / "metrics.json").read_text())
    assert set(metrics) == {"validation", "project_validation"}
    assert (folder / "runs" / "teacher-seed14" / "model" / "ctclassify.json").is_file()
    wide_soft = [json.loads(line)["text"] for line in (folder / "wide_soft.jsonl").read_text().splitlines()]
    assert set(wide_soft) == {*soft, "Troops freed ten men.", "Troops freed six men."}
    wide_teachers = json.loads((folder / "wide_soft.jsonl.teachers.json").read_text())["teachers"]
    assert len({json.dumps(teacher["sha256"]) for teacher in wide_teachers}) == 4  # two seeds, before and after
    assert _base(folder, "wide") == _weights(folder, "more")
    average = json.loads((folder / "runs" / "wide-average" / "model" / "training.json").read_text())
    assert average["averaged"]["before"]["sha256"] == _weights(folder, "more")
    assert average["averaged"]["after"]["sha256"] == _weights(folder, "wide")
    assert _base(folder, "teacher-more-seed14") == _weights(folder, "teacher-seed14")
    further_soft = [json.loads(line)["text"] for line in (folder / "further_soft.jsonl").read_text().splitlines()]
    assert further_soft == ["Troops freed two men."]
    assert _base(folder, "further") == _weights(folder, "wide-average")
    last = json.loads((folder / "runs" / "further-average" / "model" / "training.json").read_text())
    assert last["averaged"]["after"]["sha256"] == _weights(folder, "further")
    assert (folder / "runs" / "further-average" / "model" / "int8.json").is_file()


def _base(folder, run: str) -> str:
    """Checksum of the weights that a run started from."""
    return json.loads((folder / "runs" / run / "run.json").read_text())["encoder"]["sha256"]["model.safetensors"]


def _weights(folder, run: str) -> str:
    """Checksum of the weights that a run saved."""
    record = json.loads((folder / "runs" / run / "model" / "ctclassify.json").read_text())
    return record["sha256"]["model.safetensors"]


def test_what_is_done_is_left_alone(world, capsys, monkeypatch):
    folder, _ = world
    assert recipe.main(arguments(world)) == 0
    weights = folder / "runs" / "wide-average" / "model" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    capsys.readouterr()
    assert recipe.main(arguments(world)) == 0
    assert weights.stat().st_mtime_ns == before
    assert capsys.readouterr().out.count("finished already") == 9


def test_a_step_that_fails_stops_the_recipe(world, capsys):
    folder, _ = world
    (folder / "texts.jsonl").write_text('{"text": "Nothing of it."}\n')
    assert recipe.main(arguments(world)) == 2
    assert "prepare_data.py failed" in capsys.readouterr().err
    assert not (folder / "runs").exists()


def test_texts_that_lack_too_much_can_be_given_anew(world, capsys):
    folder, _ = world
    whole = (folder / "texts.jsonl").read_text()
    (folder / "texts.jsonl").write_text(json.dumps({"text": SENTENCES["train"][0][0]}) + "\n")
    assert recipe.main(arguments(world)) == 2
    assert "missing-last.csv: " in capsys.readouterr().err
    assert (folder / "prepared" / "missing-last.csv").is_file()
    (folder / "texts.jsonl").write_text(whole)
    assert recipe.main(arguments(world)) == 0
