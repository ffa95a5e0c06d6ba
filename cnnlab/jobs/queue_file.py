"""The file of the queue and its transactions.

Every change increments the counter "stamp": a page that reads the same number need not read anything else.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnnlab import settings
from cnnlab.jobs.queue_schema import MIGRATIONS, QueueError
from cnnlab.storage.sqlite_file import SqliteFile


class QueueFile(SqliteFile):
    """The SQLite file at `path`, by default `jobs.sqlite` in the home. It is opened at its first use."""

    migrations, synchronous = MIGRATIONS, "NORMAL"
    error_type, subject = QueueError, "The queue of trainings"

    def __init__(self, path: Path | None = None) -> None:
        super().__init__(path or settings.home() / "jobs.sqlite")

    def integrity_error(self) -> str:
        """What SQLite reports as wrong with the file, "" for nothing. Reads the whole file. Raises QueueError."""
        with self.read_transaction() as db:
            result = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
        return "" if result == "ok" else result

    @contextmanager
    def read_transaction(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of all tables."""
        with self.transaction("BEGIN") as db:
            yield db

    @contextmanager
    def write_transaction(self) -> Iterator[sqlite3.Connection]:
        """One change, all or nothing; increments the revision if a row changed."""
        with self.transaction("BEGIN IMMEDIATE") as db:
            before = db.total_changes
            yield db
            if db.total_changes != before:
                db.execute("UPDATE counters SET value = value + 1 WHERE name = 'stamp'")
