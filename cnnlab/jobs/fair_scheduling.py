"""The order in which waiting jobs start: round-robin over people.

"First come, first served" lets one person who asks for ten trainings stop a class of thirty. Here each person has one
turn a round. Within a round, who asked earlier goes first; a person's own jobs keep the order in which they were asked
for. A newcomer stands in the round that is being served, and so before everybody's next turn. (The idea is start-time
fair queueing: Goyal, Vin and Cheng, 1996.) A person is a name here: who comes under ten names has ten turns.

A job that several people ask for starts at the first turn of any of them, and costs that one person's turn: the others
did not make the machine do more. A job that was already started once, and whose worker ended too early, goes first.
"""

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Request:
    """One person's wish for one waiting job. `submitted` in seconds; sorted by it, then by job."""

    submitted: float
    job: int
    person: str
    resumed: bool = False


@dataclass(frozen=True)
class Turn:
    """One place in the line: this job starts next, as this person's turn in this round (None: resumed, no turn)."""

    job: int
    person: str | None
    round: int


def fair_order(requests: Iterable[Request], rounds: Mapping[str, int], current: int) -> Iterator[Turn]:
    """Every waiting job once, in the order in which they start if nobody asks for anything more.

    `rounds` gives the round in which each person's next turn is, `current` the round that is being served: who has an
    earlier round, or none, stands in the current one.
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
    waiting = [(max(rounds.get(person, 0), current), own[0], person) for person, own in asked.items()]
    heapq.heapify(waiting)
    while waiting:
        turn, first, person = heapq.heappop(waiting)
        own = asked[person]
        if first.job not in taken:
            taken.add(first.job)
            yield Turn(first.job, person, turn)
            turn += 1
        own.popleft()  # started, in this turn or in somebody else's
        if own:
            heapq.heappush(waiting, (turn, own[0], person))
