"""A SQLite file that threads share through one connection: how it is opened and migrated, its transactions, its errors.

Every change is one short transaction (`BEGIN IMMEDIATE`), so a process that is killed leaves the state before or the
state after. WAL lets many pages read while one process writes; it needs a disk of this machine, not a network one.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from cnnlab.storage import process_lock

BUSY_TIMEOUT_SECONDS = 20.0  # how long a write waits for the file


class SqliteFile:
    """The file at `path`, opened at its first use.

    A subclass says what is in it. migrations: one script for each version of the file; a newer program runs those that
    an older file lacks, in this order. synchronous: SQLite's setting. error_type: what its errors are raised as, with
    one sentence for the page, which begins with `subject`.
    """

    migrations: ClassVar[tuple[str, ...]]
    synchronous: ClassVar[str]
    error_type: ClassVar[type[Exception]]
    subject: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def connect(self) -> sqlite3.Connection:
        """A new connection in autocommit mode to the file with its newest schema.

        Raises `error_type`, sqlite3.Error, OSError.
        """
        db = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            db.row_factory = sqlite3.Row
            if _schema_version(db) < len(self.migrations):
                self._migrate(db)
            if _schema_version(db) > len(self.migrations):
                raise self.error_type(
                    f"{self.path} was written by a newer version of this program: use that one, or move it away."
                )
            db.execute(f"PRAGMA synchronous = {self.synchronous}")
            db.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            db.close()
            raise
        return db

    def _migrate(self, db: sqlite3.Connection) -> None:
        """Bring the file to the newest version. One process at a time: SQLite does not wait when WAL is switched on."""
        lock = process_lock.acquire(self.path.with_name(self.path.name + ".lock"), timeout=BUSY_TIMEOUT_SECONDS)
        if lock is None:
            raise self.error_type(
                f"{self.path} has been locked for {BUSY_TIMEOUT_SECONDS:.0f} s: is a stopped process still using it?"
            )
        with lock:
            db.execute("PRAGMA journal_mode = WAL")
            for version in range(_schema_version(db), len(self.migrations)):
                script = f"{self.migrations[version]} PRAGMA user_version = {version + 1};"
                db.executescript(f"BEGIN IMMEDIATE; {script} COMMIT;")

    def wrap_error(self, error: Exception) -> Exception:
        """The `error_type` for an error of SQLite or of the disk: one sentence with the remedy."""
        text = str(error)
        if "full" in text or "No space" in text:
            sentence = f"{self.subject} cannot be written: the disk is full. Free some space. ({self.path})"
        elif "locked" in text:
            sentence = f"{self.subject} has been busy for {BUSY_TIMEOUT_SECONDS:.0f} s. Try again. ({self.path})"
        elif "not a database" in text or "malformed" in text:
            sentence = f"{self.path} is damaged: move it away; a new, empty file is made, and no run is lost."
        else:
            sentence = f"{self.subject} cannot be used ({text}): look at {self.path} and at its folder's permissions."
        return self.error_type(sentence)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self) -> sqlite3.Connection:
        """The connection of this object, made at the first call."""
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self.connect()
        return self._connection

    @contextmanager
    def transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        """One transaction that starts with the statement `begin`; part of the one around it where it is nested."""
        with self._lock:
            try:
                db = self._open()
                with contextlib.nullcontext() if db.in_transaction else _committed(db, begin):
                    yield db
            except (sqlite3.Error, OSError) as error:
                self.close()  # the next use opens whatever file is there then
                raise self.wrap_error(error) from error


@contextmanager
def _committed(db: sqlite3.Connection, begin: str) -> Iterator[None]:
    """One transaction: committed at the end of the block, rolled back where the block or the commit fails."""
    db.execute(begin)
    try:
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _schema_version(db: sqlite3.Connection) -> int:
    """The number of migrations that the file has."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])
