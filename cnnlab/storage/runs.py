"""A run on disk: one directory, one format, shipped or trained.

    experiment.json       the experiment, whole
    record.json           state, versions, device, data fingerprint, started, seconds, epochs done, final figures
    history.csv           a row an epoch; epoch 0 is before training
    weights/000.npz ...   the weights after that epoch, by layer and role (`halved`; the last one float32), of
                          SNAPSHOT_EPOCHS, the last one and, with batch normalization, the one whose validation
                          accuracy gains most from re-estimation
    model.keras           the trained Keras model
    predictions.npz       logits on the validation and on the test images
    reestimated.json      accuracies with re-estimated batch normalization at the kept epochs; only where history.csv
                          lacks them (`jobs.batchnorm_job`)
    progress.json, checkpoint.npz, lock, worker.log        while it trains

A worker writes its directory; everybody else reads. Every file is replaced in one step, so a reader never sees half of
one. Nothing here needs Keras: shipped runs leave their last weights to `model.keras`, a zip around an HDF5 file.
"""

import csv
import io
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab import settings
from cnnlab.array_types import Weights
from cnnlab.experiment import REPORT, Experiment
from cnnlab.storage import files, keras_file
from cnnlab.storage.process_lock import is_locked

HISTORY_COLUMNS = (
    "epoch",
    "accuracy",
    "loss",
    "train_eval_accuracy",
    "train_eval_loss",
    "val_accuracy",
    "val_loss",
    "penalty",
)
REESTIMATED = "_reestimated"  # suffix of figures with re-estimated batch normalization, see `analysis.batchnorm`
REESTIMATED_FILE = "reestimated.json"
OPTIONAL_HISTORY_COLUMNS = tuple(
    name + REESTIMATED for name in ("train_eval_accuracy", "train_eval_loss", "val_accuracy", "val_loss")
)
SNAPSHOT_EPOCHS = (0, 1, 2, 3, 5, 10, 20, 30)
RUN_NAME_PATTERN = re.compile(r"[a-z0-9-]{1,64}")


class UnknownRun(LookupError):
    """No run goes by this name. The message is one sentence for the person who asked."""


def write_history(path: Path, rows: list[dict[str, float]]) -> None:
    """Write the history so far; a figure is written with all its digits, and left empty where there is none.

    Of OPTIONAL_HISTORY_COLUMNS, those that no row has are left out.
    """
    text = io.StringIO()
    optional = [name for name in OPTIONAL_HISTORY_COLUMNS if any(name in row for row in rows)]
    writer = csv.DictWriter(text, [*HISTORY_COLUMNS, *optional], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write_bytes(path, text.getvalue().encode())


@dataclass(frozen=True)
class Run:
    """A run directory, read. `name` is the folder's: a key, or one of the report's names under `pretrained/`."""

    path: Path
    experiment: Experiment

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def key(self) -> str:
        return self.experiment.key

    @property
    def title(self) -> str:
        """The experiment's title; no two runs of `all_runs` have the same."""
        twin = not self.is_pretrained and shipped_name(self.experiment)
        return self.experiment.title + (", trained here" if twin else "")

    @property
    def is_pretrained(self) -> bool:
        return self.path.parent == settings.PRETRAINED

    @cached_property
    def record(self) -> dict[str, Any]:
        """record.json as it was when first asked for."""
        return files.read_json(self.path / "record.json")

    @property
    def is_live(self) -> bool:
        """Whether a worker is at work on this run at this moment."""
        return is_locked(self.path / "lock")

    @property
    def state(self) -> str:
        """running, done, stopped or failed; 'interrupted' where the record says running and no worker lives."""
        written = str(self.record.get("state", "stopped"))
        if written == "running" and not self.is_live:  # gone, or at its end since the record was read
            written = str(files.read_json(self.path / "record.json").get("state", "stopped"))
            return "interrupted" if written == "running" else written
        return written

    def progress(self) -> dict[str, Any]:
        """progress.json: where the live worker is; empty when there is none."""
        return files.read_json(self.path / "progress.json")

    def history(self) -> dict[str, NDArray[np.float64]]:
        """history.csv by column, one value an epoch; NaN where a figure does not exist (training before epoch 1).

        Every column of HISTORY_COLUMNS and OPTIONAL_HISTORY_COLUMNS is there, an optional one that the file lacks as
        NaN.
        """
        try:
            rows = list(csv.DictReader((self.path / "history.csv").read_text().splitlines()))
        except OSError:
            rows = []
        return {
            name: np.array([float(row.get(name) or "nan") for row in rows])
            for name in (*HISTORY_COLUMNS, *OPTIONAL_HISTORY_COLUMNS)
        }

    def reestimated_history(self) -> dict[str, NDArray[np.float64]]:
        """OPTIONAL_HISTORY_COLUMNS and "epoch", one value for each epoch that has these figures; empty without any.

        From history.csv where the run recorded them while it trained, else from reestimated.json (kept epochs only).
        """
        history = self.history()
        names = ("epoch", *OPTIONAL_HISTORY_COLUMNS)
        recorded = np.isfinite(history[OPTIONAL_HISTORY_COLUMNS[0]])
        if recorded.any():
            return {name: history[name][recorded] for name in names}
        rows = files.read_json(self.path / REESTIMATED_FILE).get("epochs", [])
        return {name: np.array([row[name] for row in rows], np.float64) for name in names}

    def snapshot_epochs(self) -> list[int]:
        """The epochs whose weights are kept, ascending."""
        kept = {int(file.stem) for file in (self.path / "weights").glob("[0-9]*.npz")}
        last = self.record.get("epochs_done")
        return sorted(kept | ({int(last)} if last and (self.path / "model.keras").exists() else set()))

    def weights(self, epoch: int) -> Weights:
        """The weights after `epoch`, float32 by "layer/role". Raises UnknownRun where that epoch was not kept."""
        file = self.path / "weights" / f"{epoch:03}.npz"
        if file.exists():
            with np.load(file) as arrays:
                return {name: arrays[name].astype(np.float32) for name in arrays.files}
        if epoch in self.snapshot_epochs():
            return keras_file.read_weights(self.path / "model.keras")
        raise UnknownRun(f"This run keeps the weights of epochs {self.snapshot_epochs()}. Received: epoch={epoch}")

    def predictions(self) -> dict[str, NDArray[Any]]:
        """predictions.npz: "test" and, for a validation split, "validation" logits (n, 10), `halved`, with "_labels".

        Empty while the run has not finished.
        """
        try:
            with np.load(self.path / "predictions.npz") as arrays:
                return {name: arrays[name] for name in arrays.files}
        except FileNotFoundError:
            return {}


def read_run(path: Path) -> Run:
    """The run in this directory. Raises UnknownRun where there is none."""
    try:
        return Run(path, Experiment.from_json((path / "experiment.json").read_text()))
    except (OSError, ValueError):  # not there, not text, or no experiment
        raise UnknownRun(f"There is no run called {path.name!r} here; choose one from the list.") from None


def open_run(reference: str) -> Run:
    """The run with this key, or the shipped run with this name. Raises UnknownRun."""
    if not RUN_NAME_PATTERN.fullmatch(reference):
        raise UnknownRun(f"A run is called by its name or its 16-digit key. Received: {reference[:64]!r}")
    shipped = settings.PRETRAINED / reference
    return read_run(shipped if shipped.is_dir() else settings.runs_dir() / reference)


def shipped_name(experiment: Experiment) -> str | None:
    """The name of the shipped run of this experiment, or None."""
    return {row.experiment: row.name for row in REPORT.values()}.get(experiment)


def find_run(experiment: Experiment) -> Run | None:
    """The run of this experiment, shipped or trained here, or None."""
    shipped = shipped_name(experiment)
    places = [settings.PRETRAINED / shipped] if shipped else []
    for place in [*places, settings.runs_dir() / experiment.key]:
        if (place / "experiment.json").exists():
            return read_run(place)
    return None


def list_runs() -> list[Run]:
    """Every run there is: the shipped ones in the report's order, then those trained here, newest first."""
    shipped = [settings.PRETRAINED / name for name in REPORT]
    trained = settings.runs_dir().glob("*/experiment.json")
    folders = [path.parent for path in sorted(trained, key=files.modified_time, reverse=True)]
    found = []
    for folder in [*shipped, *folders]:
        try:
            found.append(read_run(folder))
        except UnknownRun:
            continue
    return found
