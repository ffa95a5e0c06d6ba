"""How long a training will take, from what was measured on this machine, and from nothing else.

Pure functions over pairs (experiment, record) of runs that were trained here. A run of the same network on as many
images gives its own seconds per epoch; where there is none, the nearest kin's seconds are scaled by the arithmetic that
an epoch needs. Without any measurement the answer is None, and a page says that it does not know yet. Runs shipped with
the code come from another machine: leave them out.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from cnnlab.experiment import Experiment
from cnnlab.models.architecture import network_layers
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
)  # the fields that decide how long an epoch takes
SHARED_FIELDS = (
    ("regularizer", "precision"),
    ("precision",),
    (),
)  # what a run must share to be scaled: as much as can be had
TRAIN_STEP_COST = 3  # a training step costs about three forward passes
STARTUP_SECONDS = 10.0  # seconds until a worker's first epoch: Keras is imported, its functions are traced


@dataclass(frozen=True)
class EpochPace:
    """Seconds per epoch; `measured`: on this very network, and not scaled from another one's."""

    seconds_per_epoch: float
    measured: bool


def expected_pace(experiment: Experiment, runs: Iterable[Measured]) -> EpochPace | None:
    """The seconds per epoch to expect of `experiment`, or None where nothing was ever measured here."""
    known = [(other, seconds) for other, record in runs if (seconds := seconds_per_epoch(record)) is not None]
    if same := [seconds for other, seconds in known if _shares(experiment, other, COST_FIELDS)]:
        return EpochPace(median(same), measured=True)
    for fields in SHARED_FIELDS:
        if rates := [
            seconds / epoch_multiplications(other) for other, seconds in known if _shares(experiment, other, fields)
        ]:
            return EpochPace(median(rates) * epoch_multiplications(experiment), measured=False)
    return None


def seconds_per_epoch(record: RunRecord) -> float | None:
    """The median seconds of a run's epochs; without the first, which is slower, where there are more."""
    seconds = record.epoch_seconds
    return median(seconds[1:] or seconds) if seconds else None


def seconds_left(experiment: Experiment, runs: Iterable[Measured], epochs_done: int = 0) -> float | None:
    """The seconds until a worker that is started now has trained the rest, or None where nothing was measured."""
    expected = expected_pace(experiment, runs)
    return (
        None
        if expected is None
        else STARTUP_SECONDS + expected.seconds_per_epoch * max(0, experiment.epochs - epochs_done)
    )


def start_times(running: Sequence[float | None], waiting: Sequence[float | None], slots: int = 1) -> list[float | None]:
    """In how many seconds each waiting training starts, given in their order.

    `running` and `waiting` are the seconds that each of them still needs. Where one of these is unknown, so is
    everything that may have to wait for it. Raises ValueError for slots < 1.
    """
    if slots < 1:
        raise ValueError(f"There is at least one slot. Received: slots={slots}")
    free = [float("inf") if seconds is None else seconds for seconds in running]
    free += [0.0] * (slots - len(free))
    heapq.heapify(free)
    for _ in range(len(free) - slots):  # more at work than there are slots: the first ones to end free none
        heapq.heappop(free)
    found: list[float | None] = []
    for seconds in waiting:
        start = heapq.heappop(free)
        found.append(None if start == float("inf") else start)
        heapq.heappush(free, float("inf") if seconds is None else start + seconds)
    return found


def epoch_multiplications(experiment: Experiment) -> float:
    """The multiplications of one epoch: the training images forward and backward, the images measured after it."""
    once = sum(_layer_multiplications(layer.parameters, layer.output_shape) for layer in network_layers(experiment))
    images = experiment.train_images or 0
    return float(once * (TRAIN_STEP_COST * images + experiment.train_eval_images + experiment.validation_images))


def _layer_multiplications(parameters: int, shape: tuple[int, ...]) -> int:
    """Every number of a layer is used once for each place of its output: height times width for a convolution."""
    return parameters * (shape[0] * shape[1] if len(shape) == 3 else 1)


def _shares(one: Experiment, other: Experiment, fields: Iterable[str]) -> bool:
    return all(getattr(one, field) == getattr(other, field) for field in fields)
