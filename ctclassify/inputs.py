"""What callers pass as texts: checked, brought into Python, gathered into groups to tag together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from ctclassify.errors import InputTypeError

__all__ = ["checked_texts", "gather_articles", "is_no_sequence", "type_name"]

_STREAM_CHARACTERS = 1 << 18
"""Characters of article text that ``predict_stream`` gathers before it computes."""

_STREAM_ARTICLES = 1 << 9
"""The same in articles, so that short and empty ones do not pile up."""


def gather_articles(articles: Iterable[str]) -> Iterator[list[str]]:
    """Yield lists of articles to tag together; what was read before an error comes before the error."""
    gathered: list[str] = []
    n_characters = 0
    numbered = enumerate(_in_python(articles))
    while True:
        try:
            i, text = next(numbered)
            if not isinstance(text, str):
                raise InputTypeError(f"predict_stream: article {i}: expected str, got {type_name(text)}")
        except StopIteration:
            break
        except Exception:
            yield gathered
            raise
        gathered.append(text)
        n_characters += len(text)
        if n_characters >= _STREAM_CHARACTERS or len(gathered) >= _STREAM_ARTICLES:
            yield gathered
            gathered, n_characters = [], 0
    yield gathered


def checked_texts(texts: Sequence[str]) -> Sequence[str]:
    """Return the texts once each is known to be a ``str``."""
    if is_no_sequence(texts):
        raise InputTypeError(
            f"expected a sequence of texts, got {type_name(texts)}; for one text pass a list: [text], of a table the "
            "column of the texts"
        )
    checked = list(_in_python(texts))
    for i, text in enumerate(checked):
        if not isinstance(text, str):
            raise InputTypeError(f"texts[{i}]: expected str, got {type_name(text)}; remove or decode it first")
    return checked


def is_no_sequence(texts: object) -> bool:
    """Return whether texts are one text, have no order, or are a table, whose items would be its columns' names."""
    is_one_or_unordered = isinstance(texts, str | bytes | Set | Mapping)
    # Of the type: a series may have a row of that name, and a lazy table would be computed.
    return is_one_or_unordered or hasattr(type(texts), "columns") or not isinstance(texts, Iterable)


def _in_python(texts: Iterable[str]) -> Iterable[str]:
    """Return Arrow's columns, which hold no ``str``, as a list."""
    to_list = getattr(type(texts), "to_pylist", None)
    return texts if to_list is None else to_list(texts)


def type_name(value: object) -> str:
    """Return the name of a value's type."""
    return type(value).__name__
