"""Trains the report's ten models where they are missing, and publishes finished runs under `pretrained/`."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.jobs import probe_job, shipped_top_images, top_activations_file
from cnnlab.jobs.foreground import TrainingTask, train_tasks
from cnnlab.report_models import REPORT, models_on
from cnnlab.storage import bounded_files, compression, files, runs
from cnnlab.storage.background_process import cnnlab_command
from cnnlab.storage.bounded_files import DamagedFile
from cnnlab.storage.runs import DamagedRun, Run

MAX_FILE_BYTES = 500_000_000  # of a file of a finished run


def train_missing(names: Sequence[str], slots: int | None = None) -> list[str]:
    """Train these models, one process a core, and return the names of those that failed.

    `slots` is how many cores are used at most (None: all). Raises SettingsError.
    """
    return train_tasks([model_task(name) for name in names], slots)


def model_task(name: str) -> TrainingTask:
    """The training of one of the report's models, with one thread."""
    return _task(name, REPORT[name].experiment)


def _task(name: str, experiment: Experiment) -> TrainingTask:
    command = cnnlab_command("train", "--threads", "1", "--json", experiment.to_json())
    return TrainingTask(name, experiment, settings.runs_dir() / experiment.key, command)


def series_experiments(names: Iterable[str], seeds: int, dataset: str = "cifar10") -> list[Experiment]:
    """The report's models among `names` that are measured on validation images, with the seeds 0 to `seeds` - 1.

    On CIFAR-10 without seed 0, which the report's own models are. Seed by seed, so that each seed becomes whole early.
    """
    wanted = set(names)
    models = [
        model.experiment
        for name, model in models_on(dataset).items()
        if name in wanted and model.experiment.split == "validation"
    ]
    return [
        replace(model, seed=seed)
        for seed in range(seeds)
        for model in models
        if dataset != "cifar10" or seed != model.seed
    ]


def missing_experiments(experiments: Iterable[Experiment]) -> list[Experiment]:
    """Those without finished results, trained here or shipped."""
    shipped = {run.experiment for run in runs.shipped_seeds()}
    return [
        experiment
        for experiment in experiments
        if experiment not in shipped and not _is_done(runs.find_run(experiment))
    ]


def _is_done(run: Run | None) -> bool:
    return run is not None and run.state == "done"


def train_experiments(experiments: Iterable[Experiment], slots: int | None = None) -> list[str]:
    """Train these, one process a core, and return the titles of those that failed. Raises SettingsError."""
    return train_tasks([_task(experiment.title, experiment) for experiment in experiments], slots)


def publishable_experiments(experiments: Iterable[Experiment]) -> list[Experiment]:
    """Those among these that have finished here and whose results are not shipped yet."""
    return [
        experiment
        for experiment in experiments
        if files.read_json(settings.runs_dir() / experiment.key / "record.json").get("state") == "done"
        and not (runs.shipped_seed_path(experiment) / "experiment.json").exists()
    ]


def publish_results(experiment: Experiment) -> Path:
    """Put the results of a finished run under `pretrained/seeds/`, without weights; returns the new directory.

    The logits are stored in steps (`compression.quantize_logits`). Figures with re-estimated batch normalization
    (`cnnlab batchnorm --last`) go along where they are. experiment.json is written last, as in `publish`.
    """
    run, target = runs.read_run(settings.runs_dir() / experiment.key), runs.shipped_seed_path(experiment)
    small = {
        name: values if name.endswith("_labels") else compression.quantize_logits(values)
        for name, values in run.predictions().items()
    }
    files.write_npz_bzip2(target / "predictions.npz", small)
    optional = [runs.REESTIMATED_FILE] if (run.path / runs.REESTIMATED_FILE).exists() else []
    for file in (*optional, "history.csv", "record.json", "experiment.json"):
        files.write_bytes(target / file, _read_file(run, file))
    return target


def _read_file(run: Run, name: str) -> bytes:
    """The content of a file of the run. Raises DamagedRun, FileNotFoundError."""
    try:
        return bounded_files.read_file(run.path / name, MAX_FILE_BYTES)
    except DamagedFile as damage:
        raise DamagedRun(f"The run {run.name} is damaged: {name} {damage}.") from None


def missing_models(names: Iterable[str] = REPORT) -> list[str]:
    """The models among these without a finished run."""
    by_name = {name: runs.find_run(REPORT[name].experiment) for name in names}
    return [name for name, run in by_name.items() if run is None or run.state != "done"]


def publishable_models(names: Iterable[str]) -> list[str]:
    """The models among these that have a finished run here and are not shipped yet."""
    found = [(name, Run(settings.runs_dir() / REPORT[name].experiment.key, REPORT[name].experiment)) for name in names]
    done = [name for name, run in found if run.state == "done"]
    return [name for name in done if not (settings.PRETRAINED / name / "experiment.json").exists()]


def publish(name: str) -> Path:
    """Copy the finished run of this model to `pretrained/`, compressed; returns the new directory.

    History, record and Keras model are copied whole. Snapshots are rounded to 6 significant bits and logits to 9:
    enough for display, a third of the size. The last weights are in model.keras, in full precision. Top images and
    probes go along where `cnnlab top-images` and `cnnlab probe` have computed them. experiment.json, which makes the
    directory a run, is written last: an interrupted call publishes nothing.
    """
    run = runs.read_run(settings.runs_dir() / REPORT[name].experiment.key)
    target = settings.PRETRAINED / name
    files.write_bytes(target / "model.keras", compression.deflate_zip(_read_file(run, "model.keras")))
    for epoch in run.snapshot_epochs()[:-1]:
        weights = {role: compression.round_mantissa(values, 5) for role, values in run.weights(epoch).items()}
        files.write_npz_bzip2(target / "weights" / f"{epoch:03}.npz", weights)
    rounded = {
        name: compression.preserve_argmax(compression.round_mantissa(values, 8), values)
        if values.dtype == np.float16
        else values
        for name, values in run.predictions().items()
    }
    files.write_npz_bzip2(target / "predictions.npz", rounded)
    if top_activations := top_activations_file.load(run):
        shipped_top_images.save(top_activations, target)
    if probes := probe_job.load(run):
        files.write_json(target / probe_job.FILE, asdict(probes))
    for file in ("history.csv", "record.json", "experiment.json"):
        files.write_bytes(target / file, _read_file(run, file))
    return target
