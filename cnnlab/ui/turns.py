"""Turns: only so many threads work at the same time, the others wait in the order in which they came."""

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class Waiting:
    """A thread that waits; `has_turn` is set where it was given one."""

    def __init__(self) -> None:
        self.event, self.has_turn = threading.Event(), False


class Turns:
    """`at_once` turns. Who waits longer than `patience` seconds, or is told to hurry, goes on without one."""

    def __init__(self, at_once: int, patience: float) -> None:
        self.free, self.patience = at_once, patience
        self.lock = threading.Lock()
        self.waiting: dict[Hashable, Waiting] = {}

    @contextmanager
    def turn(self, name: Hashable) -> Iterator[None]:
        """Work in turn; `name` is for `hurry`."""
        has_turn = self._take(name)
        try:
            yield
        finally:
            if has_turn:
                self._give_back()

    def hurry(self, name: Hashable) -> None:
        """Let whoever waits under this name go on."""
        with self.lock:
            if waiting := self.waiting.pop(name, None):
                waiting.event.set()

    def _take(self, name: Hashable) -> bool:
        with self.lock:
            if self.free:
                self.free -= 1
                return True
            waiting = self.waiting[name] = Waiting()
        waiting.event.wait(self.patience)
        with self.lock:
            if self.waiting.get(name) is waiting:
                del self.waiting[name]
            return waiting.has_turn

    def _give_back(self) -> None:
        with self.lock:
            if not self.waiting:
                self.free += 1
                return
            first = self.waiting.pop(next(iter(self.waiting)))
            first.has_turn = True
            first.event.set()
