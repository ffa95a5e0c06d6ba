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
from cnnlab.lessons.lesson_schema import MIGRATIONS, LessonError
from cnnlab.storage.sqlite_file import SqliteFile


class LessonFile(SqliteFile):
    """The file at `path`, by default `lessons.sqlite` in the home. It is opened at its first use."""

    migrations, synchronous = MIGRATIONS, "FULL"
    error_type, subject = LessonError, "The file of answers"

    def __init__(self, path: Path | None = None) -> None:
        super().__init__(path or settings.home() / "lessons.sqlite")

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
