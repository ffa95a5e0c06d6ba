"""The limits of the queue, and the sentences that state them with their numbers.

Pure functions over the settings and a few counts. The queue counts in the transaction in which it writes, so concurrent
requests cannot pass a limit together. A request for a training that is already in the queue adds no work, so only the
rate is checked then; a teacher is exempt from the limits of one person.

A cookie costs a visitor nothing, so limits per person do not bound one visitor with many cookies. Three limits do: a
share of the places is reserved for people who have none waiting, one network address has a share of the places, and the
cost of trainings is limited, by person and by address. A class behind one address looks like one such visitor; a class
code or sign-in tells them apart (`deploy/README.md`).
"""

from dataclasses import dataclass
from functools import lru_cache

from cnnlab.experiment import Experiment
from cnnlab.formatting import pluralize
from cnnlab.jobs.eta import epoch_multiplications
from cnnlab.jobs.precision import slow_precision
from cnnlab.report_models import REPORT
from cnnlab.settings import Settings


class QuotaExceeded(RuntimeError):
    """A limit is reached. The message is one sentence for the page, with the number and the remedy."""


@dataclass(frozen=True, kw_only=True)
class RequesterCounts:
    """The requests of one person, or of one network address.

    `active`: trainings that wait or run; `waiting`: those that wait; `recent`: requests within the last minute; `cost`:
    the sum of the active ones' `training_cost`.
    """

    active: int
    waiting: int
    recent: int
    cost: float


@dataclass(frozen=True, kw_only=True)
class QueueCounts:
    """Counts of the queue: of this person, of its network address (zeros if unknown), and of all.

    `is_member`: the person has typed the class code, or needs none.
    """

    person: RequesterCounts
    address: RequesterCounts
    waiting: int
    is_accepting: bool
    is_member: bool


@lru_cache(maxsize=256)
def training_cost(experiment: Experiment) -> float:
    """Epochs times images times multiply-adds, in units of one training of the report's 3-conv network."""
    unit = REPORT["3conv-none"].experiment
    return experiment.epochs * epoch_multiplications(experiment) / (unit.epochs * epoch_multiplications(unit))


def check_rate(counts: QueueCounts, settings: Settings, *, is_teacher: bool) -> None:
    """Raises QuotaExceeded where this person, or this address, asked too often within a minute."""
    if is_teacher:
        return
    most = settings.submissions_per_minute
    if counts.person.recent >= most:
        raise QuotaExceeded(
            f"You have asked {pluralize(counts.person.recent, 'time')} within a minute, the limit is {most}: wait a"
            " moment."
        )
    most = settings.address_submissions_per_minute
    if counts.address.recent >= most:
        raise QuotaExceeded(
            f"From your network {pluralize(counts.address.recent, 'request has', 'requests have')} come within a"
            f" minute, the limit is {most}: wait a moment."
        )


def check_submission(experiment: Experiment, counts: QueueCounts, settings: Settings, *, is_teacher: bool) -> None:
    """Raises QuotaExceeded unless a new training may be added to the queue."""
    if not counts.is_accepting:
        raise QuotaExceeded("No new trainings are accepted at the moment: the teacher has closed the queue.")
    if experiment.epochs > settings.epochs:
        raise QuotaExceeded(f"At most {settings.epochs} epochs are trained here. Received: epochs={experiment.epochs}")
    if hint := slow_precision(experiment):
        raise QuotaExceeded(f"{hint} Choose float32.")
    if counts.waiting >= settings.queue_length:
        raise QuotaExceeded(
            f"{pluralize(counts.waiting, 'training waits', 'trainings wait')} already, and no more than"
            f" {settings.queue_length} may: try again later."
        )
    if is_teacher:
        return
    if not counts.is_member:
        raise QuotaExceeded("Type the class code on the page Train first: your teacher has it.")
    check_places(counts, settings)
    check_cost(training_cost(experiment), counts, settings)


def check_places(counts: QueueCounts, settings: Settings) -> None:
    """Check the limits of one person and of one network address on places. Raises QuotaExceeded."""
    active, most = counts.person.active, settings.jobs_per_person
    if active >= most:
        yours = f"{active} trainings of yours wait or run" if active > 1 else "A training of yours is on"
        raise QuotaExceeded(
            f"{yours}, and {most} at a time {'are' if most > 1 else 'is'} allowed: stop one, or wait for it."
        )
    reserved = settings.queue_length * settings.reserved_percent // 100
    if counts.person.waiting and counts.waiting >= settings.queue_length - reserved:
        raise QuotaExceeded(
            f"{pluralize(counts.waiting, 'training waits', 'trainings wait')}, one of yours among them, and the last"
            f" {pluralize(reserved, 'place is', 'places are')} kept for people who have none waiting: try again when"
            " yours has begun."
        )
    most = -(-settings.queue_length * settings.address_percent // 100)
    if counts.address.waiting >= most:
        raise QuotaExceeded(
            f"From your network {pluralize(counts.address.waiting, 'training waits', 'trainings wait')} already, and"
            f" {most} may: try again later."
        )


def check_cost(cost: float, counts: QueueCounts, settings: Settings) -> None:
    """Check the limits of one person and of one network address on the cost. Raises QuotaExceeded."""
    for subject, before, most in (
        ("Your trainings", counts.person.cost, settings.cost_per_person),
        ("The trainings from your network", counts.address.cost, settings.address_cost),
    ):
        if before + cost > most:
            raise QuotaExceeded(
                f"{subject} would cost as much as {before + cost:.3g} of the report's 3-conv network, and {most:.4g}"
                " at a time is the most: choose fewer epochs, filters or images, or wait."
            )


def time_limit_message(minutes: float) -> str:
    """Why a training was stopped by the time limit."""
    return f"It reached the limit of {minutes:g} minutes for one training."


def disk_limit_message(used: float, most: float) -> str:
    """Why a training was not started. `used` and `most` in bytes."""
    return (
        f"The runs take {used / 1e9:.3g} GB of the {most / 1e9:.3g} GB that they may take, and those that are left "
        "are pinned or being viewed: ask the teacher to make room."
    )


def memory_message(device: str, *, exclusive: bool) -> str:
    """Why a training ran out of memory; `exclusive`: although nothing else was on the device."""
    memory = f"The memory of {device} was not enough" if device else "The memory was not enough"
    if exclusive:
        return f"{memory}, although no other training used it: choose fewer filters or a smaller batch."
    return f"{memory}; the training is tried once more, with no other beside it."
