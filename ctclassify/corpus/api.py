"""``ctclassify.tag_corpus``: from what a caller names to a finished run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ctclassify.classifier import SentenceClassifier, load
from ctclassify.corpus.columns import ReadOptions, say_nothing
from ctclassify.corpus.compression import require_pyarrow
from ctclassify.corpus.discover import KINDS, InputFile, find_inputs
from ctclassify.corpus.formats import OUTPUT_FORMATS
from ctclassify.corpus.progress import ProgressReport
from ctclassify.corpus.ray_engine import RayOptions, require_ray, tag_on_ray
from ctclassify.corpus.reading import check_first_table, check_installed
from ctclassify.corpus.run import Job, run_job, stamp_of, tag_locally
from ctclassify.corpus.settings import make_settings
from ctclassify.corpus.tagging import ArticleTagger
from ctclassify.errors import CorpusError
from ctclassify.thresholds import Thresholds

__all__ = ["PART_ARTICLES", "tag_corpus"]

PART_ARTICLES = 1000
"""Items of a part: what a stop costs at most."""


def tag_corpus(
    inputs: Sequence[str | Path] | str | Path,
    out: str | Path,
    *,
    model: str | Path | None = None,
    engine: str = "auto",
    classifier: SentenceClassifier | ArticleTagger | None = None,
    thresholds: Thresholds = None,
    input_format: str | None = None,
    text_column: str | None = None,
    id_column: str | None = None,
    date_column: str | None = None,
    source_column: str | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    output_format: str = "parquet",
    with_text: bool = True,
    part_articles: int = PART_ARTICLES,
    strict: bool = False,
    ray_address: str | None = None,
    ray_actors: int | None = None,
    ray_engine: str = "auto",
    report: ProgressReport | None = None,
    say: Callable[[str], None] = say_nothing,
) -> dict[str, Any]:
    r"""Tag every sentence of a corpus, into a folder; the same call goes on where an earlier one was stopped.

    Parameters
    ----------
    inputs : sequence of str or pathlib.Path, or one of them
        Files (JSON lines, CSV, TSV, Parquet, Arrow, plain text, HTML, each also as gz, zst, xz or bz2), globs, folders,
        and folders that the ``datasets`` library saved. Read in this order, a folder's files sorted by path.
    out : str or pathlib.Path
        The run's folder, new, empty, or that of the same run.
    model, engine
        As for :func:`ctclassify.load`; ``ray`` as an engine runs copies of the model as actors of Ray Data.
    classifier : SentenceClassifier or None
        A loaded model, in the place of ``model`` and ``engine``.
    thresholds : None, float, str, or mapping of str to float
        As for :meth:`ctclassify.SentenceClassifier.predict`.
    input_format : str or None
        ``jsonl``, ``csv``, ``tsv``, ``parquet``, ``arrow``, ``text`` or ``html``; None tells it from each name.
    text_column, id_column, date_column, source_column : str or None
        Columns of tables; None guesses them by name and tells ``say``; ``-`` says that there is none. Without ids they
        are made of file and row.
    encoding : str
        Of JSON lines, CSV and plain text.
    delimiter : str or None
        Between fields of CSV; None is a comma, or a tab for TSV. ``\t`` in two characters is a tab.
    output_format : str
        ``parquet``, ``jsonl`` or ``csv``.
    with_text : bool
        Whether the sentences' text is written.
    part_articles : int
        Items of a part, at least 1. A part is computed and written on its own; a stop costs the part under way.
    strict : bool
        Stop at the first item that is rejected.
    ray_address : str or None
        Of a Ray cluster; None starts one here. The inputs and a model's folder must lie on each of its machines.
    ray_actors : int or None
        Copies of the model, each on one CPU; None is one for each CPU of the cluster.
    ray_engine : str
        What runs the model in an actor, as ``engine`` for :func:`ctclassify.load`.
    report : callable or None
        Gets a :class:`ctclassify.corpus.progress.Progress` after each part and at the end.
    say : callable
        Gets messages for a person: columns that were guessed, that a run goes on.

    Returns
    -------
    dict
        The manifest, as ``manifest.json`` holds it: settings, checksums, counts. What was rejected stands in
        ``rejected.jsonl``, and ``counts`` says how many: it is no error unless ``strict``.

    Raises
    ------
    CorpusError
        If the run cannot begin: an input or a column is not there, a library is not installed, an option is wrong.
    RunFolderError
        If the folder is in use, altered, or of a run of other settings or inputs; it names the difference.
    RejectedInputError
        If ``strict`` and something is rejected. What was committed before stays.
    ModelFolderError, EngineError, LabelError
        As for :func:`ctclassify.load` and :meth:`ctclassify.SentenceClassifier.predict`.
    OSError
        If the output cannot be written. The same call goes on from there once it can.
    """
    encoding = "utf-8" if encoding.lower().replace("_", "-") == "utf-8-sig" else encoding  # a mark is dropped anyway
    _check_choices(input_format, output_format, part_articles, delimiter)
    named = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    options = ReadOptions(
        text_column=text_column,
        id_column=id_column,
        date_column=date_column,
        source_column=source_column,
        encoding=encoding,
        delimiter="\t" if delimiter == "\\t" else delimiter,
        say=_once(say),
    )
    files = _inputs(named, Path(out), input_format)
    check_installed(files)
    _check_encoding(encoding, files)
    check_first_table(files, options)
    if engine == "ray" and model is not None:
        model = Path(model).absolute()  # an actor may run in another folder
    load_model = partial(_load, model, ray_engine if engine == "ray" else engine, classifier)
    if classifier is None:
        if engine == "ray":
            require_ray()
        classifier = load_model()
    elif model is not None or engine not in ("auto", "ray"):
        raise CorpusError("give a classifier, or a model and an engine, not both")
    stamps = tuple(map(stamp_of, files))
    settings = make_settings(
        classifier,
        thresholds,
        files,
        options,
        output_format=output_format,
        with_text=with_text,
        part_articles=part_articles,
    )
    ray_options = RayOptions(address=ray_address, n_actors=ray_actors, load=load_model)
    job = Job(
        classifier=classifier,
        files=files,
        options=options,
        settings=settings,
        stamps=stamps,
        strict=strict,
        tag_parts=tag_on_ray(ray_options) if engine == "ray" else tag_locally,
        report=report,
        say=say,
    )
    return run_job(job, Path(out))


def _load(model: str | Path | None, engine: str, classifier: ArticleTagger | None) -> ArticleTagger:
    """Return the given classifier, or load one: here, or in an actor."""
    return classifier if classifier is not None else load(model, engine=engine)


def _check_choices(input_format: str | None, output_format: str, part_articles: int, delimiter: str | None) -> None:
    """Refuse options that cannot be."""
    if input_format is not None and input_format not in KINDS:
        raise CorpusError(f"input_format is {input_format!r}; expected one of {', '.join(KINDS)}")
    if output_format not in OUTPUT_FORMATS:
        raise CorpusError(f"output_format is {output_format!r}; expected one of {', '.join(OUTPUT_FORMATS)}")
    if isinstance(part_articles, bool) or not isinstance(part_articles, int) or part_articles < 1:
        raise CorpusError(f"part_articles is {part_articles!r}; expected a whole number from 1 on")
    if delimiter not in (None, "\\t") and (len(delimiter) != 1 or delimiter in '\r\n"'):
        raise CorpusError(f"delimiter is {delimiter!r}; expected one character that is no quote and no new line")
    if output_format == "parquet":
        require_pyarrow("output_format 'parquet'")


def _check_encoding(encoding: str, files: Sequence[InputFile]) -> None:
    """Refuse an encoding that Python does not know, or in which an input cannot be read line by line."""
    try:
        is_linewise = "\n".encode(encoding) == b"\n"
    except (LookupError, UnicodeError) as error:
        raise CorpusError(f"unknown encoding {encoding!r}") from error
    by_lines = [file.name for file in files if file.kind in ("jsonl", "csv", "tsv")]
    if by_lines and not is_linewise:
        raise CorpusError(f"{by_lines[0]}: cannot be read line by line in encoding {encoding!r}; convert it to UTF-8")


def _inputs(named: Sequence[str | Path], out: Path, input_format: str | None) -> list[InputFile]:
    """Return the inputs; the run's own folder must lie outside them."""
    folder = Path(os.path.realpath(out))
    # A shell's own glob names the run's folder beside the inputs once it is there.
    others = [each for each in named if os.path.realpath(each) != str(folder)]
    try:
        for each in others or named:
            if Path(each).is_dir() and folder.is_relative_to(os.path.realpath(each)):
                raise CorpusError(f"{out}: lies inside the input {each}; name a folder outside it")
        files = find_inputs(others or named, input_format=input_format, out=folder)
    except OSError as error:
        raise CorpusError(f"an input cannot be read: {error}") from error
    for file in files:
        if Path(os.path.realpath(file.path)).is_relative_to(folder):
            raise CorpusError(f"{file.name}: lies inside the output folder {out}; name another folder")
    return files


def _once(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return a function that hands on a message about a file, and not the same again about each further file."""
    said: set[str] = set()

    def say_once(message: str) -> None:
        _, _, what = message.partition(": ")
        if what not in said:
            said.add(what)
            say(message)

    return say_once
