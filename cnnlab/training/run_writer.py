"""Writes the run directory of a training: history, record, progress, snapshots of the weights, checkpoint."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnnlab.array_types import Weights
from cnnlab.experiment import Experiment
from cnnlab.operating_system import file_operations
from cnnlab.storage import compression, files, runs
from cnnlab.storage.run_record import RunRecord, write_record
from cnnlab.training.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from cnnlab.training.provenance import utc_now


class RunWriter:
    """The run directory `path` of a training, with its record, its history and the seconds of its epochs so far."""

    def __init__(self, experiment: Experiment, path: Path, record: RunRecord):
        self.experiment, self.path, self.record = experiment, path, record
        self.history_rows: list[dict[str, float]] = []
        self.epoch_seconds: list[float] = []
        self.startup_seconds = 0.0  # of the first epoch: what its first batches took beyond the pace of the others

    @property
    def epochs_done(self) -> int:
        """The number of trained epochs; the first row of the history is before training."""
        return max(0, len(self.history_rows) - 1)

    def add_epoch(self, row: dict[str, float], started: float, weights: Weights, variables: Sequence[Any]) -> None:
        """Write the figures `row` of an epoch, its snapshot, the checkpoint of `variables` and the record.

        `started` is when the epoch began, in seconds of `time.perf_counter`. Raises OSError.
        """
        self.history_rows.append(row)
        epoch = int(row["epoch"])
        if epoch:
            self.epoch_seconds.append(round(time.perf_counter() - started, 3))
        try:
            self.keep_snapshots(epoch, weights)
            self.save_checkpoint(variables)
            runs.write_history(self.path / "history.csv", self.history_rows)
        except OSError:  # the record counts the epochs whose history was written
            self.history_rows.pop()
            del self.epoch_seconds[self.epochs_done :]
            raise
        self.write_record("running")

    def keep_snapshots(self, epoch: int, weights: Weights) -> None:
        """Save the weights of this epoch where they are kept, and remove those of a former `worst_epoch`."""
        kept = {*runs.SNAPSHOT_EPOCHS, self.experiment.epochs, self.worst_epoch()}
        if epoch in kept:
            self.save_snapshot(epoch, weights)
        for file in self.snapshot_files():
            if int(file.stem) not in kept:
                file_operations.remove(file)

    def worst_epoch(self) -> int | None:
        """The epoch so far whose validation accuracy gains most from re-estimation; None where none was recorded."""
        gains = {
            int(row["epoch"]): row["val_accuracy" + runs.REESTIMATED] - row["val_accuracy"]
            for row in self.history_rows
            if row["epoch"] and "val_accuracy" + runs.REESTIMATED in row
        }
        return max(gains, key=lambda epoch: gains[epoch], default=None)

    def snapshot_files(self) -> list[Path]:
        """The files of the weights of single epochs."""
        return sorted((self.path / "weights").glob("[0-9]*.npz"))

    def save_snapshot(self, epoch: int, weights: Weights) -> None:
        """Write the weights of this epoch, float16; float32 after the last epoch."""
        arrays = dict(weights)
        if epoch != self.experiment.epochs:
            arrays = {name: compression.to_float16(values) for name, values in weights.items()}
        files.write_npz(self.path / "weights" / f"{epoch:03}.npz", arrays)

    def save_checkpoint(self, variables: Sequence[Any]) -> None:
        """Write every variable that the next epoch depends on, and the history so far."""
        state = {"rows": self.history_rows, "epoch_seconds": self.epoch_seconds}
        state |= {"started": self.record.started, "fingerprint": self.record.fingerprint}
        write_checkpoint(self.path / "checkpoint.npz", variables, state)

    def restore_checkpoint(self, variables: Sequence[Any]) -> None:
        """Load the checkpoint into `variables`, and its history.

        Raises FileNotFoundError without one, CheckpointError for one that fits neither this network nor this data set.
        """
        values, state = read_checkpoint(self.path / "checkpoint.npz", [v.shape for v in variables])
        if state.get("fingerprint", self.record.fingerprint) != self.record.fingerprint:
            raise CheckpointError("the pictures are others than when this training began")
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        self.history_rows, self.epoch_seconds = state["rows"], state["epoch_seconds"]
        self.record = replace(self.record, started=state["started"])
        runs.write_history(self.path / "history.csv", self.history_rows)

    def remove_snapshots(self) -> None:
        """Remove the weights of all epochs."""
        for file in self.snapshot_files():
            file_operations.remove(file)

    def write_record(self, state: str, reason: str | None = None) -> None:
        """Write record.json with this state and reason, the epochs done and their seconds."""
        best = max(self.history_rows, key=lambda row: row["val_accuracy"]) if self.history_rows else None
        self.record = replace(
            self.record,
            state=state,
            reason=reason,
            epochs_done=self.epochs_done,
            epoch_seconds=tuple(self.epoch_seconds),
            seconds=round(sum(self.epoch_seconds), 1),
            final=self.history_rows[-1] if self.history_rows else None,
            best=best,
        )
        write_record(self.path, self.record)

    def finish(self, test_accuracy: float) -> None:
        """Write the record of a finished training, then remove the temporary files."""
        self.record = replace(self.record, finished=utc_now(), test_accuracy=test_accuracy)
        self.write_record("done")
        remove_temporary_files(self.path)

    def seconds_left(self, epoch: int, share: float) -> float | None:
        """Seconds until the end with `share` of this epoch done, from the last epochs; None in the first."""
        if not self.epoch_seconds:
            return None
        first = self.epoch_seconds[0] - self.startup_seconds  # without the compilation
        recent = (self.epoch_seconds[1:] or [first])[-5:]
        return round(sum(recent) / len(recent) * (self.experiment.epochs - epoch + 1 - share), 1)

    def write_progress(self, phase: str, epoch: int, **more: Any) -> None:
        """Write progress.json, which the pages read."""
        fields = {"phase": phase, "epoch": epoch, "epochs": self.experiment.epochs, "updated": time.time()}
        files.write_json(self.path / "progress.json", fields | more)


def remove_temporary_files(path: Path) -> None:
    """Remove checkpoint and progress, and partly written files that killed workers left."""
    parts = [part for part in path.rglob(".*.part*") if not part.name.startswith(".top")]  # of another, live process
    for file in (path / "checkpoint.npz", path / "progress.json", *parts):
        file_operations.remove(file)
