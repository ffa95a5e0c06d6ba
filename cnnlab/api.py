"""The Python API for a course: `import cnnlab; run = cnnlab.load("3conv-dropout")`.

Ten functions around the objects that the app uses: a run directory, its experiment, its weights, the forward pass in
NumPy. Nothing here imports TensorFlow; `train` starts a process that does. Images are uint8 (32, 32, 3) or
(n, 32, 32, 3), 0..255, RGB. Results are NumPy arrays and `Estimate`s (a figure with its 95 % interval).
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab import data, training_packages
from cnnlab.analysis import metrics, receptive_field
from cnnlab.analysis.receptive_field import Box
from cnnlab.analysis.statistics import Estimate, paired_difference, seed_difference
from cnnlab.array_types import Array, PixelArray, Weights
from cnnlab.data import photo_preprocessing, samples
from cnnlab.experiment import Experiment
from cnnlab.models import numpy_forward
from cnnlab.models.architecture import Layer, network_layers
from cnnlab.storage import runs, series
from cnnlab.storage.history_file import Columns
from cnnlab.storage.runs import Run

IMAGE_SHAPE = (32, 32, 3)


class TrainingError(RuntimeError):
    """A training that could not be started or did not finish. The message is one sentence."""


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network: its run directory, and its weights after one epoch (None: the last)."""

    run: Run
    epoch: int | None = None

    @property
    def experiment(self) -> Experiment:
        """What was asked for: depth, regularizer, data set, seed and so on."""
        return self.run.experiment

    @functools.cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in order; `layer.name` is the key of `feature_maps`."""
        return network_layers(self.experiment)

    @functools.cached_property
    def weights(self) -> Weights:
        """The weights as float32 arrays by "layer/role", such as "conv1/kernel" (3, 3, 3, 64).

        Raises UnknownRun where they are not kept (further seeds come without weights), DamagedRun.
        """
        return self.run.weights(self.run.record.epochs_done if self.epoch is None else self.epoch)

    @property
    def history(self) -> Columns:
        """The columns of history.csv, each float64 (epochs + 1,), from epoch 0, before training.

        >>> import cnnlab
        >>> float(cnnlab.load("3conv-dropout").history["val_accuracy"][-1])
        0.7496
        """
        return self.run.history()

    def feature_maps(self, images: PixelArray) -> dict[str, Array]:
        """The activation of every layer by its name, float32: (h, w, channels) or (units,), for a batch (n, ...).

        >>> import cnnlab
        >>> images, labels = cnnlab.sample_images()
        >>> cnnlab.load("3conv-dropout").feature_maps(images[0])["conv2"].shape
        (13, 13, 64)

        Raises ValueError for images of another shape.
        """
        batch = _batch(images)
        activations = numpy_forward.compute_activations(self.layers, self.weights, batch)
        return activations if batch is images else {name: values[0] for name, values in activations.items()}

    def predict(self, images: PixelArray) -> Array:
        """The probabilities of the classes, float32 (classes,), for a batch (n, classes); each row sums to 1.

        >>> import cnnlab
        >>> images, labels = cnnlab.sample_images()
        >>> int(cnnlab.load("3conv-dropout").predict(images[0]).argmax()), int(labels[0])
        (3, 3)

        Raises ValueError for images of another shape.
        """
        batch = _batch(images)
        probabilities = numpy_forward.softmax(numpy_forward.logits(self.layers, self.weights, batch))
        return probabilities if batch is images else probabilities[0]

    def receptive_field(self, layer: str, row: int = 0, column: int = 0) -> Box:
        """The pixels of the image that one pixel of a feature map depends on: (top, left, bottom, right), exclusive.

        >>> import cnnlab
        >>> cnnlab.load("3conv-dropout").receptive_field("conv3", 1, 1)
        Box(top=4, left=4, bottom=22, right=22)

        Raises ValueError for an unknown layer or a pixel outside it.
        """
        return receptive_field.receptive_field(self.layers, layer, row, column)

    def at_epoch(self, epoch: int) -> "Network":
        """The same network with the weights after `epoch`, where they were kept.

        >>> import cnnlab
        >>> images, labels = cnnlab.sample_images()
        >>> untrained = cnnlab.load("3conv-dropout").at_epoch(0)
        >>> bool(untrained.predict(images[0]).max() < 0.2)
        True

        Raises ValueError for an epoch whose weights were not kept.
        """
        kept = self.run.snapshot_epochs()
        if epoch not in kept:
            raise ValueError(f"Expected an epoch whose weights were kept: {kept}. Received: {epoch=}")
        return Network(self.run, epoch)


def networks() -> list[str]:
    """The names of the finished networks on this machine: the ten of the report, then those trained here.

    >>> import cnnlab
    >>> cnnlab.networks()[:2]
    ['2conv-none', '2conv-l2']
    """
    return [run.name for run in runs.list_runs() if run.state == "done"]


def load(name: str) -> Network:
    """The network of this name or key.

    >>> import cnnlab
    >>> cnnlab.load("3conv-dropout").experiment.title
    '3-conv, dropout 0.1'

    Raises UnknownRun where there is none, DamagedRun.
    """
    return Network(runs.open_run(name))


def load_seeds(name: str) -> dict[int, Network]:
    """The networks that differ from `name` in nothing but the seed, by seed; those from a file have no weights.

    >>> import cnnlab
    >>> {0, 1} <= set(cnnlab.load_seeds("3conv-dropout"))
    True

    Raises UnknownRun, DamagedRun.
    """
    known = [*runs.list_runs(), *runs.shipped_seeds()]
    found = series.find_series(runs.open_run(name).experiment, known)
    return {seed: Network(run) for seed, run in found.runs.items()}


def sample_images() -> tuple[PixelArray, PixelArray]:
    """The twenty CIFAR-10 test images that come along, uint8 (20, 32, 32, 3), and their labels, uint8 (20,).

    >>> import cnnlab
    >>> images, labels = cnnlab.sample_images()
    >>> images.shape, labels[:4].tolist()
    ((20, 32, 32, 3), [3, 8, 8, 0])
    """
    return samples.sample_images()


def read_image(path: str | Path) -> PixelArray:
    """An image file as the app prepares an upload: a square from the center, reduced to uint8 (32, 32, 3).

    >>> import cnnlab
    >>> cnnlab.read_image(cnnlab.api.samples.SAMPLE_DIRECTORY / "cifar10_00_3.png").shape
    (32, 32, 3)

    Raises OSError, PhotoError (a ValueError) for what is no image.
    """
    return photo_preprocessing.prepare_photo(Path(path).read_bytes()).pixels


def compare(first: Network | Mapping[int, Network], second: Network | Mapping[int, Network]) -> Estimate:
    """The validation accuracy of `first` minus that of `second`, with a 95 % interval (for final networks the test's).

    Two networks: over the same images, from their stored predictions (`paired_difference`); chance is which images
    were drawn. Two results of `load_seeds`: over the seeds in common (`seed_difference`); chance is the seed, and fewer
    than three seeds give a range.

    >>> import cnnlab
    >>> difference = cnnlab.compare(cnnlab.load("3conv-dropout"), cnnlab.load("3conv-none"))
    >>> f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f}), n = {difference.n[0]:,}"
    '+0.054 (+0.045 to +0.063), n = 10,000'

    Raises ValueError where the two were validated on different images.
    """
    if isinstance(first, Network) and isinstance(second, Network):
        one, other = _outcomes(first), _outcomes(second)
        if not np.array_equal(one.true_class, other.true_class):
            raise ValueError("Expected two networks that were validated on the same images; these were not.")
        return paired_difference(one.correct, other.correct)
    if isinstance(first, Network) or isinstance(second, Network):
        raise ValueError("Expected two networks, or two results of load_seeds. Received: one of each")
    return seed_difference(_final_accuracies(first), _final_accuracies(second))


def train(**fields: Any) -> Network:
    """Train an experiment in a process of its own, and wait for it; the progress is logged. Needs `cnnlab[train]`.

    `fields` are those of `Experiment`: depth, regularizer, strength, dataset, epochs, seed, ...; what is left out is as
    in the report. `dataset` may be the name of your own pictures. A finished run is returned at once; an interrupted
    one is continued.

    >>> import cnnlab
    >>> network = cnnlab.train(dataset="shapes", depth=2, train_images=64, epochs=1)
    >>> len(network.history["val_accuracy"])
    2

    Raises ExperimentError for a field or value that no experiment has, DatasetMissing, TrainingError.
    """
    from cnnlab import reproduce

    if "dataset" in fields:
        fields |= data.dataset_fields(str(fields["dataset"])) if "class_names" not in fields else {}
    experiment = Experiment.from_dict(fields)
    found = runs.find_run(experiment)
    if found is None or found.state != "done":
        if hint := training_packages.install_hint():
            raise TrainingError(hint)
        if reproduce.train_experiments([experiment]):
            raise TrainingError(f"{experiment.title} was not trained: {_reason(experiment)}")
        found = runs.find_run(experiment)
    if found is None:
        raise TrainingError(f"{experiment.title} left no run.")
    return Network(found)


def _reason(experiment: Experiment) -> str:
    run = runs.find_run(experiment)
    return run.record.reason or "its log says why." if run else "its process did not start."


def _final_accuracies(by_seed: Mapping[int, Network]) -> dict[int, float]:
    return {seed: float(network.history["val_accuracy"][-1]) for seed, network in by_seed.items()}


def _outcomes(network: Network) -> metrics.Predictions:
    """The stored predictions of the images that the network was validated on."""
    split, predictions = network.experiment.split, network.run.predictions()
    return metrics.classify(predictions[split], predictions[f"{split}_labels"])


def _batch(images: PixelArray) -> PixelArray:
    """The images as a batch; one image becomes a batch of one. Raises ValueError for another shape."""
    shape = np.shape(images)
    if shape == IMAGE_SHAPE:
        return np.asarray(images)[None]
    if len(shape) == 4 and shape[1:] == IMAGE_SHAPE:
        return images
    raise ValueError(f"Expected one image (32, 32, 3) or several (n, 32, 32, 3). Received: shape={shape}")
