"""A job of the queue: one training, its state, and the people who asked for it."""

from dataclasses import dataclass

from cnnlab.experiment import Experiment, ExperimentError

QUEUED, RUNNING, DONE, FAILED, CANCELLED = ("queued", "running", "done", "failed", "cancelled")
TERMINAL_STATES = (DONE, FAILED, CANCELLED)


class UnknownJob(LookupError):
    """No job has this number."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training in the queue.

    `attempts` counts the started workers, `crashes` those that ended without a result. `requesters` are the people who
    want it (of a finished job: wanted it at its end), earliest first. `worked` is the number of seconds of earlier
    attempts, `device` that of the last one ("GPU 0", "CPU", "" before the first). An `exclusive` job ran out of memory
    once and shares its device with no other. Times are Unix times in seconds.
    """

    id: int
    key: str
    experiment_json: str
    state: str
    reason: str | None
    submitted: float
    started: float | None
    finished: float | None
    attempts: int
    crashes: int
    worked: float
    exclusive: bool
    device: str
    requesters: tuple[str, ...]

    @property
    def experiment(self) -> Experiment:
        """The experiment to train. Raises ExperimentError for one of an incompatible version."""
        return Experiment.from_json(self.experiment_json)

    @property
    def is_readable(self) -> bool:
        """Whether this version of the program can read the job's experiment."""
        try:
            return bool(self.experiment)
        except ExperimentError:
            return False

    @property
    def label(self) -> str:
        """Its number, title and key, for logs; it never raises."""
        title = self.experiment.title if self.is_readable else "an unreadable experiment"
        return f"job {self.id} ({title}, {self.key})"

    @property
    def is_finished(self) -> bool:
        """Whether the job is done, failed or cancelled."""
        return self.state in TERMINAL_STATES

    @property
    def is_wanted(self) -> bool:
        """Whether it has requesters. A running job without requesters is being stopped."""
        return bool(self.requesters)
