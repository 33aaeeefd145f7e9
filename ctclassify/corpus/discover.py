"""From the inputs a caller names to the files to read, in a fixed order."""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ctclassify.corpus.compression import COMPRESSIONS
from ctclassify.corpus.files import name_of
from ctclassify.errors import CorpusError

__all__ = ["KINDS", "InputFile", "find_inputs", "fingerprint", "name_tells"]

_ENDINGS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".txt": "text",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
}
KINDS = tuple(sorted(set(_ENDINGS.values())))
"""Formats that are read."""

_DATASET_STATE, _DATASET_DICT = "state.json", "dataset_dict.json"


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """A file to read.

    Attributes
    ----------
    path : pathlib.Path
        Where it is.
    name : str
        What outputs call it: the path as it was named or found.
    kind : str or None
        One of :data:`KINDS`; None where the name tells none.
    compression : str or None
        ``gz``, ``bz2``, ``xz`` or ``zst``.
    """

    path: Path
    name: str
    kind: str | None
    compression: str | None

    @property
    def needs_pyarrow(self) -> bool:
        """Whether reading it takes pyarrow."""
        return self.kind in ("parquet", "arrow") or self.compression == "zst"


def find_inputs(
    inputs: Sequence[str | Path], *, input_format: str | None = None, out: Path | None = None
) -> list[InputFile]:
    """Return the files behind files, globs and folders.

    Parameters
    ----------
    inputs : sequence of str or pathlib.Path
        In order. A folder is searched through, its files sorted by path; hidden ones (a leading dot) are left out. A
        folder that the ``datasets`` library saved gives its Arrow files in its own order. A file met twice is kept
        once, at its first place.
    input_format : str or None
        One of :data:`KINDS`, for all files; None tells it from each name.
    out : pathlib.Path or None
        A folder, without symbolic links: what a glob matches in it is left out, so that a run may go on beside its
        inputs.

    Returns
    -------
    list of InputFile
        Never empty.

    Raises
    ------
    CorpusError
        If an input is not there or is no regular file, a glob matches nothing, a folder is empty, or a named file's
        format is not known.
    """
    if not inputs:
        raise CorpusError("no input; name files, globs or folders")
    found: dict[str, InputFile] = {}
    for given in inputs:
        for path, is_named in _expand(given, out):
            file = _describe(path, input_format)
            if file.kind is None and is_named:
                known = ", ".join(sorted(_ENDINGS))
                raise CorpusError(f"{file.name}: the name tells no known format ({known}); say it with --input-format")
            found.setdefault(os.path.realpath(path), file)
    if not found:
        raise CorpusError(f"{name_of(str(inputs[0]))}: no file there; name files, globs or folders that hold some")
    return list(found.values())


def fingerprint(file: InputFile) -> dict[str, str | int | None]:
    """Return name, kind, size and checksum of an input; size and checksum are None where it cannot be read."""
    record: dict[str, str | int | None] = {"file": file.name, "kind": file.kind, "compression": file.compression}
    try:
        if not file.path.is_file():
            raise OSError("no regular file")
        with file.path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return {**record, "bytes": stream.tell(), "sha256": digest}
    except OSError:
        return {**record, "bytes": None, "sha256": None}


def _is_in(path: Path, folder: Path | None) -> bool:
    """Return whether a path is a folder, or lies in it."""
    return folder is not None and Path(os.path.realpath(path)).is_relative_to(folder)


def _expand(given: str | Path, out: Path | None) -> Iterator[tuple[Path, bool]]:
    """Yield the files of one input, and whether the caller named the file itself."""
    path = Path(given)
    if path.is_dir():
        yield from ((each, False) for each in _some(_walk(path), f"{name_of(path)}: the folder holds no file"))
    elif path.is_file():
        yield path, True
    elif path.exists():
        raise CorpusError(f"{name_of(path)}: is no regular file; inputs are read more than once: save it to one first")
    elif glob.has_magic(str(given)):
        matches = (Path(each) for each in sorted(glob.glob(str(given), recursive=True)))  # noqa: PTH207 - may be absolute
        for match in _some((each for each in matches if not _is_in(each, out)), f"{name_of(path)}: nothing matches"):
            if match.is_dir():
                yield from ((each, False) for each in _walk(match))
            else:
                yield match, False
    else:
        raise CorpusError(f"{name_of(path)}: no such file or folder")


def _some(paths: Iterator[Path], complaint: str) -> list[Path]:
    """Return the paths; none is an error."""
    listed = list(paths)
    if not listed:
        raise CorpusError(complaint)
    return listed


def _walk(folder: Path, above: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Yield the files below a folder, sorted; a saved dataset's data files alone. Links back up are not followed."""
    real = os.path.realpath(folder)
    if real in above:
        return
    if (folder / _DATASET_STATE).is_file():
        yield from _dataset_files(folder)
        return
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise CorpusError(f"{name_of(folder)}: the folder cannot be read: {error.strerror or error}") from error
    for path in paths:
        if path.name.startswith(".") or path.name == _DATASET_DICT:
            continue
        if path.is_dir():
            yield from _walk(path, above | {real})
        else:
            yield path


def _dataset_files(folder: Path) -> Iterator[Path]:
    """Yield the Arrow files that a saved dataset's state names."""
    state = folder / _DATASET_STATE
    try:
        names = [entry["filename"] for entry in json.loads(state.read_text(encoding="utf-8"))["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"{name_of(state)}: expected the state of a saved dataset: {error!r}") from error
    for name in names:
        if Path(name).name != name or not (folder / name).is_file():
            raise CorpusError(f"{name_of(state)}: names the data file {name!r}, which is not in the folder")
        yield folder / name


def _describe(path: Path, input_format: str | None) -> InputFile:
    """Tell format and compression from a name."""
    kind, compression = name_tells(path)
    return InputFile(path=path, name=name_of(path), kind=input_format or kind, compression=compression)


def name_tells(path: Path) -> tuple[str | None, str | None]:
    """Return the format, one of :data:`KINDS`, and the compression that a file's name tells; None where it does not."""
    endings = [ending.lower() for ending in path.suffixes]
    compression = COMPRESSIONS.get(endings[-1]) if endings else None
    if compression is not None:
        endings.pop()
    return _ENDINGS.get(endings[-1]) if endings else None, compression
