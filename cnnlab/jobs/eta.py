"""Estimates the remaining time of trainings from epochs measured on this machine.

Pure functions over pairs (experiment, record) of runs that were trained here, the newest first. Runs of the same
network on as many images give its seconds per epoch; otherwise those of the most similar runs are scaled by the cost of
an epoch: its multiplications, and what each step and each epoch take apart from them. Other work slows a training, by a
factor of ten on a busy machine, so few runs of the same network count only where they are not much slower than the
others say. Without any measurement the result is None. Do not pass runs shipped with the code: they were trained on
another machine.
"""

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median, median_low

from cnnlab.experiment import Experiment
from cnnlab.models.architecture import network_layers
from cnnlab.models.network_cost import TRAIN_STEP_COST, multiply_adds
from cnnlab.storage.run_record import RunRecord

Measured = tuple[Experiment, RunRecord]  # an experiment, and the record of its run

COST_FIELDS = (
    "dataset",
    "split",
    "depth",
    "regularizer",
    "filters",
    "kernel",
    "dense",
    "batch",
    "optimizer",
    "train_images",
    "precision",
    "augment",
)  # the fields that decide how long an epoch takes
SHARED_FIELDS = (
    ("regularizer", "precision"),
    ("precision",),
    (),  # only where no other will do: another precision may take six times as long
)  # shared by the runs whose pace is scaled; tried in this order
STEP_COST = 6e7  # multiplications that take as long as the overhead of a step, about 3 ms on one core
EPOCH_COST = 7e9  # the same for an epoch: evaluation starts, files are written, about 0.3 s on one core
RECENT_RUNS = 5  # of the same network, or of the most similar ones: the load of the machine changes
ENOUGH_RUNS = 3  # fewer may all have been trained while other work slowed the machine
NEARBY_COST = 2.0  # runs are scaled whose epoch costs as nearly as the most similar one's, within this factor
SCALING_ACCURACY = 3.0  # a scaled pace is right within this factor
STARTUP_SECONDS = 10.0  # seconds until a worker's first epoch: Keras is imported, its functions are traced


@dataclass(frozen=True)
class EpochPace:
    """Seconds per epoch to expect, and the fastest and the slowest of the `runs` that they come from.

    `measured` is False where they are scaled from those of other networks.
    """

    seconds_per_epoch: float
    fastest: float
    slowest: float
    runs: int
    measured: bool


def expected_pace(experiment: Experiment, runs: Iterable[Measured]) -> EpochPace | None:
    """The seconds per epoch to expect of `experiment`, or None without any measurement on this machine."""
    known = [(other, seconds) for other, record in runs if (seconds := seconds_per_epoch(record)) is not None]
    same = [seconds for other, seconds in known if _shares(experiment, other, COST_FIELDS)][:RECENT_RUNS]
    if len(same) >= ENOUGH_RUNS:
        return _pace(median(same), same, measured=True)
    others = [(other, seconds) for other, seconds in known if not _shares(experiment, other, COST_FIELDS)]
    found = [*same, *scaled_seconds(experiment, others)]
    if not found:
        return None
    usual = median_low(found)  # of two the faster one: other work only slows
    if believed := [seconds for seconds in same if seconds <= SCALING_ACCURACY * usual]:
        return _pace(median(believed), same, measured=True)
    return _pace(usual, found, measured=False)


def scaled_seconds(experiment: Experiment, known: Sequence[tuple[Experiment, float]]) -> list[float]:
    """The seconds per epoch of the most similar runs, each times the ratio of the costs of an epoch.

    At most RECENT_RUNS. They cost nearly as much, and share the first of SHARED_FIELDS that enough runs share.
    """
    cost, near = epoch_cost(experiment), list[tuple[float, float]]()
    for fields in SHARED_FIELDS:
        similar = [(cost / epoch_cost(other), value) for other, value in known if _shares(experiment, other, fields)]
        near = _nearby(similar) if fields or not near else near
        if len(near) >= ENOUGH_RUNS:
            break
    return [ratio * seconds for ratio, seconds in near[:RECENT_RUNS]]


def epoch_cost(experiment: Experiment) -> float:
    """What an epoch costs, in multiplications: its own, STEP_COST for each step, and EPOCH_COST."""
    steps = math.ceil((experiment.train_images or 0) / experiment.batch)
    return epoch_multiplications(experiment) + STEP_COST * steps + EPOCH_COST


def seconds_per_epoch(record: RunRecord) -> float | None:
    """The median seconds of a run's epochs; without the first, which is slower, where there are more."""
    seconds = record.epoch_seconds
    return median(seconds[1:] or seconds) if seconds else None


def seconds_left(experiment: Experiment, runs: Iterable[Measured], epochs_done: int = 0) -> float | None:
    """The seconds until a worker started now has trained the remaining epochs; None without any measurement."""
    expected = expected_pace(experiment, runs)
    epochs = max(0, experiment.epochs - epochs_done)
    return None if expected is None else training_seconds(expected.seconds_per_epoch, epochs)


def training_seconds(seconds_per_epoch: float, epochs: int) -> float:
    """The seconds of so many epochs and of the worker's start."""
    return STARTUP_SECONDS + seconds_per_epoch * epochs


def start_times(running: Sequence[float | None], waiting: Sequence[float | None], slots: int = 1) -> list[float | None]:
    """In how many seconds each waiting training starts, given in their order.

    `running` and `waiting` are the remaining seconds of each job, None if unknown; then the start of every job that
    may have to wait for it is unknown too. Raises ValueError for slots < 1.
    """
    if slots < 1:
        raise ValueError(f"There is at least one slot. Received: slots={slots}")
    free = [float("inf") if seconds is None else seconds for seconds in running]
    free += [0.0] * (slots - len(free))
    heapq.heapify(free)
    for _ in range(len(free) - slots):  # more running jobs than slots: the first ones to end free no slot
        heapq.heappop(free)
    starts: list[float | None] = []
    for seconds in waiting:
        start = heapq.heappop(free)
        starts.append(None if start == float("inf") else start)
        heapq.heappush(free, float("inf") if seconds is None else start + seconds)
    return starts


def epoch_multiplications(experiment: Experiment) -> float:
    """The multiplications of one epoch: training steps, and the evaluations after it."""
    per_image = multiply_adds(network_layers(experiment))
    images = experiment.train_images or 0
    return float(per_image * (TRAIN_STEP_COST * images + experiment.train_eval_images + experiment.validation_images))


def _nearby(similar: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The pairs (ratio of costs, seconds) whose ratio is nearly the one closest to 1, that one first."""
    ranked = sorted(similar, key=lambda pair: abs(math.log(pair[0])))
    return [pair for pair in ranked if abs(math.log(pair[0])) <= abs(math.log(ranked[0][0])) + math.log(NEARBY_COST)]


def _pace(seconds: float, found: Sequence[float], *, measured: bool) -> EpochPace:
    return EpochPace(seconds, min(found), max(found), len(found), measured)


def _shares(experiment: Experiment, other: Experiment, fields: Iterable[str]) -> bool:
    return all(getattr(experiment, field) == getattr(other, field) for field in fields)
