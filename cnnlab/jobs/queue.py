"""The queue of trainings: one SQLite file that the web process and the dispatcher share.

    queued -> running -> done | failed | cancelled

- One active job for each experiment (a unique index on its key), however many people ask for it. Each of them has a
  request on the job; withdrawing the last request ends it.
- A running job is wanted while it has a request; this is not stored separately.

`queue_file` holds the connection and its transactions, `queue_reader` the queries. A `Queue` may be shared by threads.
The times are Unix times in seconds.
"""

import re
import time
from collections.abc import Callable

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.jobs import queue_statements as statements
from cnnlab.jobs import quotas
from cnnlab.jobs.job import CANCELLED, DONE, FAILED, QUEUED, RUNNING, TERMINAL_STATES, Job
from cnnlab.jobs.queue_reader import QueueReader, job_number
from cnnlab.storage import runs

PERSON_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
MAX_RESUMES = 3  # a worker that crashes is started again this often
MAX_ATTEMPTS = 25  # workers of a job, whatever ended them: bounds a training that crashes its machine


class PersonError(ValueError):
    """The name of a person has a wrong form."""


class NotRequester(RuntimeError):
    """A person without a request on a training tried to withdraw from it."""


class Queue(QueueReader):
    """The jobs of one home. `path` is the SQLite file, by default `jobs.sqlite` in the home."""

    # -- requests ----------------------------------------------------------------------------------------------------

    def submit(self, experiment: Experiment, person: str, *, address: str = "", is_teacher: bool = False) -> Job:
        """`person` asks for the training of `experiment`: a new job, or the one that is already queued or running.

        For an experiment with a finished run the result is a job that is done. `address` is a digest of the network
        address of the request ("": unknown); `is_teacher`: the request comes from somebody with the teacher's key.
        Raises QuotaExceeded where a limit is reached, TypeError for anything but an Experiment, PersonError for a name
        of a wrong form, SettingsError, QueueError.
        """
        if not isinstance(experiment, Experiment):
            raise TypeError(f"Ask for an Experiment. Received: experiment={experiment!r}")
        check_person(person)
        state, allowed = DONE if has_finished_run(experiment) else QUEUED, settings.current()
        with self.write_transaction() as db:
            job = statements.select_job(
                db, "key = ? AND state IN ('queued', 'running') ORDER BY id DESC", experiment.key
            )
            if job is None or person not in job.requesters:
                counts = statements.queue_counts(db, person, address, allowed)
                exempt = is_teacher or allowed.is_teacher(person)
                quotas.check_rate(counts, allowed, is_teacher=exempt)
                if job is None and state == QUEUED:
                    quotas.check_submission(experiment, counts, allowed, is_teacher=exempt)
            if job is None:
                number = statements.insert_job(db, experiment, state, quotas.training_cost(experiment))
            elif job.state == QUEUED and state == DONE:
                number = statements.set_terminal_state(db, job.id, DONE)
            else:
                number = job.id
            statements.insert_request(db, number, person, address)
            if number % statements.FORGET_EVERY == 0:
                statements.forget_untrained_jobs(db)
            return statements.get_job(db, number)

    def cancel(self, job: Job | int, person: str) -> Job:
        """Withdraw `person`'s request. A job without requests is cancelled, or stopped if it is running.

        Raises NotRequester if `person` has no request on an unfinished job, UnknownJob.
        """
        with self.write_transaction() as db:
            current = statements.get_job(db, job_number(job))
            if current.is_finished:
                return current
            if person not in current.requesters:
                raise NotRequester(f"Only who asked for a training can stop it. Received: person={person!r}")
            statements.withdraw(db, "job = ? AND person = ?", current.id, person)
            return statements.cancel_unwanted(db, current.id)

    def stop(self, job: Job | int) -> Job:
        """Withdraw all requests on the job: for the teacher. Raises UnknownJob."""
        with self.write_transaction() as db:
            current = statements.get_job(db, job_number(job))
            if current.is_finished:
                return current
            statements.withdraw(db, "job = ?", current.id)
            return statements.cancel_unwanted(db, current.id)

    # -- for the dispatcher ------------------------------------------------------------------------------------------

    def claim(self, allocate: Callable[[Job], str | None] = lambda job: "") -> Job | None:
        """The next waiting job, marked as running; None if none can start.

        `allocate` returns the device for a job, or None if the job has to wait: then the next job is tried.
        """
        with self.write_transaction() as db:
            for turn in statements.waiting_turns(db):
                device = allocate(statements.get_job(db, turn.job))
                if device is not None:
                    statements.take_turn(db, turn)
                    begun = "state = 'running', started = ?, attempts = attempts + 1, device = ?"
                    db.execute(f"UPDATE jobs SET {begun} WHERE id = ?", (time.time(), device, turn.job))
                    return statements.get_job(db, turn.job)
            return None

    def finish(self, job: Job | int, state: str, reason: str | None = None) -> Job:
        """Set the job's final state (done, failed or cancelled); a finished job does not change."""
        if state not in TERMINAL_STATES:
            raise ValueError(f"A job ends as one of {', '.join(TERMINAL_STATES)}. Received: state={state!r}")
        with self.write_transaction() as db:
            return statements.get_job(db, statements.set_terminal_state(db, job_number(job), state, reason))

    def record_interruption(self, job: Job | int, crash: str | None = None, worked: float = 0.0) -> Job:
        """Record that the worker of a running job ended without a result.

        `crash` is the reason, None for a worker that was asked to stop; `worked` the seconds that it ran. A job without
        requests is cancelled. Otherwise it waits again, before all others. It fails after more than MAX_RESUMES crashes
        or MAX_ATTEMPTS starts.
        """
        with self.write_transaction() as db:
            current = statements.get_job(db, job_number(job))
            if current.state != RUNNING:
                return current
            crashes = current.crashes + (crash is not None)
            db.execute("UPDATE jobs SET crashes = ?, worked = worked + ? WHERE id = ?", (crashes, worked, current.id))
            if not current.is_wanted:
                statements.set_terminal_state(db, current.id, CANCELLED)
            elif crashes > MAX_RESUMES:
                statements.set_terminal_state(
                    db,
                    current.id,
                    FAILED,
                    f"The training was resumed {MAX_RESUMES} times and ended early again: {crash}",
                )
            elif current.attempts >= MAX_ATTEMPTS:
                reason = (
                    f"The training was started {current.attempts} times and interrupted each time: ask for it again."
                )
                statements.set_terminal_state(db, current.id, FAILED, reason)
            else:
                db.execute("UPDATE jobs SET state = 'queued', reason = ? WHERE id = ?", (crash, current.id))
            return statements.get_job(db, current.id)

    def record_out_of_memory(self, job: Job | int, worked: float = 0.0) -> Job:
        """Record that the worker ran out of memory: the job is retried once, alone on a device, or fails."""
        with self.write_transaction() as db:
            current = statements.get_job(db, job_number(job))
            if current.state != RUNNING:
                return current
            reason = quotas.memory_message(current.device, exclusive=current.exclusive)
            if current.exclusive or not current.is_wanted:
                statements.set_terminal_state(db, current.id, FAILED if current.is_wanted else CANCELLED, reason)
            else:
                sql = "UPDATE jobs SET state = 'queued', alone = 1, reason = ?, worked = worked + ? WHERE id = ?"
                db.execute(sql, (reason, worked, current.id))
            return statements.get_job(db, current.id)

    def set_slots(self, slots: int) -> None:
        """Store how many trainings run at a time, for the pages."""
        with self.write_transaction() as db:
            db.execute("UPDATE counters SET value = ? WHERE name = 'slots'", (slots,))

    def set_accepting(self, accepting: bool) -> None:
        """Set whether new trainings are accepted: for the teacher."""
        with self.write_transaction() as db:
            db.execute("UPDATE counters SET value = ? WHERE name = 'closed'", (int(not accepting),))


def has_finished_run(experiment: Experiment, thorough: bool = False) -> bool:
    """Whether a finished and whole run of the experiment exists; a damaged one is trained again.

    `thorough` opens every file of the run, which takes a second.
    """
    run = runs.find_run(experiment)
    return run is not None and run.state == "done" and not run.damages(thorough)


def check_person(person: str) -> str:
    """`person` itself. Raises PersonError unless it has 1 to 64 letters, digits or ._@+- and no sign first."""
    if not isinstance(person, str) or not PERSON_PATTERN.fullmatch(person):
        raise PersonError(f"A person's name is 1 to 64 letters, digits or ._@+- here. Received: person={person!r:.80}")
    return person
