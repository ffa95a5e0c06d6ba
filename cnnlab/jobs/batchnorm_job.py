"""The accuracies of a run with re-estimated batch normalization, at every epoch whose weights are kept.

    python -m cnnlab batchnorm RUN

Trainings record these figures in the columns `..._reestimated` of history.csv. For runs without them, such as the
shipped ones, this job writes `reestimated.json` into the run's directory. It takes about 20 s per epoch on one core and
writes after each, so an interrupted job continues. The images are those of history.csv: the first 5,000 training
images, and all validation images (for the final models the test images). Shipped weights of all but the last epoch are
rounded to six significant bits, which changes an accuracy by up to one point; nothing else is approximate.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from cnnlab import data
from cnnlab.analysis import batchnorm, metrics
from cnnlab.array_types import PixelArray, Weights
from cnnlab.experiment import TRAIN_EVAL_IMAGES
from cnnlab.models import numpy_forward
from cnnlab.models.architecture import Layer, layer_names, network_layers
from cnnlab.storage import files, runs
from cnnlab.storage.bounded_files import DamagedFile
from cnnlab.storage.reestimated_file import read_reestimated
from cnnlab.storage.runs import REESTIMATED, DamagedRun, Run

SLICE_IMAGES = 500  # images between two calls of the progress callback

ReportLine = Callable[[str], None]


class BatchnormError(LookupError):
    """The figures cannot be computed. The message is one sentence."""


def pending_runs() -> list[Run]:
    """The finished runs with batch normalization whose history and file both lack these figures."""
    found = [run for run in runs.list_runs() if run.state == "done" and run.snapshot_epochs()]
    return [run for run in found if layer_names(network_layers(run.experiment), "bn") and not _is_complete(run)]


def _is_complete(run: Run) -> bool:
    try:
        return set(run.snapshot_epochs()) <= set(run.reestimated_history()["epoch"].tolist())
    except DamagedRun:
        return False


def run_job(
    run: Run,
    images: int = batchnorm.IMAGES,
    report: ReportLine = lambda line: None,
    *,
    last_only: bool = False,
) -> dict[str, Any]:
    """Compute what is missing of the run's `reestimated.json`, write it, and return its content.

    images: how many training images mean and variance are taken over, the first ones; all where there are fewer.
    last_only: only the weights after the last epoch. Raises BatchnormError for a run without batch normalization or
    trained on other data than is here, DatasetMissing, OSError.
    """
    layers = network_layers(run.experiment)
    if not layer_names(layers, "bn"):
        raise BatchnormError(f"Choose a run with batch normalization. Received: {run.name} ({run.experiment.title})")
    if images < 1:
        raise BatchnormError(f"Choose at least one training image. Received: images={images}")
    dataset = data.load_dataset(run.experiment.dataset)
    if (run.record.fingerprint or dataset.fingerprint) != dataset.fingerprint:
        raise BatchnormError(f"{run.name} was trained on other images than those here; import the data it was made of.")
    split = data.split_dataset(dataset, run.experiment)
    images, train_count = (min(count, len(split.x_train)) for count in (images, TRAIN_EVAL_IMAGES))
    counts = {"images": images, "train_eval_images": train_count, "val_images": len(split.x_val)}
    result = _previous(run, counts | {"fingerprint": dataset.fingerprint})
    done = {row["epoch"] for row in result["epochs"]}
    epochs = run.snapshot_epochs()[-1:] if last_only else run.snapshot_epochs()
    for epoch in [epoch for epoch in epochs if epoch not in done]:
        row = {"epoch": epoch} | epoch_figures(layers, run.weights(epoch), split, images, report)
        result["epochs"] = sorted([*result["epochs"], row], key=lambda figures: figures["epoch"])
        files.write_json(run.path / runs.REESTIMATED_FILE, result)
        report(_summary(run, row))
    return result


def _previous(run: Run, header: dict[str, Any]) -> dict[str, Any]:
    """The file of an earlier call, or an empty one where that is damaged or was made with other images."""
    path = run.path / runs.REESTIMATED_FILE
    try:
        read_reestimated(path, run.experiment.epochs)
        written = files.read_json(path)
    except DamagedFile:
        written = {}
    return written if header.items() <= written.items() and "epochs" in written else header | {"epochs": []}


def epoch_figures(
    layers: tuple[Layer, ...], weights: Weights, split: data.DataSplit, images: int, report: ReportLine
) -> dict[str, Any]:
    """Accuracies and losses with re-estimated weights, and the largest lag of each layer's moving mean."""
    renewed = batchnorm.reestimate(layers, weights, np.asarray(split.x_train[:images]))
    lag = batchnorm.moving_mean_lag(layers, weights, renewed)
    figures: dict[str, Any] = {
        "largest_lag": {name: round(float(np.abs(values).max()), 4) for name, values in lag.items()}
    }
    sets = {
        "train_eval": (split.x_train[:TRAIN_EVAL_IMAGES], split.y_train[:TRAIN_EVAL_IMAGES]),
        "val": (split.x_val, split.y_val),
    }
    for name, (pixels, labels) in sets.items():
        logits = np.concatenate(list(_logits(layers, renewed, pixels, name, report)))
        figures[f"{name}_accuracy{REESTIMATED}"] = round(metrics.accuracy(logits, labels), 6)
        figures[f"{name}_loss{REESTIMATED}"] = round(metrics.cross_entropy(logits, labels), 6)
    return figures


def _logits(
    layers: tuple[Layer, ...], weights: Weights, pixels: PixelArray, name: str, report: ReportLine
) -> Iterable[Any]:
    """The logits of the images, a slice at a time; reports the progress."""
    for first in range(0, len(pixels), SLICE_IMAGES):
        report(f"\r{name}: {first:,} of {len(pixels):,} images")
        yield numpy_forward.logits(layers, weights, np.asarray(pixels[first : first + SLICE_IMAGES]))


def _summary(run: Run, row: dict[str, Any]) -> str:
    """One line about an epoch: each accuracy as Keras's moving averages give it, and re-estimated."""
    history, epoch = run.history(), row["epoch"]
    shares = [
        f"{title} {history[name][epoch]:.2%} -> {row[name + REESTIMATED]:.2%}"
        for title, name in (("training", "train_eval_accuracy"), (run.experiment.split, "val_accuracy"))
    ]
    lag = ", ".join(f"{name} {value:.2f}" for name, value in row["largest_lag"].items())
    return f"{run.name} epoch {epoch}: {', '.join(shares)}; largest lag in standard deviations: {lag}"
