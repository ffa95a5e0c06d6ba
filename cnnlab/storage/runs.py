"""The runs on this machine: opened by name, found by experiment, listed. `run` describes the directory of one."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.report_models import REPORT, shipped_name
from cnnlab.storage import files, run_damage, run_files
from cnnlab.storage.bounded_files import DamagedFile
from cnnlab.storage.history_file import HISTORY_COLUMNS, OPTIONAL_HISTORY_COLUMNS, REESTIMATED, write_history
from cnnlab.storage.reestimated_file import REESTIMATED_FILE
from cnnlab.storage.run import SNAPSHOT_EPOCHS, DamagedRun, Run, UnknownRun
from cnnlab.storage.run_files import EXPERIMENT_FILE

__all__ = [  # the names of `run` and `history_file` that belong to the use of a run
    "HISTORY_COLUMNS",
    "OPTIONAL_HISTORY_COLUMNS",
    "REESTIMATED",
    "REESTIMATED_FILE",
    "SNAPSHOT_EPOCHS",
    "DamagedRun",
    "Run",
    "UnknownRun",
    "write_history",
]

RUN_NAME_PATTERN = re.compile(r"[a-z0-9-]{1,64}")


@dataclass(frozen=True)
class DamagedFolder:
    """A run directory with an unknown experiment; `damage` says why, in one sentence."""

    path: Path
    damage: str

    @property
    def name(self) -> str:
        """The name of the directory."""
        return self.path.name


def read_run(path: Path) -> Run:
    """The run in this directory, whatever its name. Raises UnknownRun where there is none, DamagedRun."""
    try:
        return Run(path, run_files.read_experiment(path / EXPERIMENT_FILE))
    except DamagedFile as damage:
        raise DamagedRun(_damage_message(path, damage)) from None
    except OSError:
        raise UnknownRun(f"There is no run called {path.name!r} on this machine.") from None


def _read_named_run(path: Path) -> Run:
    """The run in a directory that must have the name of its experiment. Raises as `read_run`."""
    run = read_run(path)
    try:
        run_files.check_folder_name(path, run.experiment)
    except DamagedFile as damage:
        raise DamagedRun(_damage_message(path, damage)) from None
    return run


def _damage_message(path: Path, damage: object) -> str:
    return f"The run {path.name[:64]} is damaged: {EXPERIMENT_FILE} {str(damage).removesuffix('.')}."


def open_run(reference: str) -> Run:
    """The run with this key, or the shipped run with this name. Raises UnknownRun, DamagedRun."""
    if not RUN_NAME_PATTERN.fullmatch(reference):
        raise UnknownRun(f"A run is called by its name or its 16-digit key. Received: {reference[:64]!r}")
    shipped = settings.PRETRAINED / reference
    return _read_named_run(shipped if shipped.is_dir() else settings.runs_dir() / reference)


def find_run(experiment: Experiment) -> Run | None:
    """The run of this experiment, shipped or trained here, or None; a damaged one where there is no whole one."""
    shipped = shipped_name(experiment)
    places = [settings.PRETRAINED / shipped] if shipped else []
    found = [
        Run(place, experiment) for place in [*places, settings.runs_dir() / experiment.key] if run_damage.is_run(place)
    ]
    if len(found) < 2:
        return found[0] if found else None
    return min(found, key=lambda run: (run.state == "damaged", bool(run.damages())))


def shipped_seed_path(experiment: Experiment) -> Path:
    """The directory of a further seed that came with the program: its results without its weights."""
    return settings.PRETRAINED / "seeds" / experiment.key


def shipped_seeds() -> list[Run]:
    """The further shipped seeds of the report's models and of the Shapes networks, by key.

    They hold experiment, record, history and predictions, and no weights, so Look inside cannot show them.
    """
    folders = sorted(_folders(settings.PRETRAINED / "seeds"))
    return [run for run in _read_folders(folders) if isinstance(run, Run)]


def find_results(experiment: Experiment) -> Run | None:
    """A finished run of this experiment, or the results of one that came with the program; None without any."""
    run = find_run(experiment)
    if run is not None and run.state == "done":
        return run
    shipped = Run(shipped_seed_path(experiment), experiment)
    return shipped if run_files.exists(shipped.path / EXPERIMENT_FILE) and shipped.state == "done" else None


def list_runs() -> list[Run]:
    """Every run there is: the shipped ones in the report's order, then those trained here, newest first.

    A run whose experiment.json cannot be used is among `damaged_folders` instead.
    """
    return [run for run in _read_folders(_run_folders()) if isinstance(run, Run)]


def damaged_folders() -> list[DamagedFolder]:
    """The run directories whose experiment.json is missing, damaged or of another run."""
    return [folder for folder in _read_folders(_run_folders()) if isinstance(folder, DamagedFolder)]


def _run_folders() -> list[Path]:
    """The directories of the report's models, then those of this home, newest first."""
    trained = sorted(_folders(settings.runs_dir()), key=lambda path: files.modified_time(path / EXPERIMENT_FILE))
    return [*(settings.PRETRAINED / name for name in REPORT), *reversed(trained)]


def _read_folders(folders: Iterable[Path]) -> Iterator[Run | DamagedFolder]:
    for folder in folders:
        try:
            yield _read_named_run(folder)
        except DamagedRun as damage:
            yield DamagedFolder(folder, str(damage))
        except UnknownRun:
            if run_damage.is_run(folder):
                yield DamagedFolder(folder, _damage_message(folder, "is missing"))


def _folders(place: Path) -> list[Path]:
    try:
        return [path for path in place.iterdir() if path.is_dir()]
    except OSError:
        return []
