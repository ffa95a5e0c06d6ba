"""A SQLite file that threads share through one connection, and its transactions.

Every change is one short transaction (`BEGIN IMMEDIATE`), so a process that is killed leaves the state before or the
state after.
"""

import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class SqliteFile(ABC):
    """The file at `path`, opened at its first use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    @abstractmethod
    def connect(self) -> sqlite3.Connection:
        """A connection in autocommit mode to the file with its newest schema. May raise sqlite3.Error, OSError."""

    @abstractmethod
    def wrap_error(self, error: Exception) -> Exception:
        """The error to raise for one of SQLite or of the disk: one sentence with the remedy."""

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        """One transaction that starts with the statement `begin`; part of the one around it where it is nested."""
        with self._lock:
            try:
                if self._connection is None:
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                    self._connection = self.connect()
                db = self._connection
                if db.in_transaction:
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
                raise self.wrap_error(error) from error
