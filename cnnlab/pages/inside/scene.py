"""What is in view: one run at one epoch, one image, and what every layer made of it.

The page makes one `Scene` and hands it to whatever is drawn. Its numbers come from one forward pass, which takes a
millisecond: it is made anew each time, and nothing has to be remembered for the next person.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cnnlab import forward, lens
from cnnlab.architecture import Layer
from cnnlab.forward import Stages
from cnnlab.pages import cached
from cnnlab.pages.shelf import CLASSES, Subject
from cnnlab.runs import Run, Weights

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """A run at an epoch and an image. Everything is float32; `stages` holds batches of one."""

    run: Run
    epoch: int
    subject: Subject

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The network, first layer to last."""
        return self.run.layers

    @property
    def classes(self) -> tuple[str, ...]:
        """The ten classes that the network knows."""
        return CLASSES[self.run.experiment.dataset]

    @property
    def image(self) -> Bytes:
        """The image, uint8 (32, 32, 3)."""
        return self.subject.pixels

    @property
    def weights(self) -> Weights:
        """The run's weights after the epoch. Shared by all sessions: not to be changed."""
        return cached.weights(self.run, self.epoch)

    @cached_property
    def stages(self) -> Stages:
        """What every layer puts out for the image, by name."""
        return forward.stages(self.layers, self.weights, self.image[None])

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """What the network says, (10,), adding up to 1."""
        return np.asarray(forward.softmax(self.stages["logits"])[0])

    @property
    def convolutions(self) -> list[str]:
        """The names of the convolution layers."""
        return [layer.name for layer in self.layers if layer.kind == "conv"]

    def activation(self, conv: str) -> str:
        """The stage that shows a convolution's maps: its ReLU."""
        return lens.activation_of(self.layers, conv)

    def convolution(self, stage: str) -> str:
        """The convolution that a stage of maps comes from: the last one up to it."""
        names = [layer.name for layer in self.layers]
        return [layer.name for layer in self.layers[: names.index(stage) + 1] if layer.kind == "conv"][-1]

    def block(self, conv: str) -> list[Layer]:
        """The layers of maps from a convolution up to the next one, without dropout, which does nothing any more."""
        names = [layer.name for layer in self.layers]
        found = []
        for layer in self.layers[names.index(conv) :]:
            if layer.kind == "flatten" or (layer.kind == "conv" and layer.name != conv):
                break
            found.append(layer)
        return [layer for layer in found if layer.kind != "dropout"]

    def at(self, epoch: int) -> "Scene":
        """The same run and image after another epoch."""
        return Scene(run=self.run, epoch=epoch, subject=self.subject)

    def of(self, run: Run, epoch: int) -> "Scene":
        """The same image in another run."""
        return Scene(run=run, epoch=epoch, subject=self.subject)
