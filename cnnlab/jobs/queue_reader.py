"""The queries of the queue: jobs by number, key, state and person, their order, and its counters."""

from cnnlab.jobs import queue_statements as statements
from cnnlab.jobs.job import QUEUED, RUNNING, Job
from cnnlab.jobs.queue_file import QueueFile


class QueueReader(QueueFile):
    """The queries. Each is one read transaction; inside another transaction of this queue it is part of that one."""

    def revision(self) -> int:
        """A number that increases with every change of the queue by any process; the cheapest query."""
        with self.read_transaction() as db:
            return statements.read_counter(db, "stamp")

    def get(self, number: int) -> Job:
        """The job with this number. Raises UnknownJob."""
        with self.read_transaction() as db:
            return statements.get_job(db, number)

    def for_key(self, key: str) -> Job | None:
        """The latest job of the experiment with this key, whatever its state."""
        with self.read_transaction() as db:
            return statements.select_job(db, "key = ? ORDER BY id DESC", key)

    def running(self) -> list[Job]:
        """The running jobs, earliest start first."""
        with self.read_transaction() as db:
            return statements.select_jobs(db, "state = 'running' ORDER BY started, id")

    def waiting(self) -> list[Job]:
        """The jobs that wait, in the order in which they will start."""
        with self.read_transaction() as db:
            waiting = {job.id: job for job in statements.select_jobs(db, "state = 'queued'")}
            return [waiting[turn.job] for turn in statements.waiting_turns(db)]

    def active(self) -> list[Job]:
        """The running jobs, then the waiting ones in their order."""
        with self.read_transaction():
            return self.running() + self.waiting()

    def position(self, job: Job | int) -> int | None:
        """0 for a running job, 1 for the next waiting one, and so on; None for a finished job. Raises UnknownJob."""
        with self.read_transaction() as db:
            current = statements.get_job(db, job_number(job))
            if current.state != QUEUED:
                return 0 if current.state == RUNNING else None
            return next(
                position
                for position, turn in enumerate(statements.waiting_turns(db), start=1)
                if turn.job == current.id
            )

    def jobs_for(self, person: str, *, finished_since: float | None = None) -> list[Job]:
        """The jobs that `person` requested and did not withdraw from, newest first; or those finished since then."""
        condition = "id IN (SELECT job FROM requests WHERE person = ? AND withdrawn IS NULL)"
        with self.read_transaction() as db:
            if finished_since is None:
                return statements.select_jobs(db, f"{condition} ORDER BY id DESC", person)
            return statements.select_jobs(
                db, f"{condition} AND finished > ? AND attempts > 0 ORDER BY finished DESC", person, finished_since
            )

    def has_asked(self, person: str, before: float) -> bool:
        """Whether `person` asked for any training before this Unix time."""
        with self.read_transaction() as db:
            return statements.has_asked(db, person, before)

    def is_accepting(self) -> bool:
        """Whether new trainings are taken."""
        with self.read_transaction() as db:
            return not statements.read_counter(db, "closed")

    def slots(self) -> int:
        """How many trainings the last dispatcher runs at a time."""
        with self.read_transaction() as db:
            return statements.read_counter(db, "slots")

    def count_states(self, since: float) -> dict[str, int]:
        """The number of jobs submitted after this Unix time by their state, without states that have none."""
        with self.read_transaction() as db:
            return statements.count_states(db, since)

    def recent(self, limit: int = 50) -> list[Job]:
        """The last finished jobs, latest first."""
        with self.read_transaction() as db:
            return statements.select_jobs(db, "finished IS NOT NULL ORDER BY finished DESC, id DESC LIMIT ?", limit)


def job_number(job: Job | int) -> int:
    """The number of a job, or the number itself."""
    return job.id if isinstance(job, Job) else job
