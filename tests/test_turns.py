"""Threads that work in turn."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cnnlab.ui.turns import Turns

PATIENCE = 20.0  # seconds until a test that waits gives up


class Worker:
    """A thread that asks for a turn, and keeps it until it is told to stop."""

    def __init__(self, turns: Turns, name: str) -> None:
        self.works, self.may_stop = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.work, args=(turns, name), daemon=True)
        self.thread.start()

    def work(self, turns: Turns, name: str) -> None:
        with turns.turn(name):
            self.works.set()
            self.may_stop.wait(PATIENCE)

    def stop(self) -> None:
        self.may_stop.set()
        self.thread.join(PATIENCE)


def waiting(turns: Turns, name: str) -> Worker:
    """A worker that has come to the end of the line."""
    worker = Worker(turns, name)
    while name not in turns.waiting:
        assert not worker.works.is_set()
    return worker


def test_turns_are_given_in_the_order_of_coming_and_one_at_a_time():
    turns = Turns(1, PATIENCE)
    first = Worker(turns, "first")
    assert first.works.wait(PATIENCE)
    second, third = waiting(turns, "second"), waiting(turns, "third")
    first.stop()
    assert second.works.wait(PATIENCE)
    assert not third.works.is_set()
    second.stop()
    assert third.works.wait(PATIENCE)
    third.stop()
    assert (turns.free, turns.waiting) == (1, {})


def test_who_is_told_to_hurry_goes_on_and_gives_back_no_turn_that_it_did_not_have():
    turns = Turns(1, PATIENCE)
    first = Worker(turns, "first")
    assert first.works.wait(PATIENCE)
    second, third = waiting(turns, "second"), waiting(turns, "third")
    turns.hurry("third")
    assert third.works.wait(PATIENCE)
    third.stop()
    assert not second.works.is_set()
    turns.hurry("nobody")
    first.stop()
    assert second.works.wait(PATIENCE)
    second.stop()
    assert (turns.free, turns.waiting) == (1, {})


def test_who_has_waited_long_enough_goes_on_without_a_turn():
    turns = Turns(0, 0.01)
    with turns.turn("one"):
        assert turns.waiting == {}
    assert turns.free == 0


def test_a_turn_is_given_back_where_the_work_fails():
    turns = Turns(1, PATIENCE)
    with pytest.raises(ZeroDivisionError), turns.turn("one"):
        1 / 0  # noqa: B018
    assert turns.free == 1


def test_many_threads_never_work_in_greater_number_than_there_are_turns():
    turns, lock, at_work, most = Turns(3, PATIENCE), threading.Lock(), [], []

    def work(number: int) -> None:
        with turns.turn(number):
            with lock:
                at_work.append(number)
                most.append(len(at_work))
            with lock:
                at_work.remove(number)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(work, range(500)))
    assert max(most) <= 3
    assert (turns.free, turns.waiting) == (3, {})
