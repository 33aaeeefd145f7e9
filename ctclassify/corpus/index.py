"""What a run remembers, on disk, of articles that it has written: ids, and sentences for finding copies."""

from __future__ import annotations

import errno
import hashlib
import re
import sqlite3
import struct
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from ctclassify.corpus.records import Record
from ctclassify.corpus.tables import Copy
from ctclassify.errors import CorpusError

__all__ = ["MIN_SIMILARITY", "CorpusIndex", "sentence_keys"]

MIN_SIMILARITY = 0.8
"""Share of common sentences (Jaccard) from which an article is reported as a near copy."""

_MIN_WORDS = 6
"""Words of a sentence that counts: shorter ones ("He did not say more.") are common to unrelated articles."""

_SKETCH = 4
"""Smallest keys of an article by which copies are looked up: two with 0.8 of their sentences in common share one of
them nearly always (bottom-k sketch, A. Broder, On the resemblance and containment of documents, 1997)."""

_CANDIDATES = 8
"""Earlier articles that are compared for each key, so that a sentence of every article costs no more than others."""

_WORD = re.compile(r"\w+")
_CACHE_KIB = 8192

_SCHEMA = """
CREATE TABLE IF NOT EXISTS done (only INTEGER PRIMARY KEY CHECK (only = 1), parts INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS ids (id TEXT PRIMARY KEY, place TEXT NOT NULL, part INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS originals (n INTEGER PRIMARY KEY, id TEXT NOT NULL, keys BLOB NOT NULL,
                                      part INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS sketches (key INTEGER, n INTEGER, part INTEGER NOT NULL, PRIMARY KEY (key, n)) WITHOUT ROWID;
INSERT OR IGNORE INTO done VALUES (1, 0);
"""

_OF_KEY = f"SELECT n FROM (SELECT n FROM sketches WHERE key = ? ORDER BY n LIMIT {_CANDIDATES})"  # noqa: S608
_LOOKUP = {
    n: f"SELECT n, id, keys FROM originals WHERE n IN ({' UNION '.join([_OF_KEY] * n)}) ORDER BY n"  # noqa: S608
    for n in range(1, _SKETCH + 1)
}
"""Originals that share a key, by the number of keys that are asked for."""


def sentence_keys(sentences: Sequence[str]) -> tuple[int, ...]:
    """Return what of an article is compared: a key for each distinct sentence, rising.

    Parameters
    ----------
    sentences : sequence of str
        The article's sentences.

    Returns
    -------
    tuple of int
        Signed 64-bit BLAKE2b digests of the sentences' words, in NFKC without case and punctuation. Sentences of fewer
        than six words are left out, unless all are so short: then all words together give one key. Empty where there
        is no word.
    """
    words = [_WORD.findall(unicodedata.normalize("NFKC", sentence).casefold()) for sentence in sentences]
    chosen = [each for each in words if len(each) >= _MIN_WORDS]
    if not chosen:
        joined = [word for each in words for word in each]
        chosen = [joined] if joined else []
    return tuple(sorted({_key(" ".join(each)) for each in chosen}))


def _key(text: str) -> int:
    """Return a text's 64-bit digest as SQLite holds numbers."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)


class CorpusIndex:
    """Ids and sentence keys of written articles, in an SQLite file.

    Parameters
    ----------
    path : pathlib.Path
        The file; made where it is not there.

    Notes
    -----
    Nothing lasts before :meth:`finish_part`. Memory does not grow with the corpus.
    """

    def __init__(self, path: Path) -> None:
        with _as_oserror(path):
            self._path = path
            # Opened in one thread and used in another, never in two at once.
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
            self._db.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was not finished is taken back."""
        self._db.close()

    @property
    def n_parts(self) -> int:
        """Parts that are in the index."""
        return int(self._db.execute("SELECT parts FROM done").fetchone()[0])

    def roll_back_to(self, n_parts: int) -> None:
        """Forget parts from ``n_parts`` on: they were indexed and then not committed."""
        with _as_oserror(self._path):
            for table in ("ids", "originals", "sketches"):
                self._db.execute(f"DELETE FROM {table} WHERE part >= ?", (n_parts,))  # noqa: S608
            self._finish(n_parts)

    def claim_id(self, record: Record, part: int) -> str | None:
        """Note an article's id; return where an earlier article with the same id lies, None where there is none."""
        with _as_oserror(self._path):
            place = f"{record.file}, row {record.row}"
            added = self._db.execute("INSERT OR IGNORE INTO ids VALUES (?, ?, ?)", (record.article_id, place, part))
            if added.rowcount:
                return None
            found = self._db.execute("SELECT place FROM ids WHERE id = ?", (record.article_id,)).fetchone()
            return str(found[0])

    def find_copy(self, record: Record, sentences: Sequence[str], part: int) -> Copy | None:
        """Return the earlier article that says the same, or note this one as an original.

        Parameters
        ----------
        record : Record
            The article.
        sentences : sequence of str
            Its sentences.
        part : int
            The part it belongs to.

        Returns
        -------
        Copy or None
            The most similar of the originals with a similarity of at least :data:`MIN_SIMILARITY`, the earliest of
            equals. None for an article without a word.
        """
        keys = sentence_keys(sentences)
        if not keys:
            return None
        with _as_oserror(self._path):
            best = max(self._candidates(keys), default=None, key=lambda found: (found[0], -found[1]))
            if best is not None and best[0] >= MIN_SIMILARITY:
                return Copy(article_id=best[2], similarity=best[0])
            cursor = self._db.execute(
                "INSERT INTO originals (id, keys, part) VALUES (?, ?, ?)",
                (record.article_id, struct.pack(f"<{len(keys)}q", *keys), part),
            )
            rows = [(key, cursor.lastrowid, part) for key in keys[:_SKETCH]]
            self._db.executemany("INSERT INTO sketches VALUES (?, ?, ?)", rows)
        return None

    def _candidates(self, keys: tuple[int, ...]) -> Iterator[tuple[float, int, str]]:
        """Yield similarity, number and id of originals that share a key of the sketch and may be similar enough."""
        mine = set(keys)
        fewest, most = MIN_SIMILARITY * len(mine), len(mine) / MIN_SIMILARITY
        sketch = keys[:_SKETCH]
        for n, article_id, packed in self._db.execute(_LOOKUP[len(sketch)], sketch):
            if fewest <= len(packed) // 8 <= most:  # of other sizes, no two are so similar
                theirs = set(struct.unpack(f"<{len(packed) // 8}q", packed))
                yield len(mine & theirs) / len(mine | theirs), n, article_id

    def finish_part(self, part: int) -> None:
        """Make what was noted last, up to this part."""
        with _as_oserror(self._path):
            self._finish(part + 1)

    def _finish(self, n_parts: int) -> None:
        """Commit, and begin anew."""
        self._db.execute("UPDATE done SET parts = ?", (n_parts,))
        self._db.execute("COMMIT")
        self._db.execute("BEGIN")


@contextmanager
def _as_oserror(path: Path) -> Iterator[None]:
    """Report what SQLite says of the disk as the other writers do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        is_full = "full" in str(error)
        raise OSError(errno.ENOSPC if is_full else errno.EIO, f"the run's index: {error}", str(path)) from error
    except sqlite3.DatabaseError as error:
        raise CorpusError(f"{path}: damaged: {error}; remove it and start again: it is made anew") from error
