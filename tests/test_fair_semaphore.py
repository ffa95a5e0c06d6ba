"""A semaphore for threads: who gets a slot, in which order, and who goes on without one."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cnnlab.ui.fair_semaphore import FairSemaphore

TIMEOUT = 20.0  # seconds until a test that waits gives up


class Worker:
    """A thread that asks for a slot, and keeps it until it is told to stop."""

    def __init__(self, semaphore: FairSemaphore, name: str) -> None:
        self.works, self.may_stop = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.work, args=(semaphore, name), daemon=True)
        self.thread.start()

    def work(self, semaphore: FairSemaphore, name: str) -> None:
        with semaphore.slot(name):
            self.works.set()
            self.may_stop.wait(TIMEOUT)

    def stop(self) -> None:
        self.may_stop.set()
        self.thread.join(TIMEOUT)


def waiting(semaphore: FairSemaphore, name: str) -> Worker:
    """A worker that waits behind all others."""
    worker = Worker(semaphore, name)
    while name not in semaphore.waiting:
        assert not worker.works.is_set()
    return worker


def test_slots_are_given_in_the_order_of_coming_and_one_at_a_time():
    semaphore = FairSemaphore(1, TIMEOUT)
    first = Worker(semaphore, "first")
    assert first.works.wait(TIMEOUT)
    second, third = waiting(semaphore, "second"), waiting(semaphore, "third")
    first.stop()
    assert second.works.wait(TIMEOUT)
    assert not third.works.is_set()
    second.stop()
    assert third.works.wait(TIMEOUT)
    third.stop()
    assert (semaphore.free, semaphore.waiting) == (1, {})


def test_a_released_thread_goes_on_and_gives_back_no_slot_that_it_did_not_have():
    semaphore = FairSemaphore(1, TIMEOUT)
    first = Worker(semaphore, "first")
    assert first.works.wait(TIMEOUT)
    second, third = waiting(semaphore, "second"), waiting(semaphore, "third")
    semaphore.release_waiter("third")
    assert third.works.wait(TIMEOUT)
    third.stop()
    assert not second.works.is_set()
    semaphore.release_waiter("nobody")
    first.stop()
    assert second.works.wait(TIMEOUT)
    second.stop()
    assert (semaphore.free, semaphore.waiting) == (1, {})


def test_who_has_waited_long_enough_goes_on_without_a_slot():
    semaphore = FairSemaphore(0, 0.01)
    with semaphore.slot("one"):
        assert semaphore.waiting == {}
    assert semaphore.free == 0


def test_a_slot_is_given_back_where_the_work_fails():
    semaphore = FairSemaphore(1, TIMEOUT)
    with pytest.raises(ZeroDivisionError), semaphore.slot("one"):
        1 / 0  # noqa: B018
    assert semaphore.free == 1


def test_many_threads_never_work_in_greater_number_than_there_are_slots():
    semaphore, lock, at_work, most = FairSemaphore(3, TIMEOUT), threading.Lock(), [], []

    def work(number: int) -> None:
        with semaphore.slot(number):
            with lock:
                at_work.append(number)
                most.append(len(at_work))
            with lock:
                at_work.remove(number)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(work, range(500)))
    assert max(most) <= 3
    assert (semaphore.free, semaphore.waiting) == (3, {})
