"""The same parts on Ray Data: one task reads, a pool of actors tags, results come back in order.

Ray brings the scheduling, the back-pressure and the restart of what was killed; the function that tags a part is the
local one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from typing import Any

from ctclassify.corpus.columns import say_nothing
from ctclassify.corpus.reading import Part, Place, read_parts
from ctclassify.corpus.records import Item, Record, Rejection
from ctclassify.corpus.run import Job, TaggedPart
from ctclassify.corpus.settings import machine
from ctclassify.corpus.tagging import ArticleTagger, articles_from_json, articles_to_json, tag_texts
from ctclassify.errors import CorpusError

__all__ = ["RayOptions", "require_ray", "tag_on_ray"]

_BLOCK_BYTES = 1
"""Bytes at which Ray ends a block: one, so that each part is a block and goes to an actor on its own."""

Batch = dict[str, list[Any]]


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """Where and how Ray runs.

    Attributes
    ----------
    address : str or None
        Of a cluster; None takes the one that is connected already, or starts one here.
    n_actors : int or None
        Copies of the model; None is one for each CPU of the cluster.
    load : callable
        Makes the classifier in an actor, once.
    """

    address: str | None
    n_actors: int | None
    load: Callable[[], ArticleTagger]


def require_ray() -> None:
    """Raise if Ray Data is not installed.

    Raises
    ------
    CorpusError
        It names the extra.
    """
    if find_spec("ray") is None:
        raise CorpusError("engine 'ray' needs Ray Data; install the extra: pip install 'ctclassify[ray]'")


class _Tagger:
    """An actor: loads the model once, tags one part a call."""

    def __init__(self, load: Callable[[], ArticleTagger], thresholds: dict[str, float]) -> None:
        self._classifier = load()
        self._thresholds = thresholds

    def __call__(self, batch: Batch) -> Batch:
        tagged = []
        for packed in batch["part"]:
            texts = [record.text for record in part_from_json(packed).records]
            tagged.append(articles_to_json(tag_texts(self._classifier, texts, self._thresholds)))
        here = json.dumps(machine(self._classifier))
        return {"part": list(batch["part"]), "tagged": tagged, "machine": [here] * len(tagged)}


def tag_on_ray(options: RayOptions) -> Any:
    """Return what tags parts on Ray, to be used in the place of :func:`ctclassify.corpus.run.tag_locally`.

    Parameters
    ----------
    options : RayOptions
        Where and how.

    Notes
    -----
    The inputs must lie where every node of the cluster finds them under the same names. A killed actor is started
    again and its part computed again; a killed reader reads again from the start of this run. Parts come back in
    order and are written by this process alone, so nothing is lost or written twice.
    """

    @contextmanager
    def tag(job: Job, start: Place, first_number: int) -> Iterator[Iterator[TaggedPart]]:
        require_ray()
        import ray

        is_ours = not ray.is_initialized()
        if is_ours:
            # A cluster that is started here reports its use to Ray's makers, unless that is asked for.
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            ray.init(address=options.address, log_to_driver=False, configure_logging=False)
        try:
            yield _results(job, start, first_number, options)
        finally:
            if is_ours:
                ray.shutdown()

    return tag


def _results(job: Job, start: Place, first_number: int, options: RayOptions) -> Iterator[TaggedPart]:
    """Yield tagged parts in order."""
    import ray

    # Absolute, for a worker may run in another folder.
    files = [replace(file, path=file.path.absolute()) for file in job.files]
    known = [each["sha256"] is not None for each in job.settings["inputs"]]
    sizes, options_there = job.sizes, replace(job.options, say=say_nothing)
    part_articles = job.settings["output"]["part_articles"]

    def read(_batch: Batch) -> Iterator[Batch]:
        for file, is_known in zip(files, known, strict=True):
            if is_known and not file.path.is_file():  # a rejection would count as done
                raise CorpusError(f"{file.path}: not there on a machine of the Ray cluster; inputs must lie on each")
        for part in read_parts(
            files,
            options_there,
            part_articles=part_articles,
            start=start,
            first_number=first_number,
            sizes=sizes,
        ):
            yield {"part": [part_to_json(part)]}

    context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    context.target_max_block_size = _BLOCK_BYTES
    n_actors = options.n_actors or max(1, int(ray.cluster_resources().get("CPU", 1)))
    with ray.data.DataContext.current(context):  # the caller's own context stays as it is
        data = (
            ray.data.from_items([{"start": 0}])
            .map_batches(read, batch_size=1, num_cpus=0)  # other resources than the actors': Ray keeps the two apart
            .map_batches(
                _Tagger,
                fn_constructor_args=(options.load, job.settings["thresholds"]),
                batch_size=1,
                compute=ray.data.ActorPoolStrategy(size=n_actors),
                num_cpus=1,
            )
        )
    expected = first_number
    for row in data.iter_rows():
        part = part_from_json(row["part"])
        if part.number != expected:
            raise RuntimeError(f"Ray gave part {part.number}, part {expected} was due")
        expected += 1
        texts = [record.text for record in part.records]
        articles = articles_from_json(row["tagged"], texts, job.settings["label_names"])
        yield TaggedPart(part=part, articles=articles, machine=json.loads(row["machine"]))


def part_to_json(part: Part) -> str:
    """Return a part as JSON."""
    items = [[isinstance(item, Record), asdict(item)] for item in part.items]
    end = [part.end.file, part.end.item]
    return json.dumps([part.number, items, part.files, end, part.bytes_read])


def part_from_json(packed: str) -> Part:
    """Return the part that :func:`part_to_json` packed."""
    number, items, files, (file, item), bytes_read = json.loads(packed)
    unpacked: list[Item] = [Record(**fields) if is_record else Rejection(**fields) for is_record, fields in items]
    return Part(
        number=number,
        items=tuple(unpacked),
        files=tuple(files),
        end=Place(file=file, item=item),
        bytes_read=bytes_read,
    )
