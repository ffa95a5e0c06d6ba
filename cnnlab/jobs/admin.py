"""The actions of a teacher: stop any training, retry a failed one, pin or remove a run or pictures, close the queue.

A teacher is a person whose account the settings name (`teacher`), or who typed the right `teacher_key`; without these
settings nobody is one. It is checked here, not in a page. `access_keys.check_teacher_key` limits wrong keys.
"""

import hmac

from cnnlab import settings
from cnnlab.data import own_pictures
from cnnlab.jobs.job import Job
from cnnlab.jobs.queue import Queue
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.storage import run_retention


def is_teacher(person: str, key: str = "") -> bool:
    """Whether the settings name this person as a teacher, or `key` is the teacher's. Raises SettingsError."""
    allowed = settings.current()
    known = allowed.teacher_key.encode()
    return allowed.is_teacher(person) or (bool(known) and hmac.compare_digest(known, key.encode()))


class Admin:
    """The actions, for a teacher. Raises QuotaExceeded for anybody else, SettingsError."""

    def __init__(self, queue: Queue, person: str, key: str = "") -> None:
        if not is_teacher(person, key):
            raise QuotaExceeded("Only the teacher can do this, and you are not named in the settings as one.")
        self.queue = queue
        self.person = person

    def stop(self, job: Job | int) -> Job:
        """Stop a training, whoever asked for it. Raises UnknownJob."""
        return self.queue.stop(job)

    def retry(self, job: Job | int) -> Job:
        """Ask again, as the teacher, for a job that failed or was cancelled. Raises UnknownJob, QuotaExceeded."""
        found = self.queue.get(job.id if isinstance(job, Job) else job)
        return self.queue.submit(found.experiment, self.person, is_teacher=True)

    def pin(self, key: str, pinned: bool = True) -> None:
        """Pin a run, so that retention never removes it, or end that. Raises UnknownRun."""
        run_retention.pin(key, pinned)

    def remove(self, name: str) -> None:
        """Remove a run trained here. Raises UnknownRun where there is none, or while it is being trained."""
        run_retention.remove_run(name)

    def remove_pictures(self, name: str) -> None:
        """Remove a data set of somebody's own pictures; its runs stay. Raises DatasetMissing, OSError."""
        own_pictures.remove(name)

    def set_accepting(self, accepting: bool) -> None:
        """Accept new trainings, or refuse them; jobs that wait or run continue."""
        self.queue.set_accepting(accepting)
