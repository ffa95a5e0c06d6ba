"""A person may have a nickname, which the queue's file keeps."""

import pytest

from cnnlab.jobs import nicknames
from cnnlab.jobs.queue import PersonError, Queue


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))


def test_a_nickname_is_kept_over_a_restart_and_belongs_to_one_person():
    first = Queue()
    assert nicknames.read_nickname(first, "b01") == ""
    nicknames.set_nickname(first, "b01", " Grace  Hopper ")
    nicknames.set_nickname(first, "b02", "Emmy")
    first.close()
    assert nicknames.read_nickname(Queue(), "b01") == "Grace Hopper"
    nicknames.set_nickname(Queue(), "b02", "")
    assert [nicknames.read_nickname(Queue(), person) for person in ("b01", "b02")] == ["Grace Hopper", ""]


@pytest.mark.parametrize("text", ["x" * 31, "a\u202eb", "a\x00b", "a\u200bb"])
def test_a_nickname_that_is_too_long_or_cannot_be_seen_changes_nothing(text):
    nicknames.set_nickname(Queue(), "b01", "Ada")
    with pytest.raises(nicknames.NicknameError, match="Received: nickname="):
        nicknames.set_nickname(Queue(), "b01", text)
    assert nicknames.read_nickname(Queue(), "b01") == "Ada"


def test_a_wrong_person_has_no_nickname():
    with pytest.raises(PersonError):
        nicknames.set_nickname(Queue(), "no such person", "Ada")
