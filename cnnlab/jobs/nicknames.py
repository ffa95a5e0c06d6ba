"""The nickname that a person may give themselves. It is kept with the queue, by the person's name in it."""

import sqlite3

from cnnlab.jobs.queue import Queue, check_person

MAX_CHARACTERS = 30
MAX_OF_ADDRESS = 3_000  # nicknames from one network address: a cookie costs a visitor nothing


class NicknameError(ValueError):
    """A text that cannot be a nickname. The message is one sentence."""


def read_nickname(queue: Queue, person: str) -> str:
    """The nickname of this person, "" without one. It is what somebody typed: escape it. Raises QueueError."""
    with queue.read_transaction() as db:
        row = db.execute("SELECT nickname FROM nicknames WHERE person = ?", (person,)).fetchone()
        return str(row["nickname"]) if row else ""


def set_nickname(queue: Queue, person: str, text: str, address: str = "") -> str:
    """Store this nickname, spaces at its ends removed, and return it; "" removes the present one.

    `address` is a digest of the network address, "" where it is unknown or not limited. Raises NicknameError for a text
    that is too long or has characters that cannot be seen, and where there are MAX_OF_ADDRESS; PersonError, QueueError.
    """
    nickname = check_nickname(text)
    with queue.write_transaction() as db:
        if nickname:
            _check_address(db, person, address)
            sql = "INSERT INTO nicknames VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET nickname = ?2, address = ?3"
            db.execute(sql, (check_person(person), nickname, address))
        else:
            db.execute("DELETE FROM nicknames WHERE person = ?", (check_person(person),))
    return nickname


def _check_address(db: sqlite3.Connection, person: str, address: str) -> None:
    """Raises NicknameError where MAX_OF_ADDRESS others from this address have a nickname."""
    sql = "SELECT count(*) FROM nicknames WHERE address = ? AND address != '' AND person != ?"
    if (others := int(db.execute(sql, (address, person)).fetchone()[0])) >= MAX_OF_ADDRESS:
        raise NicknameError(
            f"From your network {others:,} people have a nickname, and more are not possible: go on without one."
        )


def check_nickname(text: str) -> str:
    """The text with single spaces between its words. Raises NicknameError."""
    nickname = " ".join(text.split())
    if len(nickname) > MAX_CHARACTERS or not nickname.isprintable():
        raise NicknameError(
            f"A nickname has at most {MAX_CHARACTERS} visible characters. Received: nickname={nickname[:60]!r}"
        )
    return nickname
