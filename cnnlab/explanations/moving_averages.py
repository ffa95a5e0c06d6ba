"""Sentences about batch normalization's moving averages beside its re-estimated mean and variance."""

from collections.abc import Mapping

import numpy as np

from cnnlab.array_types import Float64Array, History
from cnnlab.experiment import Experiment
from cnnlab.formatting import percent, pluralize, points
from cnnlab.storage.history_file import REESTIMATED

STATISTICS = {  # history column of the validation (or test) accuracy: what its mean and variance are
    "val_accuracy": "Keras's moving averages",
    f"val_accuracy{REESTIMATED}": "re-estimated from training images",
}


def describe_moving_averages(
    history: History, reestimated: Mapping[str, Float64Array], epoch: int, experiment: Experiment
) -> str:
    """Both validation (or test) accuracies after this epoch, with the same weights; "" where unknown.

    `reestimated` is that of `Run.reestimated_history`.
    """
    moving, anew = STATISTICS
    rows, here = np.flatnonzero(history["epoch"] == epoch), np.flatnonzero(reestimated["epoch"] == epoch)
    if not (len(rows) and len(here)):
        return ""
    before, after = float(history[moving][rows[0]]), float(reestimated[anew][here[0]])
    return (
        f"After epoch {epoch} the network is correct on **{percent(before, 1)}** of the"
        f" {experiment.validation_images:,} {experiment.split} images"
        f" with {STATISTICS[moving]}, and on **{percent(after, 1)}** with mean and variance {STATISTICS[anew]}:"
        f" {points(after - before, sign=True)} with the same weights."
    )


def describe_differences(history: History, reestimated: Mapping[str, Float64Array]) -> str:
    """What re-estimating changes at the epochs that have both accuracies, after the first epoch; "" without any."""
    moving, anew = STATISTICS
    trained = reestimated["epoch"] > 0
    before = np.array([history[moving][history["epoch"] == epoch][0] for epoch in reestimated["epoch"][trained]])
    if not len(before):
        return ""
    changes = reestimated[anew][trained] - before
    return (
        f"At {pluralize(len(changes), 'epoch that has', 'epochs that have')} both, re-estimating changes the accuracy"
        f" by {points(float(changes.min()), sign=True)} to {points(float(changes.max()), sign=True)}. The moving"
        " averages (momentum 0.99) lag behind the weights, after some epochs more than after others, which adds to the"
        " jumps of the dashed curve."
    )
