"""What is in view: one run at one epoch, one image, and what every layer made of it.

The page makes one `Scene` and hands it to whatever is drawn. Its numbers come from one forward pass, which takes a
millisecond: it is made anew each time, and nothing has to be remembered for the next person.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cnnlab.analysis import filter_ablation
from cnnlab.array_types import PixelArray, Weights
from cnnlab.models import numpy_forward
from cnnlab.models.architecture import Layer, network_layers
from cnnlab.models.numpy_forward import Activations
from cnnlab.storage.runs import Run
from cnnlab.ui import cache
from cnnlab.ui.image_source import CLASSES, SelectedImage


@dataclass(frozen=True, kw_only=True, eq=False)
class InspectContext:
    """A run at an epoch and an image. Everything is float32; `stages` holds batches of one."""

    run: Run
    epoch: int
    selected_image: SelectedImage

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The network, first layer to last."""
        return network_layers(self.run.experiment)

    @property
    def classes(self) -> tuple[str, ...]:
        """The ten classes that the network knows."""
        return CLASSES[self.run.experiment.dataset]

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
        """What every layer puts out for the image, by name."""
        return numpy_forward.compute_activations(self.layers, self.weights, self.image[None])

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """What the network says, (10,), adding up to 1."""
        return np.asarray(numpy_forward.softmax(self.activations["logits"])[0])

    @property
    def convolution_names(self) -> list[str]:
        """The names of the convolution layers."""
        return [layer.name for layer in self.layers if layer.kind == "conv"]

    def relu_name(self, conv: str) -> str:
        """The stage that shows a convolution's maps: its ReLU."""
        return filter_ablation.relu_after(self.layers, conv)

    def convolution_name(self, stage: str) -> str:
        """The convolution that a stage of maps comes from: the last one up to it."""
        names = [layer.name for layer in self.layers]
        return [layer.name for layer in self.layers[: names.index(stage) + 1] if layer.kind == "conv"][-1]

    def block_layers(self, conv: str) -> list[Layer]:
        """The layers of maps from a convolution up to the next one, without dropout, which does nothing any more."""
        names = [layer.name for layer in self.layers]
        found = []
        for layer in self.layers[names.index(conv) :]:
            if layer.kind == "flatten" or (layer.kind == "conv" and layer.name != conv):
                break
            found.append(layer)
        return [layer for layer in found if layer.kind != "dropout"]

    def at_epoch(self, epoch: int) -> "InspectContext":
        """The same run and image after another epoch."""
        return InspectContext(run=self.run, epoch=epoch, selected_image=self.selected_image)

    def with_run(self, run: Run, epoch: int) -> "InspectContext":
        """The same image in another run."""
        return InspectContext(run=run, epoch=epoch, selected_image=self.selected_image)
