"""The layers of a network as calls of Keras: the class and the arguments of each, without importing Keras.

One list for the model that is trained (`training.keras_model`) and for the program in a report that trains it again
(`lesson_report.keras_script`).
"""

import zlib
from dataclasses import dataclass
from typing import Any, assert_never

from cnnlab.experiment import Experiment
from cnnlab.models.architecture import Layer
from cnnlab.regularizers import check_implemented

WEIGHT_PENALTIES = {"l2": "L2"}  # by regularizer: the class of keras.regularizers, called with the strength
check_implemented("weight_penalty", WEIGHT_PENALTIES)


@dataclass(frozen=True)
class KerasCall:
    """A class of Keras and its arguments by name, without `name` and `dtype`: keras.<module>.<class_name>(...)."""

    module: str
    class_name: str
    arguments: dict[str, Any]


def keras_call(layer: Layer, experiment: Experiment) -> KerasCall:
    """The Keras layer that one entry of the architecture describes."""
    match layer.kind:
        case "rescale":
            return _layer("Rescaling", scale=layer.scale)
        case "conv":
            window = {"filters": layer.filters, "kernel_size": layer.kernel, "padding": layer.padding}
            return _layer("Conv2D", **window, **_penalty(experiment))
        case "bn":
            return _layer("BatchNormalization")
        case "relu":
            return _layer("ReLU")
        case "pool":
            return _layer("MaxPooling2D", pool_size=layer.kernel)
        case "dropout":
            return _layer("Dropout", rate=layer.rate, seed=layer_seed(experiment, layer))
        case "flatten":
            return _layer("Flatten")
        case "dense":
            return _layer("Dense", units=layer.output_shape[0], activation=layer.activation, **_penalty(experiment))
        case _:
            assert_never(layer.kind)


def _layer(class_name: str, **arguments: Any) -> KerasCall:
    return KerasCall("layers", class_name, arguments)


def _penalty(experiment: Experiment) -> dict[str, KerasCall]:
    """The argument that penalizes the weights of a kernel; none for an experiment without such a regularizer."""
    name = WEIGHT_PENALTIES.get(experiment.regularizer)
    return {} if name is None else {"kernel_regularizer": KerasCall("regularizers", name, {"l2": experiment.strength})}


def layer_seed(experiment: Experiment, layer: Layer) -> int:
    """A seed for this layer; with one seed for all, the dropout layers would draw the same random numbers."""
    return zlib.crc32(f"{experiment.seed}/{layer.name}".encode()) >> 1
