"""Import of finished runs that another machine trained: results only, checked before anything is written."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnlab import settings
from cnnlab.operating_system import file_operations
from cnnlab.storage import files, runs
from cnnlab.storage.runs import Run

IMPORTED_FILES = ("experiment.json", "record.json", "history.csv", "predictions.npz")
MAX_FILE_BYTES = 20_000_000  # a worker's predictions.npz has 0.4 MB


class RunImportError(ValueError):
    """A run that cannot be imported. The message is one sentence."""


@dataclass(frozen=True)
class ImportResult:
    """The result for one run directory: the run, or the sentence that says why it was not imported."""

    folder: Path
    run: Run | None = None
    problem: str = ""


def import_runs(path: Path) -> list[ImportResult]:
    """Import the run directory at `path`, or every one directly below it, into the runs of this home.

    Raises RunImportError where there is no run directory.
    """
    folders = (
        [path] if (path / "experiment.json").is_file() else [file.parent for file in path.glob("*/experiment.json")]
    )
    if not folders:
        raise RunImportError(
            f"Expected a run directory or a folder of them, each with experiment.json. Received: {path}"
        )
    return [_import_result(folder) for folder in sorted(folders)]


def _import_result(folder: Path) -> ImportResult:
    try:
        return ImportResult(folder, import_run(folder))
    except RunImportError as problem:
        return ImportResult(folder, problem=str(problem))


def import_run(folder: Path) -> Run:
    """Copy the results of one finished run into this home, or leave everything as it is.

    Weights are not imported. Raises RunImportError where the run is not finished, is here already, was trained on other
    images, or where its predictions do not give the accuracy of its history.
    """
    try:
        run = runs.read_run(folder)
    except (runs.UnknownRun, runs.DamagedRun) as problem:
        raise RunImportError(f"{folder.name} holds no experiment of this version.") from problem
    check_finished(run)
    check_predictions(run)
    target = settings.runs_dir() / run.key
    if target.exists():
        raise RunImportError(f"{run.title} is here already, as {run.key}.")
    staging = target.with_name(f"{run.key}.import")
    shutil.rmtree(staging, ignore_errors=True)
    for name in IMPORTED_FILES:
        files.write_bytes(staging / name, (folder / name).read_bytes())
    file_operations.replace(staging, target)
    return runs.read_run(target)


def check_finished(run: Run) -> None:
    """Raise RunImportError unless every file is there and the run trained all its epochs on the known images."""
    for name in IMPORTED_FILES:
        file = run.path / name
        if not file.is_file() or file.is_symlink() or file.stat().st_size > MAX_FILE_BYTES:
            raise RunImportError(f"{run.path.name} needs the file {name}, of at most {MAX_FILE_BYTES:,} bytes.")
    record, epochs = run.record, run.experiment.epochs
    if record.state != "done" or record.epochs_done != epochs:
        raise RunImportError(f"{run.title} has not finished its {epochs} epochs. Received: {record.state!r}")
    known = known_fingerprints(run.experiment.dataset)
    if known and record.fingerprint not in known:
        raise RunImportError(f"{run.title} was trained on other images than this program's {run.experiment.dataset}.")


def known_fingerprints(dataset: str) -> set[str]:
    """The fingerprints of this data set in the runs that came with the program."""
    shipped = [run for run in [*runs.list_runs(), *runs.shipped_seeds()] if run.is_pretrained]
    return {str(run.record.fingerprint) for run in shipped if run.experiment.dataset == dataset}


def check_predictions(run: Run) -> None:
    """Raise RunImportError unless history and predictions are whole and agree on the final accuracies."""
    experiment = run.experiment
    try:
        history, predictions = run.history(), run.predictions()
    except runs.DamagedRun as problem:
        raise RunImportError(str(problem)) from problem
    if not np.array_equal(history["epoch"], np.arange(experiment.epochs + 1)):
        raise RunImportError(f"{run.title}: history.csv needs a row for each of the epochs 0 to {experiment.epochs}.")
    expected = {experiment.split: float(history["val_accuracy"][-1])}
    if experiment.split == "validation":
        expected["test"] = float(run.record.test_accuracy or np.nan)
    classes = run.dataset_info.class_count
    for name, accuracy in expected.items():
        logits, labels = predictions.get(name), predictions.get(f"{name}_labels")
        if logits is None or labels is None or logits.shape != (len(labels), classes) or len(labels) == 0:
            raise RunImportError(f"{run.title}: predictions.npz needs {name} (n, {classes}) and {name}_labels (n,).")
        if not abs(float(np.mean(logits.argmax(axis=1) == labels)) - accuracy) < 0.5 / len(labels):
            raise RunImportError(f"{run.title}: its predictions do not give the {name} accuracy of its history.")
