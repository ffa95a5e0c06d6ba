"""Sentences about a training: where a finished run comes from, and how far a live one has come."""

from collections.abc import Mapping
from typing import Any

from cnnlab.formatting import duration, format_date
from cnnlab.storage.run_record import RunRecord


def describe_origin(record: RunRecord, shipped: bool) -> str:
    """Where a finished run comes from: 'trained 23 November 2026 on AMD EPYC, 2 of 2 cores, 11 min'."""
    told = f"trained {format_date(record.finished)}"
    if record.device:
        told += f" on {record.device}"
    if record.seconds:
        told += f", {duration(record.seconds)}"
    if record.precision == "bfloat16":
        told += ", in bfloat16 (half the digits)"
    return f"{told}; it came with the program" if shipped else told


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


def clamp_share(share: float) -> float:
    """Between 0 and 1."""
    return min(1.0, max(0.0, share))
