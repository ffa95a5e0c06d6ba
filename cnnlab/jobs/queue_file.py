"""The file of the queue: one connection, shared by threads, and its transactions.

- Every change is one short transaction (`BEGIN IMMEDIATE`), so a process that is killed leaves the state before or the
  state after. WAL lets thirty pages read while one process writes; it needs a disk of this machine, not a network one.
- Every change increments the counter "stamp": a page that reads the same number need not read anything else.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnnlab import settings
from cnnlab.jobs.queue_schema import QueueError, connect, error_message


class QueueFile:
    """The SQLite file at `path`, by default `jobs.sqlite` in the home. It is opened at its first use."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or settings.home() / "jobs.sqlite"
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def integrity_error(self) -> str:
        """What SQLite reports as wrong with the file, "" for nothing. Reads the whole file. Raises QueueError."""
        with self.read_transaction() as db:
            result = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
        return "" if result == "ok" else result

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def read_transaction(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of all tables."""
        with self._transaction("BEGIN") as db:
            yield db

    @contextmanager
    def write_transaction(self) -> Iterator[sqlite3.Connection]:
        """One change, all or nothing; increments the revision if a row changed."""
        with self._transaction("BEGIN IMMEDIATE") as db:
            before = db.total_changes
            yield db
            if db.total_changes != before:
                db.execute("UPDATE counters SET value = value + 1 WHERE name = 'stamp'")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                db = self._open()
                if db.in_transaction:  # nested in another transaction of this queue
                    yield db
                    return
                db.execute(begin)
                try:
                    yield db
                    db.execute("COMMIT")
                finally:
                    if db.in_transaction:
                        db.execute("ROLLBACK")
            except (sqlite3.Error, OSError) as error:
                self.close()  # the next use opens whatever file is there then
                raise QueueError(error_message(self.path, error)) from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = connect(self.path)
        return self._connection
