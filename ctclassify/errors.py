"""Errors that the package raises on purpose.

Each is a :class:`CTClassifyError` and also the matching built-in, so that callers may catch either.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = [
    "CTClassifyError",
    "CorpusError",
    "DataError",
    "EngineError",
    "InputTextError",
    "InputTypeError",
    "LabelError",
    "ModelFolderError",
    "RejectedInputError",
    "RunFolderError",
]


class CTClassifyError(Exception):
    """Base of every error that the package raises on purpose. Each can be sent from one process to another."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what makes the error again: pools send errors home, and stop dead where one cannot be made there."""
        return _made_again, (type(self), self.args, self.__dict__)


def _made_again(kind: type[CTClassifyError], args: tuple[Any, ...], fields: dict[str, Any]) -> CTClassifyError:
    """Return an error with its text and attributes, without the arguments it was first made of."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


class InputTypeError(CTClassifyError, TypeError):
    """An argument has the wrong type, such as a bare ``str`` where a sequence of texts is due."""


class InputTextError(CTClassifyError, ValueError):
    """A text cannot be read, such as a file that is not UTF-8."""


class LabelError(CTClassifyError, ValueError):
    """A label name is not one of the model's labels, or a threshold does not fit its label."""


class EngineError(CTClassifyError, RuntimeError):
    """An inference engine is unknown, not installed, or cannot run the model."""


class ModelFolderError(CTClassifyError, ValueError):
    """A model folder is incomplete, altered, or not one that this project saved.

    Attributes
    ----------
    path : pathlib.Path
        The folder or the file at fault.
    """

    def __init__(self, message: str, *, path: Path) -> None:
        super().__init__(message)
        self.path = path


class DataError(CTClassifyError, ValueError):
    """A line of a data file cannot be used.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    line_number : int or None
        The line at fault, counted from 1; None where the whole file is.
    """

    def __init__(self, message: str, *, path: Path, line_number: int | None = None) -> None:
        where = f"{path}, line {line_number}" if line_number is not None else str(path)
        super().__init__(f"{where}: {message}")
        self.path = path
        self.line_number = line_number


class CorpusError(CTClassifyError, ValueError):
    """A run over a corpus cannot begin: an input is not there, no column holds text, or an extra is not installed."""


class RunFolderError(CorpusError):
    """A run's folder is in use, was altered, or belongs to a run of other settings or inputs.

    Attributes
    ----------
    path : pathlib.Path
        The folder.
    differences : tuple of str
        What differs, one item a line; empty where the fault is another.
    """

    def __init__(self, message: str, *, path: Path, differences: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.path = path
        self.differences = differences


class RejectedInputError(CorpusError):
    """A strict run met an input that it cannot use.

    Attributes
    ----------
    file : str
        The input file, as it was named.
    row : int or None
        The line or row at fault, counted from 1; None where the whole file is.
    reason : str
        One of :data:`ctclassify.corpus.records.REASONS`.
    """

    def __init__(self, message: str, *, file: str, row: int | None, reason: str) -> None:
        super().__init__(message)
        self.file = file
        self.row = row
        self.reason = reason
