"""What the machine does not do, and the sentence that says so, with the number.

Pure functions over the settings and a few counts: the queue counts inside the transaction in which it would write, so
thirty clicks at once pass no limit that one click would not. Asking for a training that somebody asked for already
makes the machine do nothing more, so only the rate is checked then; a teacher is not held to the limits of a person.
"""

from dataclasses import dataclass

from cnnlab.experiment import Experiment
from cnnlab.settings import Settings


class QuotaExceeded(RuntimeError):
    """No. The message is one sentence for the person who asked, with the number and what can be done."""


@dataclass(frozen=True, kw_only=True)
class QueueCounts:
    """What the queue holds at this moment: of this person active and asked for in the last minute, of all waiting."""

    active: int
    recent: int
    waiting: int
    is_accepting: bool


def check_rate(person: str, counts: QueueCounts, settings: Settings) -> None:
    """Raises Refused where this person has asked too often within a minute."""
    most = settings.submissions_per_minute
    if counts.recent >= most and not settings.is_teacher(person):
        raise QuotaExceeded(
            f"You have asked {counts.recent} times within a minute and {most} are allowed: wait a moment."
        )


def check_submission(experiment: Experiment, person: str, counts: QueueCounts, settings: Settings) -> None:
    """Whether a new training may be put in line. Raises Refused."""
    if not counts.is_accepting:
        raise QuotaExceeded("No new trainings are taken at the moment: the teacher has closed the queue.")
    if experiment.epochs > settings.epochs:
        raise QuotaExceeded(f"At most {settings.epochs} epochs are trained here. Received: epochs={experiment.epochs}")
    if counts.waiting >= settings.queue_length:
        raise QuotaExceeded(
            f"{counts.waiting} trainings wait already, and no more than {settings.queue_length} may: try again later."
        )
    most = settings.jobs_per_person
    if counts.active >= most and not settings.is_teacher(person):
        yours = f"{counts.active} trainings of yours wait or run" if counts.active > 1 else "A training of yours is on"
        raise QuotaExceeded(
            f"{yours}, and {most} at a time {'are' if most > 1 else 'is'} allowed: stop one, or wait for it."
        )


def time_limit_message(minutes: float) -> str:
    """Why a training was ended by the clock."""
    return f"It reached the limit of {minutes:g} minutes for one training."


def disk_limit_message(used: float, most: float) -> str:
    """Why a training was not begun. `used` and `most` in bytes."""
    return (
        f"The runs take {used / 1e9:.3g} GB of the {most / 1e9:.3g} GB that they may take, and those that are left "
        "are pinned or being looked at: ask the teacher to make room."
    )


def memory_message(device: str, *, exclusive: bool) -> str:
    """Why a training broke off for want of memory; `alone`: although nothing else was on the device."""
    memory = f"The memory of {device} was not enough" if device else "The memory was not enough"
    if exclusive:
        return f"{memory}, although this training had it to itself: choose fewer filters or a smaller batch."
    return f"{memory}; the training is tried once more, with nothing beside it."
