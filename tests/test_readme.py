"""The README's snippets run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from training import evaluate, finetune
from training.config import load_config
from training.data import read_labelled

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the README's code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.model
@pytest.mark.parametrize("block", blocks("python"), ids=range(len(blocks("python"))))
def test_python_blocks_run_and_print_what_they_say(block, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    block = block.replace('open("examples/article.txt", encoding="utf-8").read()', "example")
    namespace = {"example": (ROOT / "examples" / "article.txt").read_text(encoding="utf-8")}
    lines = block.splitlines()
    for number, line in enumerate(lines[1:], start=1):
        if line.startswith("# ") and lines[number - 1].startswith("clf."):
            exec("\n".join(lines[: number - 1]), namespace)
            assert repr(eval(lines[number - 1], namespace)) == line.removeprefix("# ")
    exec(block, namespace)
    assert "attack" in capsys.readouterr().out


COMMANDS = [line.split("  #")[0] for block in blocks("sh") for line in block.splitlines()]


@pytest.mark.model
@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("ctclassify ")])
def test_commands_run(command):
    arguments = shlex.split(command)[1:]
    done = subprocess.run([sys.executable, "-m", "ctclassify", *arguments], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_scripts_named_are_there():
    named = re.findall(r"\./scripts/[\w-]+|training/[\w/]+\.(?:py|toml|md)", README)
    assert {"./scripts/tag", "./scripts/test"} <= set(named)
    assert all((ROOT / name).exists() for name in named)


def test_training_on_own_labels_as_shown(tmp_path, tiny_folder, monkeypatch):
    (config,) = blocks("toml")
    (tmp_path / "mine.toml").write_text(config.replace('"all-MiniLM-L6-v2"', f'"{tiny_folder}"'))
    (rows,) = blocks("json")
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.jsonl").write_text(rows * 8)
    settings = load_config(tmp_path / "mine.toml")
    assert read_labelled(settings.data.train, settings.data.label_names).texts[:2] == (
        "Two men opened fire on the convoy.",
        "The court met.",
    )
    monkeypatch.setattr(finetune, "RUNS", tmp_path / "training" / "runs")
    commands = [line for line in COMMANDS if line.startswith("python training/")]
    scripts = {"finetune": finetune.main, "evaluate": evaluate.main}
    monkeypatch.chdir(tmp_path)
    for command in commands:
        script, *arguments = shlex.split(command)[1:]
        assert scripts[Path(script).stem](arguments) == 0
    assert len(commands) == 2
