"""Run a corpus from its beginning, or from where an earlier start of the same run stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from ctclassify.article import Article
from ctclassify.corpus.columns import ReadOptions
from ctclassify.corpus.counts import count_part
from ctclassify.corpus.discover import InputFile
from ctclassify.corpus.index import CorpusIndex
from ctclassify.corpus.manifest import make_manifest
from ctclassify.corpus.progress import Progress, ProgressReport
from ctclassify.corpus.queueing import read_ahead
from ctclassify.corpus.reading import Part, Place, read_parts
from ctclassify.corpus.records import OWN_IDS, Record, Rejection
from ctclassify.corpus.run_folder import RunFolder
from ctclassify.corpus.settings import machine
from ctclassify.corpus.tables import Copy, tables_of
from ctclassify.corpus.tagging import ArticleTagger, tag_texts
from ctclassify.errors import CorpusError, RejectedInputError
from ctclassify.splitting import split_sentences

__all__ = ["Job", "TagParts", "TaggedPart", "run_job", "stamp_of", "tag_locally"]

_PARTS_AHEAD = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class TaggedPart:
    """A part that is computed.

    Attributes
    ----------
    part : Part
        As it was read.
    articles : list of Article
        One for each of its records, in order.
    machine : dict
        What computed it, see :func:`ctclassify.corpus.settings.machine`.
    """

    part: Part
    articles: list[Article]
    machine: dict[str, Any]


TagParts: TypeAlias = Callable[["Job", Place, int], AbstractContextManager[Iterator[TaggedPart]]]
"""From a place in the corpus and the number of the part that begins there to that part and all later ones, tagged."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run over a corpus.

    Attributes
    ----------
    classifier : ArticleTagger
        The model.
    files : sequence of InputFile
        The inputs.
    options : ReadOptions
        How they are read.
    settings : dict
        What the output depends on, see :func:`ctclassify.corpus.settings.make_settings`.
    stamps : tuple of (int, int)
        Size and time of change of each input before its checksum was taken.
    strict : bool
        Stop at the first item that is rejected.
    tag_parts : TagParts
        What computes.
    report : callable or None
        Gets the progress after each part.
    say : callable
        Gets messages for a person.
    """

    classifier: ArticleTagger
    files: Sequence[InputFile]
    options: ReadOptions
    settings: dict[str, Any]
    stamps: tuple[tuple[int, int], ...]
    strict: bool
    tag_parts: TagParts
    report: ProgressReport | None
    say: Callable[[str], None]

    @property
    def sizes(self) -> list[int]:
        """Bytes of each input, 0 where it cannot be read."""
        return [int(each["bytes"] or 0) for each in self.settings["inputs"]]

    def parts(self, start: Place, first_number: int) -> Iterator[Part]:
        """Return the parts of the corpus from a place on."""
        return read_parts(
            self.files,
            self.options,
            part_articles=self.settings["output"]["part_articles"],
            start=start,
            first_number=first_number,
            sizes=self.sizes,
        )


@contextmanager
def tag_locally(job: Job, start: Place, first_number: int) -> Iterator[Iterator[TaggedPart]]:
    """Yield the tagged parts, computed in this thread while another reads ahead."""
    with read_ahead(job.parts(start, first_number), n_ahead=_PARTS_AHEAD) as parts:
        here = machine(job.classifier)

        def tagged() -> Iterator[TaggedPart]:
            for part in parts:
                if job.strict:
                    _stop_at([item for item in part.items if isinstance(item, Rejection)])
                texts = [record.text for record in part.records]
                articles = tag_texts(job.classifier, texts, job.settings["thresholds"])
                yield TaggedPart(part=part, articles=articles, machine=here)

        yield tagged()


def _stop_at(rejections: Sequence[Rejection]) -> None:
    """Raise for the first of the rejections."""
    for found in rejections:
        where = found.file if found.row is None else f"{found.file}, row {found.row}"
        raise RejectedInputError(
            f"{where}: {found.reason}: {found.detail}; mend it and begin in an empty folder, or go on without --strict",
            file=found.file,
            row=found.row,
            reason=found.reason,
        )


@dataclass(kw_only=True)
class _State:
    """What a run keeps while it goes on."""

    job: Job
    folder: RunFolder
    index: CorpusIndex
    commits: list[dict[str, Any]]
    started: float = field(default_factory=time.monotonic)
    sums: dict[str, int] = field(default_factory=dict)
    at_start: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        names = ("n_articles", "n_sentences", "n_rejected")
        self.sums = {name: sum(each[name] for each in self.commits) for name in names}
        self.at_start = (self.sums["n_articles"], self.bytes_read)

    @property
    def place(self) -> Place:
        """Where the next part begins."""
        return Place(**self.commits[-1]["end"]) if self.commits else Place()

    @property
    def bytes_read(self) -> int:
        """Bytes of the inputs up to the last committed part."""
        return int(self.commits[-1]["bytes_read"]) if self.commits else 0

    def progress(self, *, is_finished: bool = False) -> Progress:
        """Return how far the run is."""
        seconds = time.monotonic() - self.started
        n_bytes = sum(self.job.sizes)
        read = n_bytes if is_finished else min(self.bytes_read, n_bytes)
        newly_read = read - self.at_start[1]
        n_articles = self.sums["n_articles"] - self.at_start[0]
        return Progress(
            **self.sums,
            n_parts=len(self.commits),
            bytes_read=read,
            n_bytes=n_bytes,
            seconds=seconds,
            articles_per_second=n_articles / seconds if seconds > 0 else 0.0,
            seconds_left=(n_bytes - read) * seconds / newly_read if newly_read > 0 else None,
            is_finished=is_finished,
        )


def run_job(job: Job, out: Path) -> dict[str, Any]:
    """Run a job to its end.

    Parameters
    ----------
    job : Job
        The job.
    out : pathlib.Path
        The run's folder. Where an earlier start of the same run stopped, this one goes on; where it finished, nothing
        is done.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    RunFolderError
        If the folder cannot be used, or an input changed meanwhile.
    RejectedInputError
        If the job is strict and something is rejected.
    OSError
        If the output cannot be written: a full disk, for one. What is committed stays, and the run can go on.
    """
    with RunFolder(out) as folder:
        folder.adopt(job.settings)
        commits = folder.commits()
        finished = folder.manifest()
        if finished is not None:
            folder.index_path.unlink(missing_ok=True)
            job.say(f"{out}: the run is finished already; nothing is left to do")
            return finished
        folder.clean(len(commits), commits[-1]["rejected_bytes"] if commits else 0, job.settings["output"]["format"])
        folder.log("start", parts=len(commits), **machine(job.classifier))
        if commits:
            job.say(f"{out}: goes on after part {len(commits)}, {sum(c['n_articles'] for c in commits)} articles in")
        with _open_index(job, folder, len(commits)) as index:
            state = _State(job=job, folder=folder, index=index, commits=commits)
            _tag_all(state)
        manifest = make_manifest(out, job.settings, state.commits)
        folder.finish(manifest)
        folder.log("finish", seconds=round(time.monotonic() - state.started, 3))
        if job.report is not None:
            job.report(state.progress(is_finished=True))
        return manifest


def _say_other_machine(job: Job, commit: dict[str, Any], now: dict[str, Any]) -> None:
    """Say where the rest of a run is computed on another processor than its beginning."""
    if commit["machine"] != now:
        job.say(
            f"begun on {commit['machine']}, going on on {now}: probabilities may differ in their last digits "
            "from those of a run on one processor"
        )


def _open_index(job: Job, folder: RunFolder, n_parts: int) -> CorpusIndex:
    """Open the index at a number of parts; read the inputs again where it was lost."""
    try:
        index = CorpusIndex(folder.index_path)
        if index.n_parts >= n_parts:
            index.roll_back_to(n_parts)
            return index
        index.close()
    except CorpusError:
        pass
    folder.index_path.unlink(missing_ok=True)
    job.say("the run's index is lost; reading what was done to make it anew")
    index = CorpusIndex(folder.index_path)
    for part in job.parts(Place(), 0):
        if part.number >= n_parts:
            break
        for record in part.records:
            if index.claim_id(record, part.number) is None:
                index.find_copy(record, [record.text[a:b] for a, b in split_sentences(record.text)], part.number)
        index.finish_part(part.number)
    return index


def _tag_all(state: _State) -> None:
    """Tag and commit every part that is left: a part is written while the next is computed."""
    job, last = state.job, state.commits[-1] if state.commits else None
    with (
        job.tag_parts(job, state.place, len(state.commits)) as tagged,
        ThreadPoolExecutor(max_workers=1, thread_name_prefix="ctclassify-write") as writer,
    ):
        pending: Future[None] | None = None
        try:
            for done in tagged:
                if last is not None:
                    _say_other_machine(job, last, done.machine)
                    last = None
                previous, pending = pending, None
                _finish_commit(state, previous)
                pending = writer.submit(_commit, state, done)
        finally:
            # After an error too: what went wrong with an earlier part is what to tell.
            _finish_commit(state, pending)
    if not state.commits:  # a run without an item still has its two tables, without rows
        nothing = Part(number=0, items=(), files=(), end=Place(), bytes_read=0)
        _commit(state, TaggedPart(part=nothing, articles=[], machine=machine(job.classifier)))
    for file, stamp in zip(job.files, job.stamps, strict=True):
        if stamp_of(file) != stamp:
            raise CorpusError(f"{file.name}: changed while it was read; begin again in an empty folder")


def _finish_commit(state: _State, pending: Future[None] | None) -> None:
    """Wait until a part is committed, or raise what kept it from that; then report."""
    if pending is None:
        return
    pending.result()
    if state.job.report is not None:
        state.job.report(state.progress())


def stamp_of(file: InputFile) -> tuple[int, int]:
    """Return size and time of change (ns) of an input; -1 where it is not there."""
    try:
        status = file.path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _commit(state: _State, done: TaggedPart) -> None:
    """Write one part so that it either counts or leaves no trace."""
    job, folder, index, part = state.job, state.folder, state.index, done.part
    began = time.monotonic()
    kept, tagged, copies, rejections = _sort_out(index, part, done.articles)
    if job.strict:
        _stop_at(rejections)
    output = job.settings["output"]
    tables = tables_of(kept, tagged, copies, job.settings["label_names"], with_text=output["with_text"])
    # The order matters: the record comes last, and what a stop leaves of the steps before it is taken back at the next
    # start.
    files = folder.write_tables(part.number, tables, job.settings)
    rejected_bytes = folder.append_rejections(rejections)
    index.finish_part(part.number)
    record = {
        "part": part.number,
        "end": {"file": part.end.file, "item": part.end.item},
        "bytes_read": part.bytes_read,
        "rejected_bytes": rejected_bytes,
        "machine": done.machine,
        "files": files,
        **count_part(part, kept, tagged, copies, rejections),
    }
    folder.commit(part.number, record)
    state.commits.append(record)
    for name in state.sums:
        state.sums[name] += record[name]
    folder.log("part", part=part.number, write_seconds=round(time.monotonic() - began, 3), **state.sums)


def _sort_out(
    index: CorpusIndex, part: Part, articles: Sequence[Article]
) -> tuple[list[Record], list[Article], list[Copy | None], list[Rejection]]:
    """Return what of a part is kept, tagged, a copy of what, and what is rejected, repeated ids among it."""
    kept: list[Record] = []
    tagged: list[Article] = []
    copies: list[Copy | None] = []
    rejections: list[Rejection] = []
    of_records = iter(articles)
    for item in part.items:
        if isinstance(item, Rejection):
            rejections.append(item)
            continue
        article = next(of_records)
        taken_by = index.claim_id(item, part.number)
        if taken_by is not None:
            detail = f"the id {item.article_id!r:.80} is that of {taken_by}; {OWN_IDS}"
            rejections.append(Rejection(file=item.file, row=item.row, reason="duplicate_id", detail=detail))
            continue
        kept.append(item)
        tagged.append(article)
        copies.append(index.find_copy(item, [sentence.text for sentence in article.sentences], part.number))
    return kept, tagged, copies, rejections
