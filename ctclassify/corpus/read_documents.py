"""Read plain text and HTML: a file is an article."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from ctclassify.corpus.columns import ReadOptions
from ctclassify.corpus.records import MAX_RECORD_BYTES, Item, Rejection, make_record
from ctclassify.errors import CorpusError

__all__ = ["read_html", "read_text", "require_trafilatura"]


def read_text(stream: BinaryIO, name: str, options: ReadOptions, n_bytes: int) -> Iterator[tuple[Item, int]]:
    """Yield a text file as one article whose id is the file's name; offsets count characters after a byte order mark.

    Parameters
    ----------
    stream : binary file
        Decompressed.
    name : str
        The file's name.
    options : ReadOptions
        The encoding.
    n_bytes : int
        The file's size on the disk.
    """
    raw = stream.read(MAX_RECORD_BYTES + 1)
    if len(raw) > MAX_RECORD_BYTES:
        yield _too_long(name), n_bytes
        return
    codec = "utf-8-sig" if options.encoding.lower().replace("_", "-") in ("utf-8", "utf8") else options.encoding
    try:
        text = raw.decode(codec)
    except UnicodeError as error:
        yield Rejection(file=name, row=1, reason="undecodable", detail=f"not {options.encoding} text: {error}"), n_bytes
        return
    yield make_record({"id": name, "text": text}, file=name, row=1), n_bytes


def read_html(stream: BinaryIO, name: str, _options: ReadOptions, n_bytes: int) -> Iterator[tuple[Item, int]]:
    """Yield the main text of an HTML page, as trafilatura finds it, with date, site, title and address.

    Parameters
    ----------
    stream, name, n_bytes
        As for :func:`read_text`; trafilatura finds the encoding itself. Offsets count characters of the main text.

    Raises
    ------
    CorpusError
        If trafilatura, or a package that it needs, is not installed: no fault of the page.
    """
    bare_extraction = require_trafilatura(name)  # first: what is not installed is no fault of the page
    raw = stream.read(MAX_RECORD_BYTES + 1)
    if len(raw) > MAX_RECORD_BYTES:
        yield _too_long(name), n_bytes
        return
    try:
        found = _extract(bare_extraction, raw)
    except Exception as error:  # a parser of other people's pages raises many things; each is one rejected page
        yield Rejection(file=name, row=1, reason="html_error", detail=f"{type(error).__name__}: {error}"), n_bytes
        return
    if found is None:
        yield Rejection(file=name, row=1, reason="no_main_text", detail="no main text was found"), n_bytes
        return
    yield make_record({"id": name, **found}, file=name, row=1), n_bytes


def require_trafilatura(name: str) -> Callable[..., Any]:
    """Return trafilatura's function that finds a page's main text.

    Raises
    ------
    CorpusError
        If it, or a package that it needs, is not installed; it names the page and the extra.
    """
    try:
        from trafilatura import bare_extraction
    except ImportError as error:
        said = " ".join(str(error).split())
        raise CorpusError(
            f"{name}: reading HTML needs trafilatura and what it builds on ({said}); "
            "install the extra: pip install 'ctclassify[html]'"
        ) from error
    function: Callable[..., Any] = bare_extraction
    return function


def _extract(bare_extraction: Callable[..., Any], raw: bytes) -> dict[str, Any] | None:
    """Return text and metadata of a page; None where there is no main text."""
    document = bare_extraction(raw, with_metadata=True, include_comments=False)
    if document is None:
        return None
    fields = document if isinstance(document, dict) else document.as_dict()
    if not fields.get("text"):
        return None
    return {
        "text": fields["text"],
        "date": fields.get("date"),
        "source": fields.get("sitename") or fields.get("hostname"),
        "title": fields.get("title"),
        "url": fields.get("url"),
    }


def _too_long(name: str) -> Rejection:
    """Return the rejection of a file that is too long."""
    return Rejection(file=name, row=1, reason="too_long", detail=f"longer than {MAX_RECORD_BYTES} bytes")
