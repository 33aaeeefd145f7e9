"""Options of the commands on whole corpora."""

from __future__ import annotations

from pathlib import Path

import click

from ctclassify.engines.selection import ENGINE_NAMES

__all__ = ["drift", "summarize", "tag_corpus"]

_EPILOG = """\b
Exit codes: 0 every item tagged; 1 finished, and some items were rejected (rejected.jsonl says which and why);
2 wrong usage, an input that is not there, no column of text; 3 the model or the engine cannot be used; 4 the
output cannot be written (a full disk: make room, run the same command); 5 --strict met an item to reject;
6 the folder is in use, altered, or of a run of other settings or inputs; 70 a bug; 130 interrupted."""


@click.command("tag-corpus", epilog=_EPILOG)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="The run's folder. The same command goes on where it was stopped.",
)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["parquet", "jsonl", "csv"]),
    default="parquet",
    show_default=True,
    help="Of the output.",
)
@click.option(
    "--input-format",
    type=click.Choice(["arrow", "csv", "html", "jsonl", "parquet", "text", "tsv"]),
    help="Of all inputs.  [default: told from each name]",
)
@click.option("--text-column", metavar="NAME", help="Column of the text.  [default: guessed by name, with a message]")
@click.option("--id-column", metavar="NAME", help="Column of the ids; '-' makes them of file and row.")
@click.option("--date-column", metavar="NAME", help="Column of the dates; '-' for none.")
@click.option("--source-column", metavar="NAME", help="Column of the sources; '-' for none.")
@click.option("--encoding", default="utf-8", show_default=True, help="Of JSON lines, CSV and plain text.")
@click.option("--delimiter", metavar="C", help="Between fields of CSV.  [default: a comma; a tab in .tsv]")
@click.option("--no-text", is_flag=True, help="Leave the sentences' text out of the output.")
@click.option(
    "--thresholds",
    metavar="NAME",
    help="One of the model's sets of thresholds, such as f2; 'ctclassify info' lists them.",
)
@click.option(
    "--min-probability",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="Give every label from this probability on, in the place of the model's thresholds.",
)
@click.option(
    "--part-articles",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Articles of a part, which is computed and written at once.",
)
@click.option("--strict", is_flag=True, help="Stop at the first item that would be rejected.")
@click.option("--quiet", is_flag=True, help="No progress and no messages; errors alone.")
@click.option("--model", type=click.Path(path_type=Path), help="A model folder.  [default: the shipped model]")
@click.option(
    "--engine",
    type=click.Choice([*ENGINE_NAMES, "ray"]),
    default="auto",
    show_default=True,
    help="What runs the model; ray: actors of Ray Data, here or on a cluster.",
)
@click.option("--ray-address", metavar="HOST:PORT", help="Of a cluster; without it, one is started here.")
@click.option("--ray-actors", type=click.IntRange(min=1), metavar="N", help="Copies of the model.  [default: 1 a CPU]")
@click.option(
    "--ray-engine",
    type=click.Choice(ENGINE_NAMES),
    default="auto",
    show_default=True,
    help="What runs the model in an actor.",
)
def tag_corpus(**options: object) -> int:
    """Tag every sentence of a corpus: files, globs and folders, into a folder of tables.

    Reads JSON lines, CSV, TSV, Parquet, Arrow, folders of the datasets library, plain text and HTML, also compressed
    (gz, zst, xz, bz2).
    """
    from ctclassify.cli.corpus import run_tag_corpus

    return run_tag_corpus(options)


@click.command()
@click.argument("run", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the CSV files and the page.")
@click.option(
    "--by", type=click.Choice(["day", "week", "month", "year"]), default="month", show_default=True, help="Periods."
)
def summarize(run: Path, out: Path, by: str) -> int:
    """Count the labels of a finished run over time, by source and together: CSV files and an HTML page."""
    from ctclassify.cli.corpus import run_summarize

    return run_summarize(run, out, by)


@click.command()
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("second", metavar="B", type=click.Path(path_type=Path))
@click.option("--format", "output_format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def drift(first: Path, second: Path, output_format: str) -> int:
    """Say whether label rates, confidence or vocabulary moved from run A to run B, with 95% intervals."""
    from ctclassify.cli.corpus import run_drift

    return run_drift(first, second, as_json=output_format == "json")
