"""Sentences about a training: where a finished run comes from, and how far a live one has come."""

from collections.abc import Mapping
from typing import Any

from cnnlab.analysis.statistics import seed_mean
from cnnlab.analysis.statistics.seeds import MIN_SEEDS_FOR_INTERVAL
from cnnlab.explanations.intervals import format_interval, format_margin
from cnnlab.formatting import duration, format_date, percent, pluralize
from cnnlab.jobs.eta import EpochPace, training_seconds
from cnnlab.storage.run_record import RunRecord

MUCH_SLOWER = 2.0  # times as slow as the fastest run: both are named


def describe_origin(record: RunRecord, shipped: bool) -> str:
    """Where a finished run comes from: 'trained 23 November 2026 on AMD EPYC, 2 of 2 cores, 11 min'."""
    sentence = f"trained {format_date(record.finished)}"
    if record.device:
        sentence += f" on {record.device}"
    if record.seconds:
        sentence += f", {duration(record.seconds)}"
    if record.precision == "bfloat16":
        sentence += ", in bfloat16 (half the digits)"
    return f"{sentence}; it came with the program" if shipped else sentence


def describe_missing_weights(shipped: bool) -> str:
    """Why a finished run has results and no weights, and what can be done about it."""
    if shipped:
        return "Its results came with the program, its weights did not: train it here to look inside."
    return "Another machine trained this network: its results were imported, its weights were not."


def describe_progress(progress: Mapping[str, Any], epochs_done: int, epochs: int) -> tuple[float, str]:
    """How far a live training has come: a share from 0 to 1, and 'epoch 17 of 30, batch 412 of 625, 4 min left'."""
    epoch, batches = int(progress.get("epoch") or 0), progress.get("batches")
    if progress.get("phase") == "training" and batches:
        batch = int(progress.get("batch") or 0)
        left = progress.get("seconds_left")
        rest = f", {duration(float(left))} left" if left is not None else ""
        return clamp_share(
            (epoch - 1 + batch / batches) / epochs
        ), f"epoch {epoch} of {epochs}, batch {batch} of {batches}{rest}"
    if progress.get("phase") == "evaluating":
        return clamp_share(epoch / epochs), f"epoch {epoch} of {epochs}: evaluating on training and validation images"
    if epochs_done:
        return clamp_share(epochs_done / epochs), f"resuming after epoch {epochs_done} of {epochs}"
    return 0.0, "starting: loading TensorFlow and the images"


def describe_seeds(accuracies: Mapping[int, float], measured: str) -> str:
    """Which seeds of an experiment have a finished training, and their mean accuracy on the `measured` images.

    `accuracies` by seed, fractions. 'Finished seeds: 0, 1, 2 (3). Validation accuracy on average 71.2 % ± 1.3 ...'.
    """
    if not accuracies:
        return "No seed of this network has finished training yet."
    listed = ", ".join(map(str, accuracies))
    if len(accuracies) == 1:
        return f"Finished seeds: {listed}. One seed does not show how much another one would differ."
    mean = seed_mean(accuracies)
    sentence = (
        f"Finished seeds: {listed} ({len(accuracies)}). {measured.capitalize()} accuracy: {percent(mean.value, 1)}"
    )
    if mean.method == "range":
        return f"{sentence} on average, {format_interval(mean)}; {MIN_SEEDS_FOR_INTERVAL} seeds give a 95 % interval."
    return f"{sentence} {format_margin(mean)} (95 % interval of the mean, chance of the seed)."


def describe_pace(pace: EpochPace | None, epochs: int) -> str:
    """Where the expected duration of a training of so many epochs comes from; "" without any measurement.

    Where the runs behind it differ much, the durations that the fastest and the slowest of them give.
    """
    if pace is None:
        return ""
    if not pace.measured:
        source = f"scaled by multiply-adds from {pluralize(pace.runs, 'training')} on this machine"
    elif pace.runs == 1:
        source = "measured on this machine, in one training of this network"
    else:
        source = f"measured on this machine, the median of {pace.runs} trainings of this network"
    if pace.slowest <= MUCH_SLOWER * pace.fastest:
        return f"Time: {source}."
    ends = " to ".join(duration(training_seconds(each, epochs)) for each in (pace.fastest, pace.slowest))
    return f"Time: {source}, which give {ends}: other work slows a training."


def describe_time_limit(seconds: float | None, limit_minutes: float, epochs: int) -> str:
    """What happens to a training that needs more than `limit_minutes`; "" where it needs less or `seconds` is unknown.

    `seconds` is the expected duration of all `epochs`.
    """
    limit = 60 * limit_minutes
    if seconds is None or seconds <= limit:
        return ""
    return (
        f"This training needs about {duration(seconds)}; one training may take {duration(limit)} here. It would stop"
        f" after about epoch {int(epochs * limit / seconds)} of {epochs}. Choose fewer epochs, training images or"
        " filters."
    )


def clamp_share(share: float) -> float:
    """Between 0 and 1."""
    return min(1.0, max(0.0, share))
