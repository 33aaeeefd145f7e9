"""Commands, options and exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from ctclassify._version import __version__
from ctclassify.cli.controls import escape_controls
from ctclassify.cli.corpus_commands import drift, summarize, tag_corpus
from ctclassify.engines.selection import ENGINE_NAMES
from ctclassify.errors import (
    CorpusError,
    CTClassifyError,
    EngineError,
    LabelError,
    ModelFolderError,
    RejectedInputError,
    RunFolderError,
)

__all__ = ["main"]

EXIT_INPUT, EXIT_USAGE, EXIT_MODEL, EXIT_OUTPUT = 1, 2, 3, 4
EXIT_REJECTED, EXIT_REFUSED = 5, 6
_EXIT_BUG, _EXIT_INTERRUPTED, _EXIT_CLOSED_PIPE = 70, 130, 141

_EPILOG = """\b
Exit codes: 0 all inputs tagged; 1 an input could not be read (the others are tagged); 2 wrong usage;
3 the model or the engine cannot be used; 4 the output cannot be written; 70 a bug; 130 interrupted; 141 the
reader closed the pipe."""

_model_option = click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="A model folder that training/finetune.py saved: model/ in a run's folder.  [default: the shipped model]",
)
_engine_option = click.option(
    "--engine",
    type=click.Choice(ENGINE_NAMES),
    default="auto",
    show_default=True,
    help="What runs the model; auto: OpenVINO for BERT, torch for others.",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str or None
        Arguments; None takes the process's own.

    Returns
    -------
    int
        The exit code, as ``ctclassify --help`` lists them.
    """
    if sys.stdout is None:
        return _fail("standard output is closed", EXIT_OUTPUT)
    try:
        # Not click's own main(): that one answers a closed pipe itself, with exit code 1.
        with _cli.make_context("ctclassify", list(sys.argv[1:] if argv is None else argv)) as context:
            code = _cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as error:  # after --help and --version
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _EXIT_INTERRUPTED
    except BrokenPipeError:
        _give_up_stdout()
        return _EXIT_CLOSED_PIPE
    except LabelError as error:
        return _fail(error, EXIT_USAGE)
    except (ModelFolderError, EngineError) as error:
        return _fail(error, EXIT_MODEL)
    except RejectedInputError as error:
        return _fail(error, EXIT_REJECTED)
    except RunFolderError as error:
        return _fail(error, EXIT_REFUSED)
    except CorpusError as error:
        return _fail(error, EXIT_USAGE)
    except CTClassifyError as error:
        return _fail(error, EXIT_INPUT)
    except OSError as error:  # those of reading inputs and models are caught where they arise
        _give_up_stdout()
        return _fail(f"cannot write the output: {error}", EXIT_OUTPUT)
    except Exception:
        traceback.print_exc()
        return _fail("this is a bug in ctclassify; the traceback above helps to mend it", _EXIT_BUG)
    return int(code or 0)


def _give_up_stdout() -> None:
    """Let what stdout cannot take go nowhere: the interpreter flushes it once more at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _fail(error: object, code: int) -> int:
    """Print an error, return the exit code."""
    click.echo("ctclassify: " + escape_controls(str(error)), err=True)
    return code


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, message="ctclassify %(version)s")
def _cli() -> None:
    """Tag every sentence of a counterterrorism news article with what it reports."""


for _command in (tag_corpus, summarize, drift):
    _cli.add_command(_command)


@_cli.command(epilog=_EPILOG)
@click.argument("inputs", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "jsonl", "csv", "json"]),
    default="text",
    show_default=True,
    help="text: to read. jsonl, csv: one sentence a line. json: one document with provenance.",
)
@click.option(
    "--labels",
    metavar="A,B",
    multiple=True,
    help="Report these labels only; 'ctclassify labels' lists the shipped model's.",
)
@click.option(
    "--min-probability",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="Give every label from this probability on, in the place of the model's own threshold of each label.",
)
@click.option(
    "--thresholds",
    "threshold_set",
    metavar="NAME",
    help="Take one of the model's other sets of thresholds, such as f2 or precision-0.9; 'ctclassify info' lists them.",
)
@click.option("--only-tagged", is_flag=True, help="Leave out sentences without a reported label.")
@click.option(
    "--only-review",
    is_flag=True,
    help="Leave out sentences that need no review by a person, in view of all labels, reported or not.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write to this file, whole or not at all; - is standard output.",
)
@click.option("--encoding", default="utf-8", show_default=True, help="Encoding of the inputs.")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colours of the text format; auto: on a terminal, unless NO_COLOR is set.",
)
@_model_option
@_engine_option
def tag(
    inputs: tuple[str, ...],
    output_format: str,
    labels: tuple[str, ...],
    min_probability: float | None,
    threshold_set: str | None,
    only_tagged: bool,
    only_review: bool,
    output: Path | None,
    encoding: str,
    color: str,
    model: Path | None,
    engine: str,
) -> int:
    """Tag articles: each FILE is one, '-' is standard input."""
    from ctclassify.cli.tag import TagOptions, tag_files

    if min_probability is not None and threshold_set is not None:
        raise click.UsageError("--min-probability and --thresholds say the same thing twice; give one of them")
    options = TagOptions(
        output_format=output_format,
        labels=",".join(labels) if labels else None,
        thresholds=min_probability if threshold_set is None else threshold_set,
        only_tagged=only_tagged,
        only_review=only_review,
        output=output,
        encoding=encoding,
        color=color,
        model=model,
        engine=engine,
    )
    return EXIT_INPUT if tag_files(inputs, options) else 0


@_cli.command()
@click.argument("label_id", metavar="[LABEL]", required=False)
@click.option("--format", "output_format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def labels(label_id: str | None, output_format: str) -> None:
    """Show the codebook's labels, or one LABEL with its definition, examples and crosswalks."""
    from ctclassify.cli.tables import show_labels

    show_labels(label_id, as_json=output_format == "json")


@_cli.command()
@click.option("--format", "output_format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@_model_option
@_engine_option
def info(output_format: str, model: Path | None, engine: str) -> None:
    """Show model, engine, precision, versions and checksums."""
    from ctclassify.cli.tables import show_info

    show_info(model, engine, as_json=output_format == "json")


@_cli.command()
@click.option("--format", "output_format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--json", "is_json", is_flag=True, help="The same as --format json.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="How often each engine runs.")
@click.option("--record", is_flag=True, help="Write into the model folder which engines passed, for auto to go by.")
@_model_option
def bench(output_format: str, is_json: bool, rounds: int, record: bool, model: Path | None) -> None:
    """Run every engine that works here: whether it decides as float32 does (the gate), and how fast it is."""
    from ctclassify.cli.bench import show_bench

    show_bench(model, rounds=rounds, record=record, as_json=is_json or output_format == "json")
