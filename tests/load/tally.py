"""The counts of one table of attacks, shown while it grows."""

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

MAX_SECONDS, MAX_MEGABYTES = 2.0, 300.0
SHOWN_SECONDS = 10.0  # between two lines of progress
HEADINGS = ("table", "tried", "ok", "one sentence", "crash", "over 2 s", "over 300 MB")
DETAILS = 20  # crashes that are written out
OK, SENTENCE, CRASH = "ok", "one sentence", "crash"


@dataclass
class Tally:
    """What became of each attempt of a table: OK, SENTENCE or CRASH; and how many took too long or too much memory."""

    name: str
    tried: int = 0
    ok: int = 0
    sentences: int = 0
    slow: int = 0
    large: int = 0
    most_seconds: float = 0.0
    most_megabytes: float = 0.0
    crashes: list[str] = field(default_factory=list)
    costly: list[str] = field(default_factory=list)
    shown: float = field(default_factory=time.monotonic)

    def add(self, outcome: str, seconds: float = 0.0, megabytes: float = 0.0, detail: str = "") -> None:
        """Count one attempt, which took seconds and megabytes; `detail` says which it was."""
        self.tried += 1
        self.ok += outcome == OK
        self.sentences += outcome == SENTENCE
        if outcome == CRASH:
            self.crashes.append(detail)
            print(f"{self.name}: CRASH: {detail}", file=sys.stderr, flush=True)
        self.slow += seconds > MAX_SECONDS
        self.large += megabytes > MAX_MEGABYTES
        if seconds > MAX_SECONDS or megabytes > MAX_MEGABYTES:
            self.costly.append(f"{seconds:.1f} s, {megabytes:.0f} MB: {detail}")
        self.most_seconds, self.most_megabytes = max(self.most_seconds, seconds), max(self.most_megabytes, megabytes)
        if time.monotonic() > self.shown + SHOWN_SECONDS:
            self.shown = time.monotonic()
            print(f"{self.name}: {self.tried} tried, {len(self.crashes)} crashed", file=sys.stderr, flush=True)

    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        counts = (self.tried, self.ok, self.sentences, len(self.crashes), self.slow, self.large)
        return (self.name, *map(str, counts))


def print_tallies(tallies: Iterable[Tally]) -> int:
    """Print the tables as one; 1 where anything crashed or took too much, else 0."""
    rows = list(tallies)
    print(f"\n| {' | '.join(HEADINGS)} |\n|{' --- |' * len(HEADINGS)}")
    for tally in rows:
        print(f"| {' | '.join(tally.cells())} |")
    for tally in rows:
        print(f"\n{tally.name}: at most {tally.most_seconds:.2f} s and {tally.most_megabytes:.0f} MB")
        for line in [*(f"crash: {one}" for one in tally.crashes), *tally.costly][:DETAILS]:
            print(f"    {line[:300]}")
    sys.stdout.flush()
    return int(any(tally.crashes for tally in rows))
