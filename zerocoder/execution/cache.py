"""Verdicts that are known: a file of cells by the content of program, test and limits, bounded in size.

The pre-filter, the calibration, training and the evaluation share it, and so do runs. It is a convenience and never a
risk: whatever is wrong with the file (broken, locked, on a full disk) switches the cache off with one warning, and no
verdict that is our own failure gets in. One thread at a time may use an instance.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

_LOG = logging.getLogger(__name__)
_LAYOUT = 1  # to be raised when what is stored, or what a verdict means, changes
_MAX_VARIABLES = 900  # of one SQL statement
_CHECK_EVERY = 50_000  # entries written between two looks at the size
_BUSY_SECONDS = 2.0

Entry = tuple[int, int]
"""A verdict's value and the CPU time it took, or was late after, in microseconds."""


def digest(*parts: str) -> bytes:
    """16 bytes for the content of some texts."""
    hashed = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        hashed.update(len(data).to_bytes(8, "little"))
        hashed.update(data)
    return hashed.digest()


class VerdictCache:
    """A table of cells in one SQLite file. Several processes may use the file at once."""

    def __init__(self, path: Path, max_mb: int = 256) -> None:
        """Opens nothing yet: that happens at first use, in the thread that uses it."""
        self.path = path
        self.num_hits = 0
        self.num_misses = 0
        self._max_bytes = max_mb << 20
        self._connection: sqlite3.Connection | None = None
        self._inherited: sqlite3.Connection | None = None  # kept, as its end would close the file
        self._off = False
        self._num_unchecked = _CHECK_EVERY  # the size is looked at with the first write, too

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        """The entries there are of `keys`."""
        found: dict[bytes, Entry] = {}
        try:
            for start in range(0, len(keys), _MAX_VARIABLES):
                part = keys[start : start + _MAX_VARIABLES]
                marks = ",".join("?" * len(part))
                rows = self._open().execute(f"SELECT key, verdict, micros FROM cells WHERE key IN ({marks})", part)
                found.update((key, (verdict, micros)) for key, verdict, micros in rows)
        except (sqlite3.Error, OSError) as error:
            self._switch_off(error)
        self.num_hits += len(found)
        self.num_misses += len(keys) - len(found)
        return found

    def put(self, entries: Iterable[tuple[bytes, Entry]]) -> None:
        """Adds entries, all of them or none."""
        now = int(time.time())
        rows = [(key, verdict, micros, now) for key, (verdict, micros) in entries]
        try:
            with self._open() as connection:
                connection.executemany("INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?)", rows)
            self._num_unchecked += len(rows)
            if self._num_unchecked >= _CHECK_EVERY:
                self._num_unchecked = 0
                self._bound()
        except (sqlite3.Error, OSError) as error:
            self._switch_off(error)

    def close(self) -> None:
        """Closes the file. The next use opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def abandon(self) -> None:
        """In a forked copy of a process: lets go of the connection without a word to the file, which its owner uses."""
        self._inherited, self._connection = self._connection, None

    def _open(self) -> sqlite3.Connection:
        if self._off:
            raise sqlite3.OperationalError("switched off")
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._connection = self._connected()
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):  # locked, full, not writable: not the file's fault
                    raise
                self.path.unlink()  # no database, or a broken one
                self._connection = self._connected()
        return self._connection

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=OFF")  # a power cut may cost the cache, which can be made again
            if connection.execute("PRAGMA user_version").fetchone()[0] != _LAYOUT:
                connection.execute("DROP TABLE IF EXISTS cells")
                connection.execute(
                    "CREATE TABLE cells (key BLOB PRIMARY KEY, verdict INTEGER, micros INTEGER, written INTEGER)"
                    " WITHOUT ROWID"
                )
                connection.execute(f"PRAGMA user_version={_LAYOUT}")
                connection.commit()
        except BaseException:
            connection.close()
            raise
        return connection

    def _bound(self) -> None:
        """Drops the older half when the file is over its size; SQLite uses the room again."""
        connection = self._open()
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        if (pages - free) * size > self._max_bytes:
            with connection:
                connection.execute(
                    "DELETE FROM cells WHERE key IN "
                    "(SELECT key FROM cells ORDER BY written LIMIT (SELECT count(*) / 2 FROM cells))"
                )

    def _switch_off(self, error: Exception) -> None:
        if not self._off:
            _LOG.warning("verdicts are not cached from here on: %s: %s", self.path, error)
            self._off = True
        self.close()
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            self.path.unlink(missing_ok=True)  # broken: the next run starts a new one
