"""SIGKILL at random moments, of worker, dispatcher, web server or all three: nothing that was asked for is lost.

    python tests/load/kills.py [--times 20] [--seed 0] [--quick]

Three people (with `--quick` one, who asks for shorter trainings) each have a page open and ask for one small training
after another, until all kills are done. The web server is started again a second after it was killed, as a service
would; nobody starts the dispatcher or a worker but the product itself, and the only thing that a person does is to
press the button that the page offers. A training is resumed three times by itself, so one that is hit more often waits
for somebody to press Continue: the table counts how often that was needed. Afterwards the same trainings are run once
more, each alone and in peace.

Targets: every training is done, its history equals the undisturbed one's to the last digit, the queue's file is whole.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from browser_protocol import Browser, NotAnswered
from load_report import Findings
from server import Lab, attempts, fresh_lab, is_done, undisturbed
from tally import CRASH, OK, Tally

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.jobs.job import DONE
from cnnlab.ui.experiment_params import experiment_params

KINDS = ("worker", "dispatcher", "web server", "all three")
PAUSE = (2.0, 12.0)  # seconds between two kills
SHOWN_SECONDS = 10.0  # between two lines of progress
SETTLING = 10.0  # seconds in which the dispatcher writes down what is done
REGULARIZERS = ("dropout", "batchnorm", "l2", "none")


@dataclass(frozen=True)
class Size:
    """How many people ask, for trainings of how many epochs, and the seconds in which all has to be done at the end."""

    people: int
    epochs: int
    patience: float


WHOLE, QUICK = Size(people=3, epochs=40, patience=600.0), Size(people=1, epochs=8, patience=180.0)


def experiment(number: int, epochs: int) -> Experiment:
    """A small one, with everything that a checkpoint has to hold: forty epochs take about twenty seconds."""
    kind = REGULARIZERS[number % len(REGULARIZERS)]
    return Experiment(
        dataset="shapes", regularizer=kind, filters=8, dense=16, train_images=600, epochs=epochs, batch=32, seed=number
    )


class Storm:
    """The lab under fire: who was killed how often, and what the people in it did."""

    def __init__(self, lab: Lab, times: int, seed: int, size: Size = WHOLE) -> None:
        self.lab, self.times, self.size, self.chance = lab, times, size, random.Random(seed)
        self.killed: Counter[str] = Counter()
        self.pressed: Counter[str] = Counter()
        self.wanted: list[Experiment] = []
        self.ended = 0.0  # monotonic seconds of the last kill

    async def run(self) -> None:
        """Until the kills are done and everybody has what they asked for, or nobody has patience any more."""
        people = [asyncio.create_task(self.person()) for _ in range(self.size.people)]
        telling = asyncio.create_task(self.tell_progress())
        await self.kill_all()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*people), self.size.patience)
        telling.cancel()
        await asyncio.sleep(SETTLING)

    async def tell_progress(self) -> None:
        """A line now and then, for whoever waits."""
        while True:
            await asyncio.sleep(SHOWN_SECONDS)
            done, killed = sum(map(is_done, self.wanted)), self.killed.total()
            print(f"kills: {killed} of {self.times}, {done} of {len(self.wanted)} trainings done", file=sys.stderr)

    async def kill_all(self) -> None:
        """One after the other, each when whoever it is for is at work."""
        for number in range(self.times):
            kind = self.chance.choice(KINDS)
            await asyncio.sleep(self.chance.uniform(*PAUSE))
            victims = self.victims(kind)
            while not victims:
                await asyncio.sleep(0.1)
                victims = self.victims(kind)
            print(f"{number + 1}: SIGKILL to the {kind}", flush=True)
            for victim in victims:
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
            self.killed[kind] += 1
            if self.lab.web.pid in victims:
                self.lab.web.wait()
                await asyncio.sleep(1)
                await asyncio.to_thread(self.lab.start_web)
        self.ended = time.monotonic()

    def victims(self, kind: str) -> list[int]:
        """The processes to kill; none where one of them is not at work at this moment."""
        dispatcher, web = [pid for pid in [self.lab.dispatcher()] if pid], [self.lab.web.pid]
        named = {"worker": self.lab.workers(), "dispatcher": dispatcher, "web server": web}
        groups = list(named.values()) if kind == "all three" else [named[kind]]
        return [pid for group in groups for pid in group] if all(groups) else []

    async def person(self) -> None:
        """Asks for one training after another while there are kills to come."""
        while not self.ended:
            mine = experiment(len(self.wanted), self.size.epochs)
            self.wanted.append(mine)
            while not is_done(mine):
                with suppress(NotAnswered, OSError, LookupError):
                    await self.watch(mine)
                await asyncio.sleep(1)

    async def watch(self, mine: Experiment) -> None:
        """Look at the training's page until it is done or the server is gone, and press what the page offers."""
        browser = Browser(self.lab.url)
        try:
            await browser.open("", **experiment_params(mine))
            while not is_done(mine) and not browser.gone:
                for button in ("Train it", "Continue"):
                    if browser.find(button):
                        await browser.press(button, button)
                        self.pressed[button] += 1
                await asyncio.sleep(0.5)
        finally:
            await browser.close()


def judge(storm: Storm) -> int:
    """The table."""
    lab, wanted = storm.lab, storm.wanted
    done = [one for one in wanted if is_done(one)]
    latest = [lab.queue.for_key(one.key) for one in wanted]
    settled = sum(job is not None and job.state == DONE for job in latest)
    resumed = sum(max(0, attempts(one) - 1) for one in wanted)
    same = sum(history_of(one) == undisturbed(one) for one in done)
    found = Findings(f"{storm.killed.total()} times SIGKILL, {len(wanted)} trainings of {storm.size.people} people")
    found.tell("killed", ", ".join(f"{kind} {count}" for kind, count in sorted(storm.killed.items())))
    found.tell("trainings that are done", f"{len(done)} of {len(wanted)}", "all", len(done) == len(wanted))
    found.tell("jobs that are done", f"{settled} of {len(wanted)}", "all", settled == len(wanted))
    found.tell("histories equal to the undisturbed", f"{same} of {len(wanted)}", "all", same == len(wanted))
    integrity = lab.integrity()
    found.tell("PRAGMA integrity_check", integrity, "ok", integrity == "ok")
    found.tell("workers started again", resumed)
    found.tell("Continue pressed by a person", storm.pressed["Continue"])
    return found.close()


def storm_tally(times: int, seed: int, size: Size = WHOLE) -> Tally:
    """One attempt a training: ok where it is done with the undisturbed history; prints the table of the kills."""
    tally = Tally("kills")
    with fresh_lab() as lab:
        lab.start_web()
        storm = Storm(lab, times, seed, size)
        asyncio.run(storm.run())
        for one in storm.wanted:
            equal = is_done(one) and history_of(one) == undisturbed(one)
            tally.add(OK if equal else CRASH, detail="" if equal else f"{one.key}: done={is_done(one)}")
        judge(storm)
    return tally


def history_of(one: Experiment) -> bytes:
    """The history of a run."""
    return (settings.runs_dir() / one.key / "history.csv").read_bytes()


def main() -> int:
    """Kill, wait, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20, help="how many kills (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="for the moments and the victims")
    parser.add_argument("--quick", action="store_true", help="one person, shorter trainings")
    options = parser.parse_args()
    with fresh_lab() as lab:
        lab.start_web()
        storm = Storm(lab, options.times, options.seed, QUICK if options.quick else WHOLE)
        asyncio.run(storm.run())
        return judge(storm)


if __name__ == "__main__":
    sys.exit(main())
