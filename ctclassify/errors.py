"""Errors that the package raises on purpose.

Each is a :class:`CTClassifyError` and also the matching built-in, so that callers may catch either.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "CTClassifyError",
    "DataError",
    "EngineError",
    "InputTextError",
    "InputTypeError",
    "LabelError",
    "ModelFolderError",
]


class CTClassifyError(Exception):
    """Base of every error that the package raises on purpose."""


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
