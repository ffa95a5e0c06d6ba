"""The order in which waiting jobs start: round-robin over people.

"First come, first served" lets one person who asks for ten trainings stop a class of thirty. Here each person has one
turn a round. Within a round, who asked earlier goes first; a person's own jobs keep the order in which they were asked
for. A newcomer stands in the round that is being served, and so before everybody's next turn. (The idea is start-time
fair queueing: Goyal, Vin and Cheng, 1996.) A person is a name here: who comes under ten names has ten turns. Where
network addresses are known, they take turns within a round, so ten names of one address do not go before another one.

A job that several people ask for starts at the first turn of any of them, and costs that one person's turn: the others
did not make the machine do more. A job that was already started once, and whose worker ended too early, goes first.
"""

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, order=True)
class Request:
    """One person's wish for one waiting job, from one network address ("": unknown).

    `submitted` in seconds; sorted by it, then by job.
    """

    submitted: float
    job: int
    person: str
    resumed: bool = False
    address: str = ""


@dataclass(frozen=True)
class Turn:
    """One place in the line: this job starts next, as this person's turn in this round (None: resumed, no turn)."""

    job: int
    person: str | None
    round: int


def fair_order(
    requests: Iterable[Request],
    rounds: Mapping[str, int],
    current: int,
    served: Mapping[str, int] = MappingProxyType({}),
) -> Iterator[Turn]:
    """Every waiting job once, in the order in which they start if nobody asks for anything more.

    `rounds` gives the round in which each person's next turn is, `current` the round that is being served: who has an
    earlier round, or none, stands in the current one. `served` counts the people of each address who have had their
    turn in the current round.
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
    """Enter a person's next request: after as many turns of other addresses as its own has in this round already."""
    turns = seen[turn, request.address] if request.address else 0
    seen[turn, request.address] += 1
    heapq.heappush(waiting, (turn, turns, request))
