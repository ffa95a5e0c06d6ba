"""Checks the teacher's key and the class code, and limits wrong tries over all sessions.

A browser that typed the teacher's key is remembered for TEACHER_SECONDS, so a reload does not ask for it again; one
that typed the class code, until the code changes. A cookie costs a visitor nothing, so these are limited, by network
address and in all: 30 computers that forget their cookies after each of six lessons a day make MAX_MEMBERS_OF_ADDRESS
in 111 days. No browser is forgotten to make room for another.

The counts are in the queue's file, so a restart or a second web process does not reset them. After a number of wrong
tries within an hour each further one doubles the time in which no try is checked, up to a maximum.
"""

import hmac
import logging
import sqlite3
import time
from dataclasses import dataclass

from cnnlab import settings
from cnnlab.jobs import queue_statements as statements
from cnnlab.jobs.queue import Queue
from cnnlab.storage.signing_key import signing_key

WINDOW_SECONDS = 3600.0  # wrong tries are forgotten after this
TEACHER_SECONDS = 12 * 3600.0  # for which a browser need not type the teacher's key again
MAX_MEMBERS_OF_ADDRESS, MAX_MEMBERS = 20_000, 200_000  # browsers that typed one class code; of all, 30 MB

logger = logging.getLogger(__name__)


class KeyRefused(RuntimeError):
    """A wrong key, no tries are checked at the moment, or a class is full. The message is one sentence for the page."""


@dataclass(frozen=True)
class KeyKind:
    """A secret: its name, the number of wrong tries without a pause, and the longest pause in seconds."""

    name: str
    free_tries: int
    longest_pause: float

    def pause(self, wrong_tries: int) -> float:
        """Seconds after the last of this many wrong tries in which none is checked."""
        beyond = wrong_tries - self.free_tries
        return min(self.longest_pause, 2.0 ** min(beyond, 32)) if beyond >= 0 else 0.0


TEACHER_KEY = KeyKind("teacher's key", free_tries=5, longest_pause=900.0)
CLASS_CODE = KeyKind("class code", free_tries=60, longest_pause=60.0)  # a whole class mistypes it


def check_teacher_key(queue: Queue, typed: str, person: str) -> None:
    """Remember `person` as a teacher. Raises KeyRefused unless `typed` is the key, SettingsError, QueueError."""
    _check(queue, TEACHER_KEY, typed, settings.current().teacher_key, person)
    now = time.time()
    with queue.write_transaction() as db:
        statements.delete_teacher(db, person, before=now - TEACHER_SECONDS)
        statements.insert_teacher(db, person, teacher_key_digest(), now)


def remembered_teacher_key(queue: Queue, person: str) -> str:
    """The teacher's key where `person` typed it within TEACHER_SECONDS and it is still the key; "" otherwise.

    Raises SettingsError, QueueError.
    """
    key = settings.current().teacher_key
    if not key:
        return ""
    with queue.read_transaction() as db:
        remembered = statements.is_teacher(db, person, teacher_key_digest(), since=time.time() - TEACHER_SECONDS)
    return key if remembered else ""


def forget_teacher(queue: Queue, person: str) -> None:
    """Ask `person` for the teacher's key again. Raises QueueError."""
    with queue.write_transaction() as db:
        statements.delete_teacher(db, person, before=time.time() - TEACHER_SECONDS)


def teacher_key_digest() -> str:
    """What is stored of the teacher's key: 22 characters that do not reveal it. Raises SettingsError."""
    return signing_key().sign("teacher's key", settings.current().teacher_key)


def join_class(queue: Queue, typed: str, person: str, address: str = "") -> None:
    """Let `person` ask for trainings, until the code changes.

    `address` is a digest of the network address, "" where it is unknown or not limited. Raises KeyRefused also where so
    many have joined that nobody else may; else as `check_teacher_key`.
    """
    code = settings.current().class_code
    _check(queue, CLASS_CODE, typed.strip(), code, person)
    digest = code_digest(code)
    with queue.write_transaction() as db:
        if not statements.is_member(db, person, digest):
            _check_room(db, digest, address)
            statements.insert_member(db, person, digest, address)


def _check_room(db: sqlite3.Connection, code: str, address: str) -> None:
    """Raises KeyRefused where as many browsers as may have typed the code with this digest.

    Those that typed earlier codes are forgotten where they are as many.
    """
    counts = statements.count_members(db, code, address)
    if address and counts.of_address >= MAX_MEMBERS_OF_ADDRESS:
        raise KeyRefused(
            f"From your network {counts.of_address:,} browsers have typed this class code, and no more may: ask your"
            " teacher for a new code."
        )
    if counts.of_code >= MAX_MEMBERS:
        raise KeyRefused(
            f"{counts.of_code:,} browsers have typed this class code, and no more may: ask your teacher for a new code."
        )
    if counts.of_other_codes >= MAX_MEMBERS:
        statements.delete_members_of_other_codes(db, code)


def needs_class_code(queue: Queue, person: str) -> bool:
    """Whether `person` has to type the class code before asking for a training. Raises SettingsError, QueueError."""
    code = settings.current().class_code
    if not code or not settings.BROWSER_NAME_PATTERN.fullmatch(person):
        return False
    with queue.read_transaction() as db:
        return not statements.is_member(db, person, code_digest(code))


def code_digest(code: str) -> str:
    """What is stored of a class code: 22 characters that do not reveal it."""
    return signing_key().sign("class code", code)


def _check(queue: Queue, kind: KeyKind, typed: str, expected: str, person: str) -> None:
    """Check one try, in one transaction. Raises KeyRefused."""
    with queue.write_transaction() as db:
        now = time.time()  # in the transaction: no try of another session is from the future
        tries = statements.wrong_key_times(db, kind.name, since=now - WINDOW_SECONDS, now=now)
        left = kind.pause(len(tries)) - (now - max(tries, default=now))
        if tries and left > 0:
            raise KeyRefused(f"Too many wrong tries: the {kind.name} is taken again in {_words(left)}.")
        if expected and hmac.compare_digest(expected.encode(), typed.encode()):
            statements.forget_wrong_keys(db, kind.name)
            return
        statements.insert_wrong_key(db, kind.name, now)
    logger.warning("a wrong %s was typed by %s, %d within an hour", kind.name, person, len(tries) + 1)
    raise KeyRefused(f"That is not the {kind.name}.")


def _words(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds + 1:.0f} s"
