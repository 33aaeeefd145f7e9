"""Read ahead in a thread of its own, a bounded number of items."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["read_ahead"]

_T = TypeVar("_T")
_WAIT_S = 0.1
_END = object()


@contextmanager
def read_ahead(items: Iterator[_T], *, n_ahead: int) -> Generator[Iterator[_T]]:
    """Yield an iterator over items that a thread fetches ahead.

    Parameters
    ----------
    items : iterator
        What to fetch. An exception that it raises comes after the items before it.
    n_ahead : int
        Most items that wait: a slow consumer stops the fetching, which bounds memory.

    Notes
    -----
    At the end of the block the thread is stopped and waited for, whatever happened.
    """
    waiting: queue.Queue[object] = queue.Queue(maxsize=n_ahead)
    stopped = threading.Event()
    failures: list[BaseException] = []

    def put(item: object) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=_WAIT_S)
            except queue.Full:
                continue
            return True
        return False

    def fetch() -> None:
        try:
            for item in items:
                if not put(item):
                    return
        except BaseException as error:  # noqa: BLE001, RUF100 - handed on, below
            failures.append(error)
        put(_END)

    def drain() -> Iterator[_T]:
        while (item := waiting.get()) is not _END:
            yield item  # type: ignore[misc]
        if failures:
            raise failures[0]

    thread = threading.Thread(target=fetch, name="ctclassify-read", daemon=True)
    thread.start()
    try:
        yield drain()
    finally:
        stopped.set()
        thread.join()
