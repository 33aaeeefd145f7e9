"""A run's folder: one writer at a time, parts whole or not there, a record of each that is committed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ctclassify.corpus.files import sync_folder, write_atomically
from ctclassify.corpus.formats import write_table
from ctclassify.corpus.records import Rejection
from ctclassify.corpus.settings import differences
from ctclassify.corpus.tables import Table, article_types, sentence_types
from ctclassify.errors import RunFolderError

try:
    import fcntl
except ImportError:  # Windows: there, nothing keeps two runs apart
    fcntl = None  # type: ignore[assignment]

__all__ = ["MANIFEST", "REJECTED", "TABLES", "RunFolder"]

MANIFEST, REJECTED, LOG = "manifest.json", "rejected.jsonl", "run.log"
TABLES = ("sentences", "articles")
_WORK = "_work"
"""What only a run under way needs; programs that read a folder of Parquet pass over names with an underscore."""

_PART_NAME = re.compile(r"part-\d{6,}\.\w+|\.part-\d{6,}\.\w+\.tmp")
_KNOWN = {MANIFEST, REJECTED, LOG, _WORK, *TABLES}


class RunFolder:
    """The folder that a run writes.

    Parameters
    ----------
    path : pathlib.Path
        The folder; made where it is not there.

    Raises
    ------
    RunFolderError
        If another process is at work in it, or it holds files of something else.
    OSError
        If it cannot be written.

    Notes
    -----
    ``sentences/`` and ``articles/`` hold the parts, ``rejected.jsonl`` what was rejected, ``manifest.json`` comes last
    of all; ``run.log`` says what happened when, and ``_work/`` holds what going on needs.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.work = path / _WORK
        self._commits = self.work / "commits"
        self._refuse_strangers()
        for folder in (path, self.work, self._commits, *(path / table for table in TABLES)):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = self._take_lock()
        try:
            self._log = (path / LOG).open("a", encoding="utf-8")
        except OSError:
            os.close(self._lock)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._log.close()  # on a full disk this fails, too
        finally:
            os.close(self._lock)

    @property
    def index_path(self) -> Path:
        """Where the run's index lies."""
        return self.work / "index.sqlite"

    def _refuse_strangers(self) -> None:
        """Refuse a folder with files that no run wrote."""
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise RunFolderError(f"{self.path}: is a file; name a folder", path=self.path)
        strangers = sorted(each.name for each in self.path.iterdir() if each.name not in _KNOWN)
        strangers = [name for name in strangers if not name.startswith(".")]
        if not (self.work / "settings.json").exists():  # without, no part has been written yet
            strangers += [f"{table}/{each.name}" for table in TABLES for each in _listed(self.path / table)]
            strangers += [REJECTED] if (self.path / REJECTED).exists() else []
        strangers += [
            f"{table}/{each.name}"
            for table in TABLES
            for each in _listed(self.path / table)
            if not (_is_part(each) or each.name.startswith("."))
        ]
        if strangers:
            raise RunFolderError(
                f"{self.path}: holds {strangers[0]!r}, which no run wrote; name a new or an empty folder",
                path=self.path,
            )

    def _take_lock(self) -> int:
        """Keep other processes out for as long as this one lives: the system lets go of the lock of a killed one."""
        handle = os.open(self.work / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        if fcntl is None:
            return handle
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise RunFolderError(
                f"{self.path}: another run is at work in it; wait for it, or name another folder", path=self.path
            ) from error
        return handle

    def log(self, event: str, **facts: Any) -> None:
        """Append an event with its time to ``run.log``, which differs from run to run."""
        self._log.write(json.dumps({"time": round(time.time(), 3), "event": event, **facts}) + "\n")
        self._log.flush()

    def adopt(self, settings: Mapping[str, Any]) -> None:
        """Write down the settings of a new run, or compare them with those of the run that lies there.

        Raises
        ------
        RunFolderError
            If they differ; it names each difference.
        """
        path = self.work / "settings.json"
        if not path.exists():
            if any(self._commits.iterdir()) or (self.path / MANIFEST).exists():
                raise RunFolderError(f"{path} is missing; name an empty folder", path=self.path)
            write_json(path, settings)
            return
        found = differences(read_json(path), settings)
        if found:
            listed = "\n  ".join(found)
            raise RunFolderError(
                f"{self.path}: holds a run of other settings or inputs:\n  {listed}\n"
                "give the same settings and inputs to go on, or name another folder",
                path=self.path,
                differences=found,
            )

    def commits(self) -> list[dict[str, Any]]:
        """Return the records of the parts that are committed, in order.

        Raises
        ------
        RunFolderError
            If a part is not as it was written, or a record is missing between others.
        """
        numbers = sorted(int(each.stem.removeprefix("part-")) for each in self._commits.glob("part-*.json"))
        if numbers != list(range(len(numbers))):
            raise RunFolderError(f"{self._commits}: a record is missing; name an empty folder", path=self.path)
        records = [read_json(self._commits / f"part-{number:06}.json") for number in numbers]
        for record in records:
            for name, written in record["files"].items():
                _check_unaltered(self.path, name, written)
        return records

    def clean(self, n_parts: int, rejected_bytes: int, output_format: str) -> None:
        """Remove what a stopped run wrote without committing it."""
        kept = {f"part-{number:06}.{output_format}" for number in range(n_parts)}
        for table in TABLES:
            for path in (self.path / table).iterdir():
                if path.name not in kept and _is_part(path):
                    path.unlink()
        for folder in (self.path, self.work, self._commits):
            for path in folder.glob(".*.tmp"):
                path.unlink()
        path = self.path / REJECTED
        size = path.stat().st_size if path.exists() else 0
        if size < rejected_bytes:
            raise RunFolderError(f"{path}: is shorter than it was written; name an empty folder", path=self.path)
        with path.open("ab") as stream:
            stream.truncate(rejected_bytes)
            os.fsync(stream.fileno())

    def write_tables(self, number: int, tables: tuple[Table, Table], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Write the two files of a part; return their sizes and checksums by name."""
        output = settings["output"]
        names = settings["label_names"]
        types = (sentence_types(names, with_text=output["with_text"]), article_types(names))
        written = {}
        for table, columns, kinds in zip(TABLES, tables, types, strict=True):
            name = f"{table}/part-{number:06}.{output['format']}"

            def write(stream: Any, columns: Table = columns, kinds: dict[str, str] = kinds) -> None:
                write_table(stream, columns, kinds, output["format"])

            written[name] = write_atomically(self.path / name, write)
        return written

    def append_rejections(self, rejections: Sequence[Rejection]) -> int:
        """Append to ``rejected.jsonl``; return how many bytes it has then."""
        with (self.path / REJECTED).open("ab") as stream:
            for rejection in rejections:
                # Escapes alone: a detail may quote what UTF-8 cannot hold.
                stream.write(json.dumps(rejection.to_dict()).encode("ascii") + b"\n")
            stream.flush()
            if rejections:
                os.fsync(stream.fileno())
            return stream.tell()

    def commit(self, number: int, record: Mapping[str, Any]) -> None:
        """Write the record that makes a part count."""
        write_json(self._commits / f"part-{number:06}.json", record)

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest: with it, the run is whole."""
        write_json(self.path / MANIFEST, manifest)
        self.index_path.unlink(missing_ok=True)
        sync_folder(self.work)

    def manifest(self) -> dict[str, Any] | None:
        """Return the manifest of a finished run; None where the run is not finished."""
        path = self.path / MANIFEST
        return read_json(path) if path.exists() else None


def _listed(folder: Path) -> list[Path]:
    """Return what a folder holds, sorted; nothing where it is none."""
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _is_part(path: Path) -> bool:
    """Return whether a run gives its files such a name; other files are somebody's, and never removed."""
    return _PART_NAME.fullmatch(path.name) is not None


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a mapping as indented JSON, whole or not at all."""
    data = (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()

    def write(stream: Any) -> None:
        stream.write(data)

    write_atomically(path, write)


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a file that a run wrote.

    Raises
    ------
    RunFolderError
        If it cannot be read.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path}: cannot be read: {error}; name an empty folder", path=path.parent) from error
    if not isinstance(value, dict):
        raise RunFolderError(f"{path}: expected an object; name an empty folder", path=path.parent)
    return value


def _check_unaltered(folder: Path, name: str, written: Mapping[str, Any]) -> None:
    """Refuse a part whose file is not the one that was written."""
    path = folder / name
    try:
        with path.open("rb") as stream:
            is_same = hashlib.file_digest(stream, "sha256").hexdigest() == written["sha256"]
    except OSError as error:
        raise RunFolderError(f"{path}: cannot be read: {error}; name an empty folder", path=folder) from error
    if not is_same:
        raise RunFolderError(f"{path}: is not as the run wrote it; name an empty folder", path=folder)
