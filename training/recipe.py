r"""From data to the shipped model in one command, which goes on where it was stopped.

    python training/recipe.py --text FOLDER_OR_FILE [...] --encoder FOLDER

``--text`` names the corpus's texts (JSON lines, see training/data/README.md): the annotated sentences are found in
them, and their other sentences are taught to the student by the teacher. ``--encoder`` is the folder of
all-mpnet-base-v2. Steps, each left alone where it is done:

1. join labels and texts;
2. fine-tune the teachers (configs/teacher.toml, one a seed), and a small model on the labels alone
   (configs/minilm.toml), which spares them most sentences in which it finds nothing;
3. write the teachers' probabilities, and those of sentences with other nationalities and religions; fine-tune the
   student on them (configs/student.toml);
4. write the teachers' probabilities of the sentences that were spared, and of parts of all; teach the student on with
   them (configs/student-more.toml);
5. teach the teachers on with the project's further articles (configs/teacher-more.toml), write the mean of their
   former and new probabilities, and teach the student on with it (configs/student-wide.toml);
6. average the student's weights before and after that;
7. write the probabilities of a third set of articles, teach the average on with it (configs/student-further.toml), and
   average again;
8. learn the ranges that int8 needs;
9. score all on the validation data. Nothing touches the test split: score it once, with evaluate.py, when a model is
   chosen.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from transformers.utils.logging import disable_progress_bar

from ctclassify.engines.selection import ENGINE_NAMES
from ctclassify.errors import CTClassifyError, DataError
from ctclassify.model_folder import INT8_RANGES
from training import average_models, cut_clauses, evaluate, finetune, prepare_data, quantize, soft_label, swap_names
from training.config import TrainingConfig, load_config
from training.files import read_json_object
from training.once import train_once

HERE = Path(__file__).resolve().parent
PREPARED = HERE / "data" / "prepared"
PROJECT = HERE / "data" / "project"
_SHARE_OF_WIDE = 0.75
"""Weight of the last stage: of 0, 0.25, 0.5, 0.75 and 1 the best micro average precision on the corpus's validation
data, and 0.1 points behind 1 on the articles'."""
_SHARE_OF_FURTHER = 0.5
"""The same of the stage after it: of 0, 0.5, 0.75 and 1 the best macro average precision on the corpus's, 0.2 points of
micro behind 0.75 on the articles'."""
_MOST_MISSING = 0.05
"""Share of the corpus's sentences that may be missing: the public texts lack under 1%."""


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, nargs="+", required=True, help="folders or files, .jsonl or .jsonl.gz")
    parser.add_argument("--encoder", type=Path, required=True, help="the folder of all-mpnet-base-v2")
    parser.add_argument("--teacher-seeds", type=int, nargs="+", default=[13], help="one teacher a seed; averaged")
    parser.add_argument(
        "--engine", choices=ENGINE_NAMES, default="auto", help="runs the teachers; torch-cpu-bf16 where there is no GPU"
    )
    parser.add_argument("--teacher-config", type=Path, default=HERE / "configs" / "teacher.toml")
    parser.add_argument("--screen-config", type=Path, default=HERE / "configs" / "minilm.toml")
    parser.add_argument("--student-config", type=Path, default=HERE / "configs" / "student.toml")
    parser.add_argument("--more-config", type=Path, default=HERE / "configs" / "student-more.toml")
    parser.add_argument("--teacher-more-config", type=Path, default=HERE / "configs" / "teacher-more.toml")
    parser.add_argument("--wide-config", type=Path, default=HERE / "configs" / "student-wide.toml")
    parser.add_argument("--further-config", type=Path, default=HERE / "configs" / "student-further.toml")
    args = parser.parse_args(argv)
    disable_progress_bar()
    try:
        _prepare(args.text)
        teachers = [_teacher(args.teacher_config, args.encoder, seed) for seed in args.teacher_seeds]
        screen = _train(load_config(args.screen_config))
        answers = _Answers(args.text, teachers, args.engine)
        soft, *swapped = _soft_files(args.student_config, "one for soft_label.py, one for swap_names.py", at_least=1)
        answers.write(soft, "--screen", str(screen / "model"))
        for output in swapped:
            _step(swap_names.main(["--soft", str(soft), "--output", str(output)]), "swap_names.py")
        student = _train(load_config(args.student_config))
        _more_soft_labels(answers, args.more_config)
        taught_on = _train(_with_base(load_config(args.more_config), student / "model"))
        teachers_more = [
            _teacher(args.teacher_more_config, teacher / "model", seed)
            for teacher, seed in zip(teachers, args.teacher_seeds, strict=True)
        ]
        wide_soft, *_ = _soft_files(
            args.wide_config, "one of both teachers' answers, then student-more.toml's", at_least=3
        )
        articles = [PROJECT / f"{name}.jsonl" for name in ("train", "train-more", "train-later")]
        texts = [PREPARED / "train.jsonl", *articles, soft]
        answers_more = _Answers(args.text, [*teachers, *teachers_more], args.engine)
        answers_more.write(wide_soft, texts=texts)
        wide = _train(_with_base(load_config(args.wide_config), taught_on / "model"))
        average = _average(taught_on, wide, _SHARE_OF_WIDE)
        expected = "student-wide.toml's first, the sentences that the screen left out, the third articles'"
        further_soft = _soft_files(args.further_config, expected, at_least=3)[2]
        answers_more.write(further_soft, texts=[PROJECT / "train-further.jsonl"])
        further = _train(_with_base(load_config(args.further_config), average / "model"))
        last = _average(average, further, _SHARE_OF_FURTHER)
        _ranges(last, [*texts, PROJECT / "train-further.jsonl"])
        for model in (*teachers, *teachers_more, screen, student, taught_on, wide, average, further, last):
            _score(model)
    except (CTClassifyError, OSError) as error:
        print(f"recipe: {error}", file=sys.stderr)
        return 2
    print(f"done: {last / 'model'}")
    return 0


def _step(code: int, what: str) -> None:
    """Stop where a script has failed; it has said why."""
    if code:
        raise DataError(f"{what} failed with exit code {code}, see above; then start the same command again", path=HERE)


def _prepare(texts: Sequence[Path]) -> None:
    """Join labels and texts, unless that is done."""
    missing = PREPARED / "missing.csv"  # written last
    if missing.is_file():
        print(f"{PREPARED}: made already; remove it to make it anew")
    else:
        _step(prepare_data.main(["--text", *map(str, texts), "--output", str(PREPARED)]), "prepare_data.py")
    n_missing = len(missing.read_text(encoding="utf-8").splitlines()) - 1
    n_rows = len(prepare_data.read_standoff(prepare_data.STANDOFF))
    if n_missing > _MOST_MISSING * n_rows:
        missing = missing.replace(missing.with_name("missing-last.csv"))  # or the next start would take this for done
        message = f"{n_missing} of {n_rows} sentences were not found; give the texts that training/data/README.md names"
        raise DataError(message, path=missing)


def _teacher(config_path: Path, encoder: Path, seed: int) -> Path:
    """Fine-tune a teacher from an encoder, or from a former teacher; return its run's folder."""
    config = load_config(config_path)
    model = config.model.model_copy(update={"base": str(encoder.resolve())})
    # As finetune.py --seed names it.
    return train_once(
        config.model_copy(update={"model": model, "seed": seed}), finetune.RUNS / f"{config.name}-seed{seed}"
    )


def _train(config: TrainingConfig) -> Path:
    """Fine-tune, go on, or leave alone what is finished; return the run's folder."""
    return train_once(config, finetune.RUNS / config.name)


def _with_base(config: TrainingConfig, base: Path) -> TrainingConfig:
    """Return the config with another encoder."""
    return config.model_copy(update={"model": config.model.model_copy(update={"base": str(base.resolve())})})


def _soft_files(config_path: Path, expected: str, *, at_least: int) -> tuple[Path, ...]:
    """Return the files of a config's ``[distillation]`` section: ``at_least`` of them, or one more."""
    distillation = load_config(config_path).distillation
    if distillation is None or not at_least <= len(distillation.soft) <= at_least + 1:
        raise DataError(f"expected a [distillation] section with files in this order: {expected}", path=config_path)
    return distillation.soft


class _Answers:
    """Writes the teachers' probabilities of the sentences of no validation or test document."""

    def __init__(self, texts: Sequence[Path], teachers: Sequence[Path], engine: str) -> None:
        self._texts = [PREPARED / "train.jsonl", PROJECT / "train.jsonl", *prepare_data.text_files(texts)]
        self._arguments = ["--model", *(str(teacher / "model") for teacher in teachers), "--engine", engine]

    def write(self, output: Path, *options: str, texts: Sequence[Path] | None = None) -> None:
        """Write one file, or go on with it."""
        held_out = [folder / f"{split}.jsonl" for folder in (PREPARED, PROJECT) for split in ("validation", "test")]
        arguments = [*self._arguments, "--text", *map(str, self._texts if texts is None else texts)]
        if texts is None:  # others are cut out of sentences that were held against these already
            arguments += ["--exclude", *map(str, held_out)]
        _step(soft_label.main([*arguments, "--output", str(output), *options]), "soft_label.py")


def _more_soft_labels(answers: _Answers, config_path: Path) -> None:
    """Write the probabilities of the sentences that the screen left out, and of parts of all."""
    expected = "student.toml's first, the sentences left out there, parts of sentences, student.toml's second"
    soft, rest, parts, *_ = _soft_files(config_path, expected, at_least=3)
    answers.write(rest, "--skip", str(soft))
    clauses = PREPARED / "clauses.jsonl"
    _step(cut_clauses.main(["--soft", str(soft), str(rest), "--output", str(clauses)]), "cut_clauses.py")
    answers.write(parts, texts=[clauses])


def _average(before: Path, after: Path, share: float) -> Path:
    """Save the model between two runs, unless that is done; return its folder, like a run's."""
    run = finetune.RUNS / f"{after.name}-average"
    if (run / "model" / "training.json").is_file():  # written last
        print(f"{run}: made already")
        return run
    shutil.rmtree(run, ignore_errors=True)  # a stop left part of it
    data = [str(folder / "validation.jsonl") for folder in (PREPARED, PROJECT)]
    arguments = ["--model", str(before / "model"), str(after / "model"), "--data", *data]
    arguments += ["--share", str(share), "--output", str(run / "model")]
    _step(average_models.main(arguments), "average_models.py")
    return run


def _ranges(run: Path, texts: Sequence[Path]) -> None:
    """Learn the ranges for int8, unless that is done."""
    if (run / "model" / INT8_RANGES).is_file():
        print(f"{run / 'model' / INT8_RANGES}: made already")
        return
    arguments = ["--model", str(run / "model"), "--text", *map(str, texts)]
    _step(quantize.main(arguments), "quantize.py")


def _score(run: Path) -> None:
    """Score a run on the two validation sets, apart."""
    for name, folder in (("validation", PREPARED), ("project_validation", PROJECT)):
        output = run / "metrics.json"
        report = read_json_object(output) if output.exists() else {}
        if name not in report:
            arguments = ["--model", str(run / "model"), "--data", str(folder / "validation.jsonl"), "--name", name]
            _step(evaluate.main([*arguments, "--output", str(output)]), "evaluate.py")


if __name__ == "__main__":
    sys.exit(main())
