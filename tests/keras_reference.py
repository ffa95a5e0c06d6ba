"""The Keras reference of a network, with random weights, to compare the NumPy forward pass with.

In an untrained network biases are 0, gammas 1 and moving means 0, which hides mistakes. Here all of them are random.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from cnnlab.experiment import Experiment
from cnnlab.models.architecture import Layer, LayerOrder, network_layers


@dataclass(frozen=True, eq=False)
class KerasReference:
    """`model` is the Keras network, `layers` and `weights` are what `cnnlab.models.numpy_forward` takes."""

    layers: tuple[Layer, ...]
    weights: dict[str, np.ndarray]
    model: Any

    def stages(self, images, change=None):
        """Every stage from Keras, dropout left out; `change(name, values)` may replace what a layer put out."""
        found = self.outputs(images, change)
        return {layer.name: np.asarray(found[layer.name]) for layer in self.layers if layer.kind != "dropout"}

    def outputs(self, images, change=None):
        """The tensor of every layer by name, "input" among them; each layer reads the layers in `Layer.inputs`."""
        found = {"input": images}
        for layer in self.layers:
            inputs = [found[name] for name in layer.inputs]
            values = self.model.get_layer(layer.name)(inputs[0] if len(inputs) == 1 else inputs, training=False)
            found[layer.name] = values if change is None else change(layer.name, values)
        return found


@cache
def keras_reference(experiment: Experiment, layer_order: LayerOrder | None = None) -> KerasReference:
    """The network of an experiment with random weights, in both forms."""
    from cnnlab.training import keras_model

    model = keras_model.build_model(experiment, layer_order=layer_order)
    rng = np.random.default_rng(1)
    weights = {name: _random(rng, name, values) for name, values in keras_model.get_weights(model).items()}
    keras_model.set_weights(model, weights)
    return KerasReference(network_layers(experiment, layer_order), weights, model)


def _random(rng, name, values):
    role = name.split("/")[1]
    if role in ("gamma", "moving_variance"):
        return rng.uniform(0.3, 1.7, values.shape).astype(np.float32)
    if role == "kernel":
        return values * np.float32(1.2)
    return rng.normal(0, 0.2, values.shape).astype(np.float32)


def some_images(count: int, seed: int = 0) -> np.ndarray:
    """Random pictures with light and dark regions, uint8 (count, 32, 32, 3)."""
    rng = np.random.default_rng(seed)
    regions = rng.integers(0, 256, (count, 4, 4, 3)).repeat(8, axis=1).repeat(8, axis=2)
    return np.clip(regions + rng.normal(0, 30, (count, 32, 32, 3)), 0, 255).astype(np.uint8)
