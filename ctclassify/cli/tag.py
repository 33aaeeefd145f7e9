"""``ctclassify tag``: inputs read one by one, articles streamed, one writer a format."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import click

from ctclassify.classifier import SentenceClassifier, load
from ctclassify.cli.controls import escape_controls
from ctclassify.cli.output import open_output
from ctclassify.cli.view import TextWriter
from ctclassify.cli.writers import ArticleWriter, CsvWriter, JsonlWriter, JsonWriter, Selection
from ctclassify.corpus.discover import name_tells
from ctclassify.corpus.files import name_of
from ctclassify.errors import InputTextError, LabelError

__all__ = ["TagOptions", "tag_files"]


@dataclass(frozen=True, kw_only=True)
class TagOptions:
    """Options of ``ctclassify tag``, as its help describes them."""

    output_format: str
    labels: str | None
    thresholds: str | float | None
    only_tagged: bool
    only_review: bool
    output: Path | None
    encoding: str
    color: str
    model: Path | None
    engine: str


def tag_files(inputs: Sequence[str], options: TagOptions) -> int:
    """Tag each input and write the result.

    Returns
    -------
    int
        How many inputs could not be read; each was named on standard error.
    """
    _check_encoding(options.encoding)
    _check_inputs(inputs, options.output)
    classifier = load(options.model, engine=options.engine)
    if options.only_review and classifier.folder.review is None:
        raise click.UsageError("--only-review: this model has no review band; training/calibrate.py stores one")
    selection = Selection(
        labels=_shown_labels(options.labels, classifier),
        only_tagged=options.only_tagged,
        only_review=options.only_review,
    )
    names: deque[str] = deque()
    failures: list[str] = []
    texts = _read_inputs(inputs, options.encoding, names, failures)
    articles = classifier.predict_stream(texts, thresholds=options.thresholds)  # refuses thresholds before any output
    with open_output(options.output) as stream:
        writer = _make_writer(stream, classifier, selection, options, failures)
        for article in articles:
            writer.write(names.popleft(), article)
        writer.close()
        if options.output is not None and len(failures) == len(inputs):
            raise InputTextError(f"no input could be read; {options.output} stays as it was")
    return len(failures)


def _check_inputs(inputs: Sequence[str], output: Path | None) -> None:
    """Refuse standard input named twice, and an output that is an input."""
    if list(inputs).count("-") > 1:
        raise click.UsageError("'-' is named more than once; standard input is one article")
    for name in inputs:
        if output is not None and name != "-" and _is_same_file(Path(name), output):
            raise click.UsageError(f"--output {output} is one of the inputs; name another file")


def _is_same_file(first: Path, second: Path) -> bool:
    """Return whether two paths lead to one regular file."""
    try:
        return first.is_file() and first.samefile(second)
    except OSError:
        return False


def _check_encoding(encoding: str) -> None:
    """Refuse an encoding that Python does not know."""
    try:
        "".encode(encoding)
    except (LookupError, UnicodeError) as error:
        raise click.BadParameter(f"unknown encoding {encoding!r}", param_hint="--encoding") from error


def _shown_labels(labels: str | None, classifier: SentenceClassifier) -> tuple[str, ...]:
    """Return the labels to report, in the model's order."""
    if labels is None:
        return classifier.label_names
    wanted = [name.strip() for name in labels.split(",") if name.strip()]
    for name in wanted:
        if name not in classifier.label_names:
            known = ", ".join(classifier.label_names)
            raise LabelError(f"--labels: unknown label {name!r}; known labels: {known}")
    if not wanted:
        raise LabelError("--labels: no label given; write ids with commas between them, such as attack,casualties")
    return tuple(name for name in classifier.label_names if name in wanted)


def _read_inputs(inputs: Sequence[str], encoding: str, names: deque[str], failures: list[str]) -> Iterator[str]:
    """Yield the text of each input that can be read; append its name to ``names``, or to ``failures``."""
    for name in inputs:
        try:
            text = _read_text(name, encoding)
        except InputTextError as error:
            failures.append(name_of(name))
            click.echo("ctclassify: " + escape_controls(str(error)), err=True)
            continue
        names.append(name_of(name))
        yield text


def _read_text(name: str, encoding: str) -> str:
    """Return the text of a file or of standard input, newlines as they are so that offsets fit the file."""
    raw = _read_bytes(name)
    # A byte order mark is no part of the text.
    codec = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
    try:
        return raw.decode(codec)
    except UnicodeError as error:
        fault = str(error)
        if isinstance(error, UnicodeDecodeError) and error.start < len(raw):
            fault = f"byte 0x{raw[error.start]:02x} at offset {error.start}"
        raise InputTextError(
            f"{name}: not {encoding} text: {fault}; convert the file, or name its encoding with --encoding"
        ) from error


def _read_bytes(name: str) -> bytes:
    """Return the bytes of a file or of standard input; refuse what is no plain text by its name."""
    kind, compression = name_tells(Path(name))
    if kind not in (None, "text") or compression is not None:
        raise InputTextError(
            f"{name}: by its name this is {compression or kind}, and 'tag' reads plain text: use "
            "'ctclassify tag-corpus', or give the text on standard input, as '-'"
        )
    if name == "-" and sys.stdin is None:
        raise InputTextError("standard input is closed; name a file")
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except IsADirectoryError as error:
        raise InputTextError(f"{name}: is a folder; name its files") from error
    except OSError as error:
        raise InputTextError(f"{name}: cannot be read: {error.strerror or error}") from error


def _make_writer(
    stream: TextIO,
    classifier: SentenceClassifier,
    selection: Selection,
    options: TagOptions,
    failures: list[str],
) -> ArticleWriter:
    """Return the writer of the chosen format."""
    if options.output_format == "jsonl":
        return JsonlWriter(stream, selection)
    if options.output_format == "csv":
        return CsvWriter(stream, selection)
    if options.output_format == "json":
        return JsonWriter(
            stream,
            selection,
            provenance=_provenance(classifier, selection, options),
            failures=failures,
        )
    return TextWriter(stream, selection, color=options.color)


def _provenance(classifier: SentenceClassifier, selection: Selection, options: TagOptions) -> dict[str, Any]:
    """Return what made the output: model, engine, the thresholds that were applied, and the options."""
    record = classifier.info()
    if isinstance(options.thresholds, str):
        record["thresholds"] = classifier.threshold_sets[options.thresholds]
    elif options.thresholds is not None:
        record["thresholds"] = dict.fromkeys(classifier.label_names, options.thresholds)
    chosen = {"only_tagged": options.only_tagged, "only_review": options.only_review}
    return {**record, "labels": list(selection.labels), **chosen}
