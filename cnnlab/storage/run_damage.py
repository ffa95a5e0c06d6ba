"""Which files of a run directory cannot be used and why, and how they are discarded."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cnnlab.experiment import Experiment
from cnnlab.formatting import pluralize
from cnnlab.storage import history_file, run_files
from cnnlab.storage.bounded_files import DamagedFile
from cnnlab.storage.history_file import HISTORY_FILE, Columns
from cnnlab.storage.run_files import EXPERIMENT_FILE, MODEL_FILE, PREDICTIONS_FILE, SNAPSHOT_PATTERN, WEIGHTS_FOLDER
from cnnlab.storage.run_record import RECORD_FILE, RunRecord

RESULTS = (RECORD_FILE, HISTORY_FILE, WEIGHTS_FOLDER, MODEL_FILE, PREDICTIONS_FILE, "top.npz", "top.json")
CHECKPOINT_FILE = "checkpoint.npz"


def find_damages(folder: Path, experiment: Experiment, thorough: bool = False) -> dict[str, str]:
    """The reason why each damaged file of this experiment's run cannot be used, by its path in the folder.

    Archives are checked by their directory and by what their last reader found, or read completely (`thorough`).
    """
    found = description_damages(folder, experiment)
    weights = folder / WEIGHTS_FOLDER
    if run_files.exists(weights) and (weights.is_symlink() or not weights.is_dir()):
        found[WEIGHTS_FOLDER] = "is no folder"
    archives = [*snapshot_files(folder, experiment).values(), folder / MODEL_FILE, folder / PREDICTIONS_FILE]
    for path in archives:
        if damage := _damage(_reader(path) if thorough else run_files.check_archive, path, experiment):
            found[path.relative_to(folder).as_posix()] = damage
    return found


def description_damages(folder: Path, experiment: Experiment) -> dict[str, str]:
    """The damages of experiment.json, record.json and history.csv, which must also be consistent."""
    checks: dict[str, Callable[[Path, Experiment], object]] = {
        EXPERIMENT_FILE: _check_experiment,
        RECORD_FILE: lambda folder, experiment: run_files.read_record(folder / RECORD_FILE, experiment),
        HISTORY_FILE: read_history,
    }
    return {name: damage for name, check in checks.items() if (damage := _damage(check, folder, experiment))}


def _check_experiment(folder: Path, experiment: Experiment) -> None:
    try:
        written = run_files.read_experiment(folder / EXPERIMENT_FILE)
    except FileNotFoundError:
        if run_files.exists(folder / RECORD_FILE):
            raise DamagedFile("is missing") from None
        return
    if experiment.key != written.key:
        raise DamagedFile(f"describes another experiment, {written.title}, with the key {written.key}")


def read_history(folder: Path, experiment: Experiment) -> Columns:
    """The history of the run in this folder, empty where there is none, as long as its record says.

    Raises DamagedFile, OSError.
    """
    try:
        record = run_files.read_record(folder / RECORD_FILE, experiment)  # first: a worker writes it after the history
    except (OSError, DamagedFile):
        record = RunRecord()
    try:
        columns = run_files.read_history(folder / HISTORY_FILE, experiment)
    except FileNotFoundError:
        columns = history_file.empty_history()
    run_files.check_row_count(len(columns["epoch"]), record)
    return columns


def snapshot_files(folder: Path, experiment: Experiment) -> dict[int, Path]:
    """The files of weights/ by epoch, ascending, damaged or not."""
    try:
        paths = [path for path in (folder / WEIGHTS_FOLDER).iterdir() if SNAPSHOT_PATTERN.fullmatch(path.name)]
    except OSError:
        return {}
    return {epoch: path for path in sorted(paths) if (epoch := int(path.stem)) <= experiment.epochs}


def is_run(folder: Path) -> bool:
    """Whether the folder has a file that describes a training or holds its results."""
    return any(run_files.exists(folder / name) for name in (EXPERIMENT_FILE, RECORD_FILE, HISTORY_FILE))


def is_usable(path: Path, experiment: Experiment) -> bool:
    """Whether this archive of a run exists and is not known to be damaged."""
    return run_files.exists(path) and not _damage(run_files.check_archive, path, experiment)


def _reader(path: Path) -> Callable[..., Any]:
    return run_files.read_predictions if path.name == PREDICTIONS_FILE else run_files.read_weights


def _damage(check: Callable[..., object], *arguments: object) -> str:
    """The message of the DamagedFile that a check raises; "" where it raises none, or the file is missing."""
    try:
        check(*arguments)
    except FileNotFoundError:
        return ""
    except DamagedFile as damage:
        return str(damage)
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    return ""


def describe_damages(damages: dict[str, str]) -> str:
    """One sentence: "history.csv is empty; 2 other files are damaged too."; "" for none."""
    if not damages:
        return ""
    name, damage = next(iter(damages.items()))
    others = len(damages) - 1
    rest = f"; {pluralize(others, 'other file is', 'other files are')} damaged too" if others else ""
    return f"{name} {damage.removesuffix('.')}{rest}."


def discard_damaged_files(folder: Path, experiment: Experiment) -> dict[str, str]:
    """Remove the files of a damaged run that cannot be used, so that it can be trained; returns the damages.

    A training with a checkpoint, which has not ended, keeps it and its undamaged files. Any other run, and a run of
    another experiment, keeps no result. Nothing of an undamaged run is removed. Raises OSError. The caller holds the
    run's lock.
    """
    damages = find_damages(folder, experiment, thorough=True)
    if not damages:
        return {}
    names: list[str] = list(damages)
    if EXPERIMENT_FILE in damages:
        names += [CHECKPOINT_FILE, *RESULTS]
    elif not run_files.exists(folder / CHECKPOINT_FILE):
        names += RESULTS
    for path in (folder / name for name in names):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return damages
