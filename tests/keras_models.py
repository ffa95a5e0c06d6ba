"""Keras networks of several shapes as the bytes of a `.keras` file, with random weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def randomize(model: Any, seed: int = 1) -> None:
    """Random values for every weight: an untrained network has biases of 0, which hides mistakes."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if layer.weights and layer.__class__.__name__ != "Dropout":
            layer.set_weights([_random(rng, weight.path, weight.shape) for weight in layer.weights])


def _random(rng: np.random.Generator, path: str, shape: Sequence[int]) -> np.ndarray:
    if path.endswith(("gamma", "moving_variance")):
        return rng.uniform(0.4, 1.6, shape)
    inputs = int(np.prod(shape[:-1])) if path.endswith("kernel") else 25
    return rng.normal(0, 1 / np.sqrt(inputs), shape)


def plain(layers: Any) -> list[Any]:
    """Padding 'valid', ReLU inside the convolutions, one dense layer."""
    return [layers.Conv2D(5, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(10)]


def strided(layers: Any) -> list[Any]:
    """Padding 'same' with strides and even kernels, a pooling of 3x3 with a stride of 2, an own Rescaling."""
    return [
        layers.Rescaling(1 / 127.5, offset=-1.0),
        layers.Conv2D(6, 5, strides=2, padding="same", use_bias=False),
        layers.BatchNormalization(center=False, epsilon=1e-5),
        layers.MaxPooling2D(3, 2, padding="same"),
        layers.ReLU(),
        layers.Dropout(0.2),
        layers.Conv2D(4, 2, padding="same", strides=3, activation="relu"),
        layers.BatchNormalization(scale=False),
        layers.Flatten(),
        layers.Dense(7, activation="softmax"),
    ]


def deep(layers: Any) -> list[Any]:
    """Two convolutions before each pooling, several dense layers, batch normalization between them."""
    return [
        layers.BatchNormalization(),
        layers.Conv2D(4, 3, padding="same"),
        layers.Activation("relu"),
        layers.Conv2D(4, 3, padding="same"),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(8, 3, strides=2, activation="relu"),
        layers.Activation("linear"),
        layers.Flatten(),
        layers.Dense(20),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dropout(0.5),
        layers.Dense(12, activation="relu", use_bias=False),
        layers.Dense(2),
        layers.Softmax(),
    ]


def overlapping(layers: Any) -> list[Any]:
    """Batch normalization behind the pooling, a pooling whose windows overlap, a convolution of one pixel."""
    return [
        layers.Conv2D(3, 7, activation="relu"),
        layers.MaxPooling2D(3, strides=1),
        layers.BatchNormalization(),
        layers.Conv2D(6, 1, activation="relu"),
        layers.MaxPooling2D(4, strides=3),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    ]


SHAPES = {"plain": plain, "strided": strided, "deep": deep, "overlapping": overlapping}


def sequential(name: str) -> Any:
    """A Sequential model of this shape, randomized."""
    import keras

    model = keras.Sequential([keras.Input((32, 32, 3)), *SHAPES[name](keras.layers)])
    randomize(model)
    return model


def functional(name: str) -> Any:
    """The same as a Functional model."""
    import keras

    source = values = keras.Input((32, 32, 3))
    for layer in SHAPES[name](keras.layers):
        values = layer(values)
    model = keras.Model(source, values)
    randomize(model, seed=2)
    return model


def keras_bytes(model: Any, folder: Any) -> bytes:
    """What `model.save` writes."""
    path = folder / "model.keras"
    model.save(path)
    return path.read_bytes()
