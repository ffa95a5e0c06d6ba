"""The input of every view of Look inside: one run at one epoch, one image, and the activations.

The activations come from one forward pass of about a millisecond, so they are computed anew and never kept.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cnnlab.array_types import PixelArray, Weights
from cnnlab.models import architecture, numpy_forward
from cnnlab.models.architecture import Layer
from cnnlab.models.numpy_forward import Activations
from cnnlab.storage.imported_networks import ImportedNetwork, StoredNetwork
from cnnlab.storage.runs import Run, UnknownRun
from cnnlab.ui import cache
from cnnlab.ui.image_source import SelectedImage, load_image_set, network_classes
from cnnlab.ui.state import url_param

VIEW_PARAM = url_param("view")  # which of the page's views is open


@dataclass(frozen=True, kw_only=True, eq=False)
class InspectContext:
    """A run at an epoch and an image. Everything is float32; `activations` holds batches of one."""

    run: StoredNetwork
    epoch: int
    selected_image: SelectedImage

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The network, first layer to last."""
        return self.run.layers

    @property
    def trained_run(self) -> Run:
        """The run, for what needs its experiment. Raises UnknownRun for a network that was trained elsewhere."""
        if isinstance(self.run, ImportedNetwork):
            raise UnknownRun("This view needs the training of the network, which took place elsewhere.")
        return self.run

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that the network knows, by output."""
        return network_classes(self.run)

    @property
    def image_classes(self) -> tuple[str, ...]:
        """The names of the classes of the images that it is shown."""
        return load_image_set(self.run.dataset).classes

    @property
    def image(self) -> PixelArray:
        """The image, uint8 (32, 32, 3)."""
        return self.selected_image.pixels

    @property
    def weights(self) -> Weights:
        """The run's weights after the epoch. Shared by all sessions: not to be changed."""
        return cache.weights(self.run, self.epoch)

    @cached_property
    def activations(self) -> Activations:
        """The activation of every layer for the image, by name."""
        return numpy_forward.compute_activations(self.layers, self.weights, self.image[None])

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """The predicted probabilities, (classes,), with sum 1."""
        return np.asarray(numpy_forward.softmax(self.activations["logits"])[0])

    @property
    def convolution_names(self) -> list[str]:
        """The names of the convolution layers."""
        return architecture.layer_names(self.layers, "conv")

    def relu_name(self, conv: str) -> str:
        """The ReLU of a convolution's block: the layer whose activation is shown as the convolution's feature maps."""
        return architecture.relu_after(self.layers, conv)

    def convolution_name(self, layer_name: str) -> str:
        """The convolution of the block that a layer belongs to."""
        return next(layer.name for layer in self.block_layers(layer_name) if layer.kind == "conv")

    def block_layers(self, layer_name: str) -> list[Layer]:
        """The layers of a block, without dropout, which does nothing at inference."""
        return architecture.block_layers(self.layers, layer_name)

    def at_epoch(self, epoch: int) -> "InspectContext":
        """The same run and image after another epoch."""
        return InspectContext(run=self.run, epoch=epoch, selected_image=self.selected_image)

    def with_run(self, run: StoredNetwork, epoch: int) -> "InspectContext":
        """The same image in another run."""
        return InspectContext(run=run, epoch=epoch, selected_image=self.selected_image)


def nearest_snapshot(run: StoredNetwork, epoch: int) -> int:
    """The latest epoch up to this one whose weights the run keeps; the first one kept where all are later."""
    kept = run.snapshot_epochs()
    return max((snapshot for snapshot in kept if snapshot <= epoch), default=kept[0])
