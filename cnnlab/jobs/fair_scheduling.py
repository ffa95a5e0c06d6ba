"""The order in which waiting jobs start: round-robin over people.

With "first come, first served" one person who asks for ten trainings blocks a class of thirty. Here each person has one
turn per round. Within a round the earlier request goes first; the jobs of one person keep their order. A new person
enters the current round, before the next turn of everybody else. (This is start-time fair queueing: Goyal, Vin and
Cheng, 1996.) A person is a name, so one visitor with ten names has ten turns. Where network addresses are known, they
alternate within a round, so ten names of one address do not all go before another address.

A job that several people ask for starts at the first of their turns and uses only that person's turn. A job that was
started before, and whose worker ended too early, goes first.
"""

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, order=True)
class Request:
    """One person's request for one waiting job, from one network address ("": unknown).

    `submitted` in seconds; sorted by it, then by job.
    """

    submitted: float
    job: int
    person: str
    resumed: bool = False
    address: str = ""


@dataclass(frozen=True)
class Turn:
    """One position in the order: this job starts next, as this person's turn of this round (None: resumed, no turn)."""

    job: int
    person: str | None
    round: int


def fair_order(
    requests: Iterable[Request],
    rounds: Mapping[str, int],
    current: int,
    served: Mapping[str, int] = MappingProxyType({}),
) -> Iterator[Turn]:
    """Every waiting job once, in the order in which they start if no request is added.

    `rounds` gives the round of each person's next turn, `current` the current round: a person with an earlier round, or
    without one, is in the current round. `served` counts the people of each address who had their turn in the current
    round.
    """
    ordered = sorted(requests)
    taken: set[int] = set()
    for request in ordered:
        if request.resumed and request.job not in taken:
            taken.add(request.job)
            yield Turn(request.job, None, current)
    asked: dict[str, deque[Request]] = defaultdict(deque)
    for request in ordered:
        asked[request.person].append(request)
    seen = Counter({(current, address): count for address, count in served.items()})  # turns, by round and address
    waiting: list[tuple[int, int, Request]] = []
    for own in asked.values():
        _push(waiting, max(rounds.get(own[0].person, 0), current), own[0], seen)
    while waiting:
        turn, _, first = heapq.heappop(waiting)
        person = first.person
        own = asked[person]
        if first.job not in taken:
            taken.add(first.job)
            yield Turn(first.job, person, turn)
            turn += 1
        own.popleft()  # started, in this turn or in somebody else's
        if own:
            _push(waiting, turn, own[0], seen)


def _push(waiting: list[tuple[int, int, Request]], turn: int, request: Request, seen: Counter[tuple[int, str]]) -> None:
    """Add a person's next request, after as many turns of other addresses as its own had in this round."""
    turns = seen[turn, request.address] if request.address else 0
    seen[turn, request.address] += 1
    heapq.heappush(waiting, (turn, turns, request))
