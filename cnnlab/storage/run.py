"""A run on disk: one directory, one format, shipped or trained.

    experiment.json       the experiment, whole
    record.json           state, versions, device, data fingerprint, started, seconds, epochs done, final figures
    history.csv           a row an epoch; epoch 0 is before training
    weights/000.npz ...   the weights after that epoch, by layer and role (float16; the last one float32), of
                          SNAPSHOT_EPOCHS, the last one and, with batch normalization, the one whose validation
                          accuracy gains most from re-estimation
    model.keras           the trained Keras model
    predictions.npz       logits on the validation and on the test images
    reestimated.json      accuracies with re-estimated batch normalization at the kept epochs; only where history.csv
                          lacks them (`jobs.batchnorm_job`)
    progress.json, checkpoint.npz, lock, worker.log        while it trains

A worker writes its directory; everybody else reads. Every file is replaced in one step, so a reader never sees half of
one. A run is whole, or `damages` says which of its files cannot be used and why (`run_files` checks them); its other
files can be read all the same. Nothing here needs Keras: shipped runs leave their last weights to `model.keras`.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab import settings
from cnnlab.array_types import Weights
from cnnlab.datasets import DatasetInfo
from cnnlab.experiment import Experiment
from cnnlab.models.architecture import Layer, network_layers
from cnnlab.report_models import shipped_name
from cnnlab.storage import run_damage, run_files
from cnnlab.storage.bounded_files import DamagedFile
from cnnlab.storage.history_file import HISTORY_FILE, REESTIMATED_COLUMNS, Columns
from cnnlab.storage.process_lock import is_locked
from cnnlab.storage.reestimated_file import REESTIMATED_FILE, read_reestimated
from cnnlab.storage.run_files import MODEL_FILE, PREDICTIONS_FILE
from cnnlab.storage.run_record import RECORD_FILE, RunRecord

SNAPSHOT_EPOCHS = (0, 1, 2, 3, 5, 10, 20, 30)


class UnknownRun(LookupError):
    """No run has this name. The message is one sentence for the page."""


class DamagedRun(UnknownRun):
    """A file of the run cannot be used. The message is one sentence for the page."""


@dataclass(frozen=True)
class Run:
    """A run directory. `name` is the folder's: a key, or one of the report's names under `pretrained/`."""

    path: Path
    experiment: Experiment

    @property
    def name(self) -> str:
        """The name of its directory: the key, or one of the report's names."""
        return self.path.name

    @property
    def key(self) -> str:
        """The key of its experiment, 16 hex digits."""
        return self.experiment.key

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers of its network, first to last."""
        return network_layers(self.experiment)

    @property
    def dataset(self) -> str:
        """The name of the data set that it is trained on."""
        return self.experiment.dataset

    @property
    def dataset_info(self) -> DatasetInfo:
        """What is known of that data set without its images."""
        return self.experiment.dataset_info

    @property
    def title(self) -> str:
        """The experiment's title; no two runs of `runs.list_runs` have the same."""
        has_shipped_run = not self.is_pretrained and shipped_name(self.experiment)
        return self.experiment.title + (", trained here" if has_shipped_run else "")

    @property
    def is_pretrained(self) -> bool:
        """Whether it came with the program: one of the report's models, or a further seed without weights."""
        return str(self.path).startswith(f"{settings.PRETRAINED}{os.sep}")  # a page asks it of each run

    @property
    def record(self) -> RunRecord:
        """The current content of record.json; an empty record where the file is missing or damaged."""
        try:
            return run_files.read_record(self.path / RECORD_FILE, self.experiment)
        except (OSError, DamagedFile):
            return RunRecord()

    @property
    def is_live(self) -> bool:
        """Whether a worker is training this run now."""
        return is_locked(self.path / "lock")

    @property
    def state(self) -> str:
        """running, done, stopped or failed; "interrupted" where the record says running and no worker runs.

        "damaged" where experiment, record or history cannot be used, unless a worker is replacing them.
        """
        if run_damage.description_damages(self.path, self.experiment):
            return "running" if self.is_live else "damaged"
        written = self.record.state or "stopped"
        if written == "running" and not self.is_live:  # gone, or at its end since the record was read
            written = self.record.state or "stopped"
            return "interrupted" if written == "running" else written
        return written

    def damages(self, thorough: bool = False) -> dict[str, str]:
        """The files that cannot be used, each with the reason: {"history.csv": "is empty"}; empty for a whole run.

        Archives are checked by their directory and by what their last reader found, or read completely (`thorough`).
        """
        return run_damage.find_damages(self.path, self.experiment, thorough)

    @property
    def damage(self) -> str:
        """The first of `damages` as a sentence, with the number of the others; "" for a whole run."""
        return run_damage.describe_damages(self.damages())

    @property
    def newer_fields(self) -> list[str]:
        """The fields of record.json that this version does not know."""
        return sorted(self.record.extra)

    def progress(self) -> dict[str, Any]:
        """progress.json: the position of the running worker; empty without one. Values of a wrong type are left out."""
        return run_files.read_progress(self.path / "progress.json")

    def history(self) -> Columns:
        """history.csv by column, one value per epoch; NaN where a figure does not exist (training before epoch 1).

        Empty columns where the file is missing. Raises DamagedRun.
        """
        try:
            return run_damage.read_history(self.path, self.experiment)
        except (OSError, DamagedFile) as damage:
            raise DamagedRun(self._damage_message(HISTORY_FILE, damage)) from None

    def reestimated_history(self) -> Columns:
        """REESTIMATED_COLUMNS and "epoch", one value for each epoch that has these figures; empty without any.

        From history.csv where the run recorded them while it trained, else from reestimated.json (kept epochs only).
        Raises DamagedRun.
        """
        history = self.history()
        names = ("epoch", *REESTIMATED_COLUMNS)
        recorded = np.isfinite(history[REESTIMATED_COLUMNS[0]])
        if recorded.any():
            return {name: history[name][recorded] for name in names}
        try:
            return read_reestimated(self.path / REESTIMATED_FILE, len(history["epoch"]) - 1)
        except (OSError, DamagedFile) as damage:
            raise DamagedRun(self._damage_message(REESTIMATED_FILE, damage)) from None

    def snapshot_epochs(self) -> list[int]:
        """The epochs whose weights are kept and not known to be damaged, ascending."""
        archives, last = run_damage.snapshot_files(self.path, self.experiment), self.record.epochs_done
        if last:
            archives.setdefault(last, self.path / MODEL_FILE)
        return sorted(epoch for epoch, path in archives.items() if run_damage.is_usable(path, self.experiment))

    def weights(self, epoch: int) -> Weights:
        """The weights after `epoch`, float32 by "layer/role".

        Raises UnknownRun where that epoch was not kept, DamagedRun where its file cannot be used.
        """
        path = self.path / "weights" / f"{epoch:03}.npz"
        if not run_files.exists(path) and epoch == self.record.epochs_done:
            path = self.path / MODEL_FILE
        try:
            return run_files.read_weights(path, self.experiment)
        except DamagedFile as damage:
            raise DamagedRun(self._damage_message(path.relative_to(self.path).as_posix(), damage)) from None
        except OSError:
            kept = f"keeps the weights of epochs {found}" if (found := self.snapshot_epochs()) else "keeps no weights"
            raise UnknownRun(f"{self.title} {kept}. Received: epoch={epoch}") from None

    def predictions(self) -> dict[str, NDArray[Any]]:
        """predictions.npz: "test" and, for a validation split, "validation" logits (n, classes), with "_labels" (n,).

        Empty while the run has not finished. Raises DamagedRun.
        """
        try:
            return run_files.read_predictions(self.path / PREDICTIONS_FILE, self.experiment)
        except FileNotFoundError:
            return {}
        except (OSError, DamagedFile) as damage:
            raise DamagedRun(self._damage_message(PREDICTIONS_FILE, damage)) from None

    def _damage_message(self, file: str, damage: Exception) -> str:
        return f"The run {self.title} is damaged: {file} {str(damage).removesuffix('.')}."
