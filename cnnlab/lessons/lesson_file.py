"""`lessons.sqlite` of the home: learners, answers, classes and votes.

Every change is one short transaction that is on the disk when it returns (WAL, synchronous FULL): a process that is
killed, or a power cut, loses no answer that was confirmed. The file may be shared by threads and web processes of one
host. A person is a browser or an account; the learner is who works on a sheet, from one or several devices.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnnlab import settings
from cnnlab.lessons.lesson_schema import BUSY_TIMEOUT_SECONDS, MIGRATIONS, LessonError, error_message, schema_version
from cnnlab.storage import process_lock
from cnnlab.storage.sqlite_file import SqliteFile


class LessonFile(SqliteFile):
    """The file at `path`, by default `lessons.sqlite` in the home. It is opened at its first use."""

    def __init__(self, path: Path | None = None) -> None:
        super().__init__(path or settings.home() / "lessons.sqlite")

    def wrap_error(self, error: Exception) -> LessonError:
        """The error of this file for one of SQLite, with a remedy."""
        return LessonError(error_message(self.path, error))

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of all tables. Raises LessonError."""
        with self.transaction("BEGIN") as db:
            yield db

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One change, all or nothing. Raises LessonError."""
        with self.transaction("BEGIN IMMEDIATE") as db:
            yield db

    def connect(self) -> sqlite3.Connection:
        """Open the file, with its tables, as a new connection."""
        db = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(db)
        except BaseException:
            db.close()
            raise
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        db.row_factory = sqlite3.Row
        if schema_version(db) < len(MIGRATIONS):
            self._migrate(db)
        if schema_version(db) > len(MIGRATIONS):
            raise LessonError(f"{self.path} was written by a newer version of this program: use that one.")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")

    def _migrate(self, db: sqlite3.Connection) -> None:
        """Bring the file to the newest version, one process at a time."""
        lock = process_lock.acquire(self.path.with_name(self.path.name + ".lock"), timeout=BUSY_TIMEOUT_SECONDS)
        if lock is None:
            raise LessonError(f"{self.path} has been locked for {BUSY_TIMEOUT_SECONDS:.0f} s: try again.")
        with lock:
            db.execute("PRAGMA journal_mode = WAL")
            for version in range(schema_version(db), len(MIGRATIONS)):
                db.executescript(f"BEGIN IMMEDIATE; {MIGRATIONS[version]} PRAGMA user_version = {version + 1}; COMMIT;")
