"""Runs made up for the pages: any history one likes, written in the one format, trained by nobody."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cnnlab.experiment import REPORT, Experiment
from cnnlab.storage import files, runs

RECORD = {"device": "AMD EPYC, 2 of 2 cores", "finished": "2026-11-23T13:00:00+00:00", "seconds": 660.0}


def history(training: Sequence[float], validation: Sequence[float], penalty: float = 0.0) -> list[dict[str, float]]:
    """A row an epoch, from 0; Keras reports two points less than what is measured like validation."""
    rows = []
    for epoch, (known, new) in enumerate(zip(training, validation, strict=True)):
        row = {"epoch": epoch, "train_eval_accuracy": known, "val_accuracy": new, "penalty": penalty}
        row |= {"train_eval_loss": 2.3 * (1 - known), "val_loss": 2.3 * (1 - new)}
        rows.append(row | ({"accuracy": known - 0.02, "loss": 2.35 * (1 - known)} if epoch else {}))
    return rows


def columns(training: Sequence[float], validation: Sequence[float], penalty: float = 0.0) -> dict[str, np.ndarray]:
    """The same as `Run.history` gives it."""
    rows = history(training, validation, penalty)
    return {
        name: np.array([row.get(name, np.nan) for row in rows])
        for name in (*runs.HISTORY_COLUMNS, *runs.OPTIONAL_HISTORY_COLUMNS)
    }


def write(folder: Path, experiment: Experiment, rows: list[dict[str, float]], state: str = "done", **record) -> Path:
    """A run directory with this history and nothing inside to look at."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "experiment.json").write_text(experiment.to_json() + "\n")
    runs.write_history(folder / "history.csv", rows)
    files.write_json(folder / "record.json", {**RECORD, "state": state, "epochs_done": len(rows) - 1, **record})
    return folder


def write_report(place: Path, names: Sequence[str] = tuple(REPORT)) -> None:
    """The report's models under `pretrained/`, each with the report's own figures after its last epoch."""
    for name in names:
        model = REPORT[name]
        training = np.linspace(0.1, min(1.0, model.train_accuracy + 0.02), 31)
        validation = np.linspace(0.1, model.validation_accuracy, 31)
        write(place / name, model.experiment, history(training, validation))
