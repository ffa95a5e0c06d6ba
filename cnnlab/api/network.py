"""`Network`: a trained network of the Python API, with its weights, feature maps and predictions."""

import functools
from dataclasses import dataclass

import numpy as np

from cnnlab.analysis import receptive_field
from cnnlab.analysis.receptive_field import Box
from cnnlab.array_types import Array, PixelArray, Weights
from cnnlab.experiment import Experiment
from cnnlab.models import numpy_forward
from cnnlab.models.architecture import IMAGE_SHAPE, Layer, network_layers
from cnnlab.storage import imported_networks
from cnnlab.storage.history_file import Columns
from cnnlab.storage.imported_networks import ImportedNetwork
from cnnlab.storage.runs import Run


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network: where it is stored, and its weights after one epoch (None: the last)."""

    run: imported_networks.StoredNetwork
    epoch: int | None = None

    @property
    def trained_run(self) -> Run:
        """The run directory. Raises ValueError for a network from a `.keras` file, which has none."""
        if isinstance(self.run, ImportedNetwork):
            raise ValueError(f"{self.run.title} is from a file: it has no experiment, history or stored predictions.")
        return self.run

    @property
    def experiment(self) -> Experiment:
        """What was asked for: depth, regularizer, data set, seed and so on. Raises ValueError as `trained_run`."""
        return self.trained_run.experiment

    @functools.cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in order; `layer.name` is the key of `feature_maps`."""
        return self.run.layers if isinstance(self.run, ImportedNetwork) else network_layers(self.experiment)

    @functools.cached_property
    def weights(self) -> Weights:
        """The weights as float32 arrays by "layer/role", such as "conv1/kernel" (3, 3, 3, 64).

        Raises UnknownRun where they are not kept (further seeds come without weights), DamagedRun.
        """
        if isinstance(self.run, ImportedNetwork):
            return self.run.weights()
        return self.run.weights(self.run.record.epochs_done if self.epoch is None else self.epoch)

    @property
    def history(self) -> Columns:
        """The columns of history.csv, each float64 (epochs + 1,), from epoch 0, before training.

        >>> import cnnlab
        >>> float(cnnlab.load("3conv-dropout").history["val_accuracy"][-1])
        0.7496

        Raises ValueError as `trained_run`.
        """
        return self.trained_run.history()

    def feature_maps(self, images: PixelArray) -> dict[str, Array]:
        """The activation of every layer by its name, float32: (h, w, channels) or (units,), for a batch (n, ...).

        >>> import cnnlab
        >>> images, labels = cnnlab.sample_images()
        >>> cnnlab.load("3conv-dropout").feature_maps(images[0])["conv2"].shape
        (13, 13, 64)

        Raises ValueError for images of another shape or scale.
        """
        activations = numpy_forward.compute_activations(self.layers, self.weights, _batch(images))
        return activations if np.ndim(images) == 4 else {name: values[0] for name, values in activations.items()}

    def predict(self, images: PixelArray) -> Array:
        """The probabilities of the classes, float32 (classes,), for a batch (n, classes); each row sums to 1.

        >>> import cnnlab
        >>> images, labels = cnnlab.sample_images()
        >>> int(cnnlab.load("3conv-dropout").predict(images[0]).argmax()), int(labels[0])
        (3, 3)

        Raises ValueError for images of another shape or scale.
        """
        probabilities = numpy_forward.softmax(numpy_forward.logits(self.layers, self.weights, _batch(images)))
        return probabilities if np.ndim(images) == 4 else probabilities[0]

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


def _batch(images: PixelArray) -> PixelArray:
    """The images as a batch (n, 32, 32, 3), uint8 or float32; one image becomes a batch of one.

    Raises ValueError for another shape, and for numbers that are not on the scale from 0 to 255.
    """
    given = np.asarray(images)
    batch = given[None] if given.shape == IMAGE_SHAPE else given
    if batch.ndim != 4 or batch.shape[1:] != IMAGE_SHAPE:
        raise ValueError(f"Expected one image (32, 32, 3) or several (n, 32, 32, 3). Received: shape={given.shape}")
    if batch.dtype == np.uint8:
        return batch
    low, high = float(batch.min(initial=255)), float(batch.max(initial=0))
    if not 0 <= low <= high <= 255:
        raise ValueError(f"Expected pixels from 0 to 255. Received: {low:g} to {high:g}")
    if 0 < high <= 1 and np.issubdtype(batch.dtype, np.floating):
        raise ValueError(f"Expected pixels from 0 to 255: multiply these by 255. Received: {low:g} to {high:g}")
    return batch.astype(np.float32)
