"""The trainings of a sweep: asked for a few at a time, so that the limits of `quotas` and the fair order hold.

A request for a sweep is a file (`storage.sweep_files`). The dispatcher calls `advance_sweeps` every few seconds: as a
training of the sweep ends, the next one is submitted in the name of who asked. So a sweep goes on after a crash, and it
stops where its request is withdrawn. An experiment that has a finished run, shipped or trained here, is not trained.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cnnlab.experiment import Experiment
from cnnlab.jobs import eta, quotas
from cnnlab.jobs.job import FAILED, RUNNING, Job
from cnnlab.jobs.queue import Queue, check_person
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.settings import current
from cnnlab.storage import runs, sweep_files
from cnnlab.storage.run import Run
from cnnlab.storage.sweep_files import SweepRequest
from cnnlab.sweeps import Sweep

MAX_OPEN_OF_PERSON, MAX_OPEN_OF_ADDRESS = 5, 60  # sweeps that go on; thirty students behind one address with two each
MAX_SWEEPS = 500  # definitions that are kept where nothing of them was trained
WAITING_AHEAD = 1  # trainings of a person's sweep that wait in the queue beside those that run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SweepStatus:
    """How far a sweep is: its experiments by what is known of each.

    `done`: runs with results; `running`, `waiting`: active jobs; `failed`: jobs that failed, with nothing else known;
    `missing`: all that are not done. `epochs_done` of `epochs` counts the epochs of all experiments. `requesters` have
    asked for the sweep, earliest first.
    """

    done: tuple[Run, ...]
    running: tuple[Job, ...]
    waiting: tuple[Job, ...]
    failed: tuple[Job, ...]
    missing: tuple[Experiment, ...]
    epochs_done: int
    epochs: int
    requesters: tuple[str, ...]

    @property
    def is_active(self) -> bool:
        """Whether trainings of it run, wait, or will be submitted."""
        return bool(self.missing) and bool(self.requesters or self.running or self.waiting)


def sweep_status(sweep: Sweep, queue: Queue) -> SweepStatus:
    """The status of this sweep, from the runs and the queue. Raises QueueError."""
    experiments = sweep.experiments()
    found = {experiment: run for experiment in experiments if (run := runs.find_results(experiment)) is not None}
    missing = tuple(experiment for experiment in experiments if experiment not in found)
    keys = {experiment.key for experiment in missing}
    active = [job for job in queue.active() if job.key in keys]
    latest = [job for experiment in missing if (job := queue.for_key(experiment.key)) is not None]
    return SweepStatus(
        done=tuple(found.values()),
        running=tuple(job for job in active if job.state == RUNNING),
        waiting=tuple(job for job in active if job.state != RUNNING),
        failed=tuple(job for job in latest if job.state == FAILED),
        missing=missing,
        epochs_done=sum(experiment.epochs for experiment in found) + sum(map(epochs_done, missing)),
        epochs=sum(experiment.epochs for experiment in experiments),
        requesters=tuple(request.person for request in sweep_files.read_requests(sweep)),
    )


def epochs_done(experiment: Experiment) -> int:
    """The epochs that are trained of this experiment."""
    run = runs.find_run(experiment)
    return run.record.epochs_done if run else 0


def request_sweep(
    sweep: Sweep, queue: Queue, person: str, *, address: str = "", is_teacher: bool = False
) -> SweepRequest:
    """`person` asks for all trainings of the sweep; the first ones are submitted at once.

    Raises QuotaExceeded where the first one is refused or where one alone costs more than a person may ask for; then
    nothing is stored. Raises PersonError, QueueError, SettingsError, OSError.
    """
    request = sweep_files.new_request(check_person(person), address, is_teacher)
    missing = [experiment for experiment in sweep.experiments() if runs.find_results(experiment) is None]
    if not is_teacher:
        check_open_requests(sweep, request)
        check_costs(missing)
    if missing:
        submit(queue, missing[0], request)
        forget_unused_sweeps()
        sweep_files.add_request(sweep, request)
        advance_request(sweep, queue, request)
    return request


def check_open_requests(sweep: Sweep, request: SweepRequest) -> None:
    """Raises QuotaExceeded where this person, or this address, asks for so many other sweeps already."""
    others = [
        open_request
        for other in sweep_files.requested_sweeps()
        if other != sweep
        for open_request in sweep_files.read_requests(other)
    ]
    mine = sum(open_request.person == request.person for open_request in others)
    if mine >= MAX_OPEN_OF_PERSON:
        raise QuotaExceeded(f"{mine} sweeps of yours go on, and {MAX_OPEN_OF_PERSON} may: stop one, or wait for it.")
    theirs = sum(open_request.address == request.address != "" for open_request in others)
    if theirs >= MAX_OPEN_OF_ADDRESS:
        raise QuotaExceeded(
            f"{theirs} sweeps from your network go on, and {MAX_OPEN_OF_ADDRESS} may: try again when one has ended."
        )


def forget_unused_sweeps() -> None:
    """Beyond MAX_SWEEPS definitions, remove the oldest of which nothing was trained and that nobody asks for."""
    stored = sweep_files.stored_sweeps()
    for sweep in reversed(stored[MAX_SWEEPS - 1 :]):
        if not sweep_files.read_requests(sweep) and all(
            runs.find_run(experiment) is None for experiment in sweep.experiments()
        ):
            sweep_files.remove_sweep(sweep)


def check_costs(experiments: Iterable[Experiment]) -> None:
    """Raises QuotaExceeded where one of these alone costs more than a person may ask for."""
    most = current().cost_per_person
    for experiment in experiments:
        if (cost := quotas.training_cost(experiment)) > most:
            raise QuotaExceeded(
                f"{experiment.title} alone would cost as much as {cost:.3g} of the report's 3-conv network, and"
                f" {most:.4g} is the most: choose fewer epochs, filters or images."
            )


def submit(queue: Queue, experiment: Experiment, request: SweepRequest) -> Job:
    """Submit one training in the name of who asked for the sweep. Raises QuotaExceeded, QueueError."""
    return queue.submit(experiment, request.person, address=request.address, is_teacher=request.is_teacher)


def advance_sweeps(queue: Queue) -> None:
    """Submit what is next of every requested sweep. Raises QueueError, SettingsError, OSError."""
    for sweep in sweep_files.requested_sweeps():
        for request in sweep_files.read_requests(sweep):
            advance_request(sweep, queue, request)


def advance_request(sweep: Sweep, queue: Queue, request: SweepRequest) -> None:
    """Keep as many trainings of this request active as run at a time, and WAITING_AHEAD more; remove a fulfilled one.

    A training that has ended since the request, whatever came of it, is not asked for again.
    """
    active, left = set[str](), []
    for experiment in sweep.experiments():
        job = queue.for_key(experiment.key)
        if job is not None and not job.is_finished and request.person in job.requesters:
            active.add(experiment.key)
        elif job is not None and job.is_finished and (job.finished or 0) > request.submitted:
            continue
        elif runs.find_results(experiment) is None:
            left.append(experiment)
    if not left and not active:
        sweep_files.remove_request(sweep, request.person)
        return
    room = max(1, queue.slots()) + WAITING_AHEAD - len(active)
    try:
        for experiment in left[: max(0, room)]:
            submit(queue, experiment, request)
    except QuotaExceeded as refusal:  # passes, as this person's trainings end
        logger.debug("a sweep waits: %s", refusal)


def stop_sweep(sweep: Sweep, queue: Queue, person: str) -> None:
    """Withdraw the request of this person and all requests for its active trainings; finished epochs are kept."""
    sweep_files.remove_request(sweep, person)
    keys = {experiment.key for experiment in sweep.experiments()}
    for job in queue.active():
        if job.key in keys and person in job.requesters:
            queue.cancel(job, person)


def seconds_until_done(
    running: Sequence[tuple[float | None, bool]],
    waiting: Sequence[tuple[float | None, bool]],
    later: Sequence[float | None],
    slots: int,
) -> float | None:
    """In how many seconds the last training of a sweep ends; None where a time that matters is unknown.

    `running` and `waiting` are all jobs of the queue: the seconds that each still takes (None: unknown) and whether it
    is one of the sweep's; `later` are the trainings of the sweep that are still to be submitted. It holds as long as
    nobody asks for more.
    """
    line = [*waiting, *((seconds, True) for seconds in later)]
    starts = eta.start_times([seconds for seconds, _ in running], [seconds for seconds, _ in line], max(1, slots))
    ends = [seconds for seconds, is_own in running if is_own]
    for start, (seconds, is_own) in zip(starts, line, strict=True):
        if is_own:
            ends.append(None if start is None or seconds is None else start + seconds)
    known = [end for end in ends if end is not None]
    return max(known, default=0.0) if len(known) == len(ends) else None
