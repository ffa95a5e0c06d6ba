"""What only the teacher may do, checked here and not in a page.

Stop anybody's training, start one again that failed, keep a run, close the queue.

A teacher is whose account the settings name (`teacher`), or who knows their `teacher_key`. Without either there is
none, and nobody can sit down at the desk. Tries of the key are taken by `access_keys.check_teacher_key`.
"""

import hmac

from cnnlab import settings
from cnnlab.jobs.job import Job
from cnnlab.jobs.queue import Queue
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.storage import run_retention


def is_teacher(person: str, key: str = "") -> bool:
    """Whether this person is named as a teacher, or knows the key. Raises SettingsError."""
    allowed = settings.current()
    known = allowed.teacher_key.encode()
    return allowed.is_teacher(person) or (bool(known) and hmac.compare_digest(known, key.encode()))


class Admin:
    """The teacher's desk. Sitting down at it is refused to everybody else: raises Refused, SettingsError."""

    def __init__(self, queue: Queue, person: str, key: str = "") -> None:
        if not is_teacher(person, key):
            raise QuotaExceeded("Only the teacher can do this, and you are not named in the settings as one.")
        self.queue = queue
        self.person = person

    def stop(self, job: Job | int) -> Job:
        """Stop a training, whoever asked for it. Raises UnknownJob."""
        return self.queue.stop(job)

    def retry(self, job: Job | int) -> Job:
        """Ask again for what failed or was cancelled, in the teacher's name. Raises UnknownJob, Refused."""
        found = self.queue.get(job.id if isinstance(job, Job) else job)
        return self.queue.submit(found.experiment, self.person, is_teacher=True)

    def pin(self, key: str, pinned: bool = True) -> None:
        """Keep a run whatever room others need, or no longer. Raises UnknownRun."""
        run_retention.pin(key, pinned)

    def remove(self, name: str) -> None:
        """Remove a run trained here. Raises UnknownRun where there is none, or where it is at work."""
        run_retention.remove_run(name)

    def take_new(self, accepting: bool) -> None:
        """Open the queue for new trainings, or close it; what waits or runs is not touched."""
        self.queue.set_accepting(accepting)
