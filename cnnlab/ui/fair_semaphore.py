"""A semaphore that threads get in the order in which they came, and that none of them waits for longer than a time."""

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class Waiter:
    """A thread that waits; `has_slot` is set where it was given one."""

    def __init__(self) -> None:
        self.event, self.has_slot = threading.Event(), False


class FairSemaphore:
    """`slots` threads work at a time. One that waits for `timeout` seconds, or is released, goes on without a slot."""

    def __init__(self, slots: int, timeout: float) -> None:
        self.free, self.timeout = slots, timeout
        self.lock = threading.Lock()
        self.waiting: dict[Hashable, Waiter] = {}

    @contextmanager
    def slot(self, name: Hashable) -> Iterator[None]:
        """Hold a slot for the block, where one came free in time; `name` is for `release_waiter`."""
        has_slot = self._acquire(name)
        try:
            yield
        finally:
            if has_slot:
                self._release()

    def release_waiter(self, name: Hashable) -> None:
        """Let the thread that waits under this name go on without a slot."""
        with self.lock:
            if waiter := self.waiting.pop(name, None):
                waiter.event.set()

    def _acquire(self, name: Hashable) -> bool:
        with self.lock:
            if self.free:
                self.free -= 1
                return True
            waiter = self.waiting[name] = Waiter()
        waiter.event.wait(self.timeout)
        with self.lock:
            if self.waiting.get(name) is waiter:
                del self.waiting[name]
            return waiter.has_slot

    def _release(self) -> None:
        with self.lock:
            if not self.waiting:
                self.free += 1
                return
            first = self.waiting.pop(next(iter(self.waiting)))
            first.has_slot = True
            first.event.set()
