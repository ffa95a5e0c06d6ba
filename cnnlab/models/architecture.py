"""From an experiment to the list of its layers, without Keras.

One list serves three readers: the strip on the Train page (shapes and parameter counts spelled out), the Keras model
(`networks`) and the forward pass in NumPy (`forward`). They cannot disagree about what the network is.

    image - (conv - [batch norm] - ReLU - max-pool - [dropout]) x depth - flatten - (dense - [dropout]) ... - logits

What the report leaves open, and what was chosen here, stands in `networks`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cnnlab.experiment import Experiment

IMAGE_SHAPE = (32, 32, 3)
CLASS_COUNT = 10

# The orders in which batch normalization and dropout can plausibly stand in a block; the first of each is used.
BATCHNORM_POSITIONS = ("before_relu", "after_relu", "after_pool")
DROPOUT_POSITIONS = ("after_pool_and_dense", "after_pool", "after_dense")


@dataclass(frozen=True, kw_only=True)
class LayerOrder:
    """Where the regularizing layers stand: one of BATCHNORM_PLACES and one of DROPOUT_PLACES."""

    batchnorm: str = BATCHNORM_POSITIONS[0]
    dropout: str = DROPOUT_POSITIONS[0]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer: its name, its kind, the shape it puts out for one image, and how many numbers it learns.

    kind: rescale, conv, bn, relu, pool, dropout, flatten or dense. `parameters` counts all stored numbers (for batch
    normalization the moving mean and variance too, as Keras's summary does); `arithmetic` spells the count out.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int = 0
    parameter_formula: str = ""
    filters: int = 0
    kernel: int = 0
    padding: str = "valid"
    rate: float = 0.0
    activation: str = "linear"


def network_layers(experiment: Experiment, layer_order: LayerOrder | None = None) -> tuple[Layer, ...]:
    """The network of an experiment, first layer to last; `placement` only where a comparison of placements asks."""
    layer_order = layer_order or LayerOrder()
    found = [Layer(name="rescale", kind="rescale", output_shape=IMAGE_SHAPE)]
    for block in range(1, experiment.depth + 1):
        found.extend(_block(experiment, layer_order, block, found[-1].output_shape))
    height, width, channels = found[-1].output_shape
    found.append(Layer(name="flatten", kind="flatten", output_shape=(height * width * channels,)))
    found.extend(_head(experiment, layer_order, height * width * channels))
    return tuple(found)


def _block(experiment: Experiment, layer_order: LayerOrder, block: int, shape: tuple[int, ...]) -> Iterator[Layer]:
    """Convolution, ReLU and pooling, with the experiment's regularizer at its place."""
    normalized = experiment.regularizer == "batchnorm"
    conv = _convolution(experiment, block, shape)
    yield conv
    if normalized and layer_order.batchnorm == "before_relu":
        yield _batch_norm(block, conv.output_shape)
    yield Layer(name=f"relu{block}", kind="relu", output_shape=conv.output_shape)
    if normalized and layer_order.batchnorm == "after_relu":
        yield _batch_norm(block, conv.output_shape)
    height, width, channels = conv.output_shape
    if height > 1:  # a map of one pixel has nothing left to pool
        height, width = height // 2, width // 2
        yield Layer(name=f"pool{block}", kind="pool", output_shape=(height, width, channels))
    if normalized and layer_order.batchnorm == "after_pool":
        yield _batch_norm(block, (height, width, channels))
    if experiment.regularizer == "dropout" and layer_order.dropout != "after_dense":
        yield _dropout(f"dropout{block}", experiment, (height, width, channels))


def _convolution(experiment: Experiment, block: int, shape: tuple[int, ...]) -> Layer:
    """'valid', stride 1; a map that has become smaller than the kernel is padded with zeros ('same')."""
    height, width, channels = shape
    size, filters = experiment.kernel, experiment.filters
    padding = "valid" if height >= size else "same"
    lost = size - 1 if padding == "valid" else 0
    return Layer(
        name=f"conv{block}",
        kind="conv",
        output_shape=(height - lost, width - lost, filters),
        parameters=(size * size * channels + 1) * filters,
        parameter_formula=f"({size}*{size}*{channels}+1)*{filters}",
        filters=filters,
        kernel=size,
        padding=padding,
    )


def _batch_norm(block: int, shape: tuple[int, ...]) -> Layer:
    """A scale, a shift, a moving mean and a moving variance for each channel."""
    channels = shape[-1]
    return Layer(
        name=f"bn{block}", kind="bn", output_shape=shape, parameters=4 * channels, parameter_formula=f"4*{channels}"
    )


def _dropout(name: str, experiment: Experiment, shape: tuple[int, ...]) -> Layer:
    return Layer(name=name, kind="dropout", output_shape=shape, rate=experiment.strength or 0.0)


def _head(experiment: Experiment, layer_order: LayerOrder, width: int) -> Iterator[Layer]:
    """The dense layers: one of `dense` units for the 2-conv network, two for the 3-conv network, then the logits."""
    for number in range(1, 2 if experiment.depth <= 2 else 3):
        yield _dense(f"dense{number}", width, experiment.dense, "relu")
        width = experiment.dense
        if experiment.regularizer == "dropout" and layer_order.dropout != "after_pool":
            yield _dropout(f"drop_dense{number}", experiment, (width,))
    yield _dense("logits", width, CLASS_COUNT, "linear")


def _dense(name: str, inputs: int, units: int, activation: str) -> Layer:
    return Layer(
        name=name,
        kind="dense",
        output_shape=(units,),
        parameters=(inputs + 1) * units,
        parameter_formula=f"({inputs}+1)*{units}",
        activation=activation,
    )


def parameter_count(network: tuple[Layer, ...]) -> int:
    """How many numbers the network holds."""
    return sum(layer.parameters for layer in network)
