"""Thirty people press the same buttons; then two hundred requests arrive within a second.

    python tests/load/submissions.py

First thirty browsers ask at one moment for eight distinct experiments: exactly eight trainings may happen, and each
person has theirs. Then five processes send 300 requests to a queue at which a dispatcher works: forty people ask for
four trainings each and may have three, one wants to join twenty that wait already and may ask twelve times in a minute,
twenty ask for the same, ninety come from one network address, each with a cookie of its own, and ten ask for a training
that costs too much.

Targets: eight workers, eight finished runs; the burst takes no more than 5 ms a request, every request is accepted or
refused with a sentence, what was accepted stands in the queue, no limit is passed, and the queue's file is whole.
"""

import asyncio
import multiprocessing
import random
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from browser_protocol import Browser
from load_report import Findings
from server import Lab, attempts, fresh_lab, is_done

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.jobs.queue import Queue
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.ui.experiment_params import experiment_params

PEOPLE, DISTINCT = 30, 8
PATIENCE = 900.0  # seconds for eight small trainings
PROCESSES = 5
EAGER, EVERYBODY, EARLY, VISITOR, COSTLY = "eager", "follower", "early", "visitor", "costly"
SECONDS_A_REQUEST = 0.005
LEAD_SECONDS = 3.0  # in which every process comes to its start


def small(seed: int) -> Experiment:
    """A training of seconds."""
    return Experiment(dataset="shapes", filters=8, dense=16, train_images=200, epochs=2, seed=seed)


# -- thirty people, eight experiments ----------------------------------------------------------------------------------


async def everybody_asks(lab: Lab) -> list[str]:
    """Thirty browsers open their pages, then all press the button; what their pages complain about."""
    browsers = [Browser(lab.url) for _ in range(PEOPLE)]
    asked = [small(number % DISTINCT) for number in range(PEOPLE)]
    await asyncio.gather(
        *(browser.open("", **experiment_params(one)) for browser, one in zip(browsers, asked, strict=True))
    )
    await asyncio.gather(*(browser.press("Train it", "asking") for browser in browsers))
    give_up = time.monotonic() + PATIENCE
    while not all(is_done(one) for one in asked) and time.monotonic() < give_up:
        await asyncio.sleep(1)
    said = [text for browser in browsers for text in browser.texts]
    for browser in browsers:
        await browser.close()
    return said


def eight_trainings(found: Findings) -> None:
    """The first half."""
    with fresh_lab() as lab:
        lab.start_web()
        said = asyncio.run(everybody_asks(lab))
        started = [attempts(small(seed)) for seed in range(DISTINCT)]
        folders = len(list(lab.home.glob("runs/*/model.keras")))
        [(jobs,)] = lab.rows("SELECT count(*) FROM jobs")
        [(people,)] = lab.rows("SELECT count(DISTINCT person) FROM requests")
        found.tell("workers started", sum(started), str(DISTINCT), sum(started) == DISTINCT)
        found.tell("finished run directories", folders, str(DISTINCT), folders == DISTINCT)
        found.tell("jobs in the queue's file", jobs, str(DISTINCT), jobs == DISTINCT)
        found.tell("people with a request", people, str(PEOPLE), people == PEOPLE)
        found.tell("pages that say something is wrong", len(said), "none", not said)


# -- two hundred requests in a second ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What a request came to: the number of its job, or what was said instead; when it began and ended (Unix time)."""

    person: str
    key: str
    job: int | None
    said: str
    began: float
    ended: float


def costly(seed: int) -> Experiment:
    """A training that costs more than one person may ask for."""
    return Experiment(epochs=200, filters=256, seed=seed)


def plan() -> list[tuple[str, Experiment]]:
    """The 300 requests, person and experiment, in an order drawn by lot."""
    wanted = [(f"student{person}", small(100 + 4 * person + which)) for person in range(40) for which in range(4)]
    wanted += [(EAGER, small(1000 + which)) for which in range(20)]
    wanted += [(f"{EVERYBODY}{number}", small(2000)) for number in range(20)]
    wanted += [(f"{VISITOR}{number}", small(3000 + number)) for number in range(90)]
    wanted += [(f"{COSTLY}{number}", costly(number)) for number in range(10)]
    random.Random(0).shuffle(wanted)
    return wanted


def send(requests: list[tuple[str, Experiment]], start: float) -> list[Answer]:
    """One process's share, from this moment (Unix time) on."""
    queue, answers = Queue(), []
    queue.revision()
    time.sleep(max(0.0, start - time.time()))
    for person, experiment in requests:
        began = time.time()
        try:
            job, said = queue.submit(experiment, person, address=address_of(person)).id, ""
        except QuotaExceeded as no:
            job, said = None, str(no)
        except Exception as error:  # whatever it is, it is what is looked for
            job, said = None, f"ERROR {error!r}"
        answers.append(Answer(person, experiment.key, job, said, began, time.time()))
    return answers


def address_of(person: str) -> str:
    """The visitors come from one network address, everybody else from an unknown one."""
    return VISITOR if person.startswith(VISITOR) else ""


def burst(found: Findings) -> None:
    """The second half."""
    with fresh_lab() as lab:
        for number in range(20):
            lab.queue.submit(small(1000 + number), f"{EARLY}{number // 3}")
        lab.start_dispatcher()
        wanted = plan()
        start = time.time() + LEAD_SECONDS
        shares = [wanted[number::PROCESSES] for number in range(PROCESSES)]
        with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
            answers = [one for share in pool.map(send, shares, [start] * PROCESSES) for one in share]
        judge(found, lab, answers)


def judge(found: Findings, lab: Lab, answers: list[Answer]) -> None:
    """Compare what people were told with what the queue holds."""
    accepted = [answer for answer in answers if answer.job is not None]
    broken = [answer.said for answer in answers if answer.said.startswith("ERROR")]
    seconds = max(answer.ended for answer in answers) - min(answer.began for answer in answers)
    slowest = max(answer.ended - answer.began for answer in answers)
    everything = set(lab.rows("SELECT person, job FROM requests"))
    keys = [key for (key,) in lab.rows("SELECT key FROM jobs")]
    each = Counter(answer.person for answer in accepted)
    students = max(count for person, count in each.items() if person.startswith("student"))
    allowed, waiting, active = settings.current(), len(lab.queue.waiting()), len(lab.queue.active())
    held = {one for one in everything if not one[0].startswith(EARLY)}
    told = {(answer.person, answer.job) for answer in accepted}
    most_seconds = SECONDS_A_REQUEST * len(answers)
    found.tell(
        f"{len(answers)} requests",
        f"{seconds:.2f} s, the slowest {1000 * slowest:.0f} ms",
        f"{most_seconds:g} s",
        seconds <= most_seconds,
    )
    refused = len(answers) - len(accepted) - len(broken)
    found.tell(
        "accepted, refused with a sentence, broken",
        f"{len(accepted)}, {refused}, {len(broken)}",
        "none broken",
        not broken,
    )
    found.tell("accepted and not in the queue, or the reverse", len(told ^ held), "none", told == held)
    found.tell("experiments with two jobs", len(keys) - len(set(keys)), "none", len(keys) == len(set(keys)))
    most = allowed.queue_length
    met = waiting <= most <= active
    found.tell(
        "trainings that wait, and run", f"{waiting}, {active - waiting}", f"{most} at most, and all of them used", met
    )
    most = allowed.jobs_per_person
    found.tell("most trainings of one person", students, f"{most} at most", students <= most)
    most = allowed.submissions_per_minute
    found.tell("requests of one person in a minute", each[EAGER], f"{most}, as many as may", each[EAGER] == most)
    judge_visitors(found, each)
    integrity = lab.integrity()
    found.tell("PRAGMA integrity_check", integrity, "ok", integrity == "ok")
    for line in broken[:5]:
        print("   ", line)


def judge_visitors(found: Findings, each: Counter[str]) -> None:
    """The limits of one network address and of the cost."""
    allowed = settings.current()
    visitors = sum(count for person, count in each.items() if person.startswith(VISITOR))
    places = -(-allowed.queue_length * allowed.address_percent // 100)
    most = min(places + 1, allowed.address_submissions_per_minute)  # one of them may run
    found.tell("trainings of one network address", visitors, f"{most} at most", visitors <= most)
    too_costly = sum(count for person, count in each.items() if person.startswith(COSTLY))
    found.tell("trainings that cost too much", too_costly, "none", not too_costly)


def main() -> int:
    """Both halves, one table."""
    found = Findings(f"{PEOPLE} people and {DISTINCT} experiments; {len(plan())} requests at once")
    eight_trainings(found)
    burst(found)
    return found.close()


if __name__ == "__main__":
    sys.exit(main())
