"""The learning curves of several seeds of one experiment as one: mean, smallest and largest value of each epoch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cnnlab.array_types import History

CURVES: dict[str, Callable[[History], NDArray[np.float64]]] = {  # what a curve can show, from the columns of a history
    "accuracy": lambda history: history["val_accuracy"],
    "loss": lambda history: history["val_loss"],
    "gap": lambda history: history["train_eval_accuracy"] - history["val_accuracy"],
    "training_accuracy": lambda history: history["train_eval_accuracy"],
    "training_loss": lambda history: history["train_eval_loss"],
    "reported_accuracy": lambda history: history["accuracy"],
    "reported_loss": lambda history: history["loss"],
}


@dataclass(frozen=True, eq=False)
class SeedCurve:
    """One curve of `seeds` runs: float64 (epochs,) arrays, of the epochs that all of them have a value for."""

    epoch: NDArray[np.float64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    seeds: int

    def best(self, smallest: bool) -> int:
        """The index of the highest mean, or of the smallest one; of the first such epoch."""
        return int(np.argmin(self.mean) if smallest else np.argmax(self.mean))


def seed_curve(histories: Sequence[History], curve: str) -> SeedCurve:
    """The curve, one of CURVES, over these histories; empty where they have no epoch in common.

    The band from `low` to `high` is the range of the seeds, no confidence interval: it grows with their number.
    """
    curves = [_finite_values(history["epoch"], CURVES[curve](history)) for history in histories]
    epochs = sorted(set.intersection(*map(set, curves))) if curves else []
    if not epochs:
        empty = np.empty(0)
        return SeedCurve(empty, empty, empty, empty, len(curves))
    table = np.array([[values[epoch] for epoch in epochs] for values in curves], np.float64)
    return SeedCurve(np.array(epochs), table.mean(axis=0), table.min(axis=0), table.max(axis=0), len(curves))


def _finite_values(epochs: NDArray[np.float64], values: NDArray[np.float64]) -> dict[float, float]:
    """The values of one history by epoch, without those that do not exist (NaN)."""
    return {float(epoch): float(value) for epoch, value in zip(epochs, values, strict=True) if np.isfinite(value)}
