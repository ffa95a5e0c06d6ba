"""The nickname that a person may give themselves. It is kept with the queue, by the person's name in it."""

from cnnlab.jobs.queue import Queue, check_person

MAX_CHARACTERS = 30


class NicknameError(ValueError):
    """A text that cannot be a nickname. The message is one sentence."""


def read_nickname(queue: Queue, person: str) -> str:
    """The nickname of this person, "" without one. It is what somebody typed: escape it. Raises QueueError."""
    with queue.read_transaction() as db:
        row = db.execute("SELECT nickname FROM nicknames WHERE person = ?", (person,)).fetchone()
        return str(row["nickname"]) if row else ""


def set_nickname(queue: Queue, person: str, text: str) -> str:
    """Store this nickname, spaces at its ends removed, and return it; "" removes the present one.

    Raises NicknameError for a text that is too long or has characters that cannot be seen, PersonError, QueueError.
    """
    nickname = check_nickname(text)
    with queue.write_transaction() as db:
        if nickname:
            sql = "INSERT INTO nicknames VALUES (?1, ?2) ON CONFLICT DO UPDATE SET nickname = ?2"
            db.execute(sql, (check_person(person), nickname))
        else:
            db.execute("DELETE FROM nicknames WHERE person = ?", (check_person(person),))
    return nickname


def check_nickname(text: str) -> str:
    """The text with single spaces between its words. Raises NicknameError."""
    nickname = " ".join(text.split())
    if len(nickname) > MAX_CHARACTERS or not nickname.isprintable():
        raise NicknameError(
            f"A nickname has at most {MAX_CHARACTERS} visible characters. Received: nickname={nickname[:60]!r}"
        )
    return nickname
