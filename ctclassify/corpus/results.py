"""Read a finished run back, row by row."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ctclassify.corpus.formats import read_rows
from ctclassify.corpus.run_folder import MANIFEST, read_json
from ctclassify.corpus.tables import article_types, sentence_types
from ctclassify.errors import RunFolderError

__all__ = ["RunResults"]


class RunResults:
    """The tables of a finished run.

    Parameters
    ----------
    path : pathlib.Path
        The run's folder.

    Attributes
    ----------
    manifest : dict
        What ``manifest.json`` holds.
    label_names : tuple of str
        The model's labels, in order.
    with_text : bool
        Whether the sentences' text is there.

    Raises
    ------
    RunFolderError
        If the folder holds no finished run.
    """

    def __init__(self, path: Path) -> None:
        if not (path / MANIFEST).is_file():
            raise RunFolderError(
                f"{path}: holds no finished run: {MANIFEST} is missing; run tag-corpus to its end", path=path
            )
        self.path = path
        self.manifest = read_json(path / MANIFEST)
        try:
            self.label_names = tuple(map(str, self.manifest["label_names"]))
            self.with_text = bool(self.manifest["output"]["with_text"])
            self._format = str(self.manifest["output"]["format"])
            self._files = [str(name) for part in self.manifest["parts"] for name in part["files"]]
        except (KeyError, TypeError) as error:
            raise RunFolderError(f"{path / MANIFEST}: is no manifest of a run: {error!r}", path=path) from error

    def articles(self, names: Sequence[str]) -> Iterator[list[Any]]:
        """Yield the named columns of every article, in order."""
        return self._rows("articles", article_types(self.label_names), names)

    def sentences(self, names: Sequence[str]) -> Iterator[list[Any]]:
        """Yield the named columns of every sentence, in order; those of an article follow one another."""
        return self._rows("sentences", sentence_types(self.label_names, with_text=self.with_text), names)

    def _rows(self, table: str, types: dict[str, str], names: Sequence[str]) -> Iterator[list[Any]]:
        """Yield rows of all parts."""
        for name in self._files:
            if name.startswith(f"{table}/"):
                yield from self._part(self.path / name, types, names)

    def _part(self, path: Path, types: dict[str, str], names: Sequence[str]) -> Iterator[list[Any]]:
        """Yield rows of one part."""
        try:
            yield from read_rows(path, types, self._format, names)
        except (OSError, ValueError, KeyError, csv.Error) as error:  # Arrow's own errors are the first two
            raise RunFolderError(
                f"{path}: cannot be read: {error}; run tag-corpus again, into an empty folder", path=self.path
            ) from error
