"""The dispatcher: the process that claims jobs from the queue, starts a worker for each, and records how it ended.

`python -m cnnlab dispatch` holds `dispatcher.lock` in the home, so there is one dispatcher; a second one logs that and
exits (`cnnlab.jobs.dispatcher_service`). How the web process starts one: `cnnlab.jobs.dispatcher_process`.

Events and what follows (no state is kept in this process's memory only):

    a worker dies                           the job waits again, before all others, and resumes from its last
                                            epoch; after more than three times it fails with the reason
    the machine or this dispatcher dies     the same, and it does not count
    a worker runs out of memory             the job is retried once, with exclusive use of a device
    a training takes longer than allowed    SIGTERM, after ten seconds SIGKILL; the job fails, its epochs are kept
    the runs take more disk than allowed    the least recently used ones are removed (`storage.run_retention`)
    the last request is withdrawn           SIGTERM, after ten seconds SIGKILL; the job is cancelled
    SIGTERM or Ctrl-C to the dispatcher     the workers are stopped the same way; their jobs wait for the next one
    the dispatcher is killed                the workers go on, and the next dispatcher finds them by their locks; those
                                            on a cluster end with it, and it starts them again from their last epoch
    the queue cannot be written             the workers go on; the write is tried again
"""

import logging
import time
from contextlib import suppress

from cnnlab import settings
from cnnlab.experiment import ExperimentError
from cnnlab.jobs import quotas, sweep_jobs
from cnnlab.jobs.devices import RunningJob
from cnnlab.jobs.dispatcher_process import heartbeat_path, log_path
from cnnlab.jobs.job import CANCELLED, DONE, FAILED, Job
from cnnlab.jobs.log_rotation import rotate
from cnnlab.jobs.queue import Queue, has_finished_run
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.jobs.runner import NOT_STARTED, ORPHANED, OUT_OF_MEMORY, Outcome, Runner, run_directory
from cnnlab.jobs.slot import GRACE_SECONDS, Slot
from cnnlab.settings import SettingsError
from cnnlab.storage import run_retention

KILL_SECONDS = 3.0  # a killed process has ended after so long at most
POLL_SECONDS = 0.2
RETRY_SECONDS = 2.0  # pause after the queue could not be used
HEARTBEAT_SECONDS = 5.0  # between two heartbeats, and two checks of the time limits and the sweeps

logger = logging.getLogger(__name__)


class StopFlag:
    """Whether this process was asked to stop; a signal handler sets it."""

    requested = False

    def request(self, number: int, frame: object) -> None:
        """The signal handler."""
        self.requested = True


class Dispatcher:
    """Keeps up to `slots` jobs running (None: as many as the runner has slots for). `run` repeats `tick`."""

    def __init__(self, queue: Queue, runner: Runner, slots: int | None = 1) -> None:
        if slots is not None and slots < 1:
            raise SettingsError(f"A dispatcher needs at least one slot. Received: slots={slots}")
        self.queue = queue
        self.runner = runner
        self.slots = slots
        self.device_slots = runner.device_slots(slots)
        self.active_slots: dict[int, Slot] = {}
        self.seen_revision = -1  # the queue's revision at the last reconciliation; -1: reconcile again
        self.heartbeat_at = 0.0  # monotonic seconds

    def run(self, stop: StopFlag, idle: float | None = None) -> None:
        """Work until `stop` is asked, or until there was nothing to do for `idle` seconds (None: never)."""
        busy, last_error = time.monotonic(), ""
        while not stop.requested and (idle is None or time.monotonic() - busy < idle):
            try:
                self.tick()
                last_error = ""
            except (QueueError, SettingsError, OSError) as error:  # may pass; the workers go on
                if str(error) != last_error:
                    logger.error(last_error := str(error))
                time.sleep(RETRY_SECONDS)
            if self.active_slots:
                busy = time.monotonic()
            time.sleep(POLL_SECONDS)

    def tick(self) -> None:
        """Record ended workers, stop unwanted ones, start what can start. Raises QueueError, SettingsError, OSError."""
        self.reap_workers(stopping=False)
        self.refresh_capacity()
        revision = self.queue.revision()
        if revision != self.seen_revision:  # something was requested, withdrawn or finished
            self.reconcile()
            self.fill_slots()
            self.seen_revision = revision
        for slot in self.active_slots.values():
            if slot.deadline is not None:
                slot.request_stop()
        self.runner.maintain_standby(self.device_slots, is_idle=not self.active_slots)
        if time.monotonic() - self.heartbeat_at > HEARTBEAT_SECONDS:
            self.heartbeat_at = time.monotonic()
            self.heartbeat()
            self.enforce_time_limits()
            sweep_jobs.advance_sweeps(self.queue)

    def refresh_capacity(self) -> None:
        """Read the number of slots again: machines may join a cluster, and leave it."""
        device_slots = self.runner.device_slots(self.slots)
        if device_slots.capacity != self.device_slots.capacity:
            self.device_slots, self.seen_revision = device_slots, -1
            self.publish_capacity()

    def publish_capacity(self) -> None:
        """Log how many jobs run at a time, and store it in the queue for the pages."""
        with suppress(QueueError):  # for example a full disk: nothing depends on it
            self.queue.set_slots(self.device_slots.total)
        machines = ", ".join(self.device_slots.capacity) or "nothing: no machine is there"
        logger.info("at work for %s, %d at a time on %s", settings.home(), self.device_slots.total, machines)

    def heartbeat(self) -> None:
        """Touch the heartbeat file, which `doctor` checks, and rotate the logs."""
        with suppress(OSError):
            heartbeat_path().touch()
        for log in (log_path(), *(run_directory(slot.job) / "worker.log" for slot in self.active_slots.values())):
            rotate(log)

    def enforce_time_limits(self) -> None:
        """Stop the jobs that have run for longer than the settings allow. Raises SettingsError."""
        minutes = settings.current().job_minutes
        for slot in list(self.active_slots.values()):
            if slot.deadline is None and slot.job.worked + slot.elapsed_seconds > minutes * 60:
                slot.stop_reason = quotas.time_limit_message(minutes)
                logger.info("stopping %s: %s", slot.job.label, slot.stop_reason)
                if not slot.request_stop():
                    self.queue.finish(slot.job, FAILED, slot.stop_reason)
                    del self.active_slots[slot.job.id]

    def reap_workers(self, *, stopping: bool) -> None:
        """Record how workers ended; `stopping`: all of them were asked to stop."""
        for slot in list(self.active_slots.values()):
            outcome = slot.worker.poll()
            if outcome is not None:
                job = self.record_outcome(slot, outcome, stop_requested=stopping or slot.deadline is not None)
                del self.active_slots[job.id]
                reason = f" ({job.reason})" if job.reason else ""
                logger.info("%s %s: %s%s", outcome.kind, job.label, job.state, reason)

    def record_outcome(self, slot: Slot, outcome: Outcome, *, stop_requested: bool) -> Job:
        """Set the job's next state. A worker that ended without a result, unasked and watched, counts as a crash."""
        job = slot.job
        if outcome.kind in (DONE, FAILED):
            return self.queue.finish(job, outcome.kind, outcome.reason)
        if slot.stop_reason:
            return self.queue.finish(job, FAILED, slot.stop_reason)
        if outcome.kind == OUT_OF_MEMORY:
            return self.queue.record_out_of_memory(job, slot.elapsed_seconds)
        expected = stop_requested or slot.was_unwatched or outcome.kind in (NOT_STARTED, ORPHANED)
        crash = None if expected else outcome.reason or "its process ended."
        return self.queue.record_interruption(job, crash, slot.elapsed_seconds)

    def reconcile(self) -> None:
        """Adopt running jobs that are in no slot; ask the workers of unwanted jobs to stop."""
        running = {job.id: job for job in self.queue.running()}
        for number, job in running.items():
            if number not in self.active_slots:
                worker = self.runner.adopt(job)
                has_ended = worker.poll() is not None
                age = 0.0 if has_ended else max(0.0, time.time() - (job.started or time.time()))
                self.active_slots[number] = Slot(job, worker, time.monotonic() - age, was_unwatched=has_ended)
                logger.info("found %s running", job.label)
        for number, slot in list(self.active_slots.items()):
            if slot.deadline is None and (number not in running or not running[number].is_wanted):
                self.stop_unwanted(slot)

    def stop_unwanted(self, slot: Slot) -> None:
        """Stop the worker of an unwanted job; a training started by hand goes on without the job."""
        logger.info("stopping %s: all requests for it were withdrawn", slot.job.label)
        if not slot.request_stop():
            self.queue.finish(slot.job, CANCELLED)
            del self.active_slots[slot.job.id]

    def fill_slots(self) -> None:
        """Claim and start jobs while slots are free. Raises SettingsError."""
        while len(self.active_slots) < self.device_slots.total:
            allocator = self.device_slots.allocator(
                RunningJob(slot.job.device, slot.job.exclusive) for slot in self.active_slots.values()
            )
            job = self.queue.claim(allocator.allocate)
            if job is None:
                return
            if self.ensure_disk_space(job):
                self.start(job)

    def ensure_disk_space(self, job: Job) -> bool:
        """Remove old runs above the disk quota; if not enough can be removed, the job fails. Raises SettingsError."""
        allowed = settings.current()
        max_bytes = allowed.runs_gigabytes * 1e9
        active_keys = {other.key for other in self.queue.active()}
        result = run_retention.evict_runs(max_bytes, active_keys, allowed.viewed_minutes * 60)
        for name in result.removed:
            logger.info("removed the run %s: the runs took more than %g GB", name, allowed.runs_gigabytes)
        if result.used_bytes > max_bytes:
            self.queue.finish(job, FAILED, quotas.disk_limit_message(result.used_bytes, max_bytes))
        return result.used_bytes <= max_bytes

    def start(self, job: Job) -> None:
        """Start the job's worker, or finish the job where there is nothing to train or nothing can be started."""
        try:
            if has_finished_run(job.experiment, thorough=True):  # a page that asked took a quick look
                self.queue.finish(job, DONE)
                return
            self.active_slots[job.id] = Slot(job, self.runner.start(job))
            attempt = f", attempt {job.attempts}" if job.attempts > 1 else ""
            logger.info("started %s%s", job.label, attempt)
        except ExperimentError as error:
            self.queue.finish(job, FAILED, f"It was asked for by another version of this program. {error}")
        except OSError as error:
            self.queue.finish(job, FAILED, f"No worker could be started: {error.strerror or error}.")

    def stop_workers(self) -> None:
        """Ask every worker to stop and wait until each has: their jobs are queued again, for the next dispatcher.

        A job whose worker cannot be stopped stays `running`, and the next dispatcher watches it.
        """
        for number, slot in list(self.active_slots.items()):
            if not slot.request_stop():
                del self.active_slots[number]
        give_up = time.monotonic() + GRACE_SECONDS + KILL_SECONDS
        while self.active_slots and time.monotonic() < give_up:
            time.sleep(POLL_SECONDS / 4)
            for slot in self.active_slots.values():
                slot.request_stop()
            with suppress(QueueError):
                self.reap_workers(stopping=True)
