"""Lets the workers that compute for a page (top images, probes, tests of own networks) work one after the other.

Anybody may ask for such a computation of every network, so without an order one visitor could start one process each.
"""

import contextlib
from collections.abc import Callable, Iterator

from cnnlab import settings
from cnnlab.storage import process_lock

MAX_WAITING = 5  # workers of one home that wait or compute; one computes at a time
POLL_SECONDS = 0.2


class WorkersBusy(LookupError):
    """So many workers wait that another one is refused. The message is one sentence for the page."""


@contextlib.contextmanager
def computation_turn(waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Wait until no other worker of this home computes; `waiting` is called meanwhile, a few times a second.

    Raises WorkersBusy where MAX_WAITING wait or compute, OSError.
    """
    folder = settings.home() / "workers"
    with contextlib.ExitStack() as held:
        tickets = (process_lock.acquire(folder / f"ticket{number}.lock", timeout=0) for number in range(MAX_WAITING))
        if (ticket := next(filter(None, tickets), None)) is None:
            raise WorkersBusy(f"{MAX_WAITING} networks are being computed already: try again in a minute.")
        held.enter_context(ticket)
        while (turn := process_lock.acquire(folder / "turn.lock", timeout=POLL_SECONDS)) is None:
            waiting()
        held.enter_context(turn)
        yield
