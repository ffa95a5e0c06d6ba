"""The layers of an experiment's network, without Keras.

One list of `Layer` serves the architecture diagram on the page Train, the Keras model (`training.keras_model`) and the
forward pass in NumPy (`models.numpy_forward`), so they describe the same network:

    input, rescale, (conv, [batch norm], ReLU, max-pool, [dropout]) x depth, flatten, (dense, [dropout]) ..., logits

Each layer names the layers that it reads, so the list is a graph in topological order. Choices that the report leaves
open are explained in `training.keras_model`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from cnnlab.experiment import Experiment
from cnnlab.regularizers import REGULARIZERS

LayerKind = Literal["rescale", "conv", "bn", "relu", "pool", "dropout", "flatten", "dense"]
REGULARIZING_KINDS = ("bn", "dropout")  # the kinds of layers that `network_layers` adds for a regularizer
INPUT = "input"  # the name under which the network's first layer reads the images
IMAGE_SHAPE = (32, 32, 3)
BATCHNORM_EPSILON = 1e-3  # Keras's default
VARIABLES = {  # of each kind of layer with weights, in the order in which Keras stores them
    "conv": ("kernel", "bias"),
    "dense": ("kernel", "bias"),
    "bn": ("gamma", "beta", "moving_mean", "moving_variance"),
}

# Plausible positions of batch normalization and dropout in a block; the first of each is the default.
BATCHNORM_POSITIONS = ("before_relu", "after_relu", "after_pool")
DROPOUT_POSITIONS = ("after_pool_and_dense", "after_pool", "after_dense")


@dataclass(frozen=True, kw_only=True)
class LayerOrder:
    """Where the regularizing layers stand: one of BATCHNORM_POSITIONS and one of DROPOUT_POSITIONS."""

    batchnorm: str = BATCHNORM_POSITIONS[0]
    dropout: str = DROPOUT_POSITIONS[0]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer of a network.

    kind: what it computes. mypy finds each function that does not know a kind of `LayerKind`.
    inputs: the names of the layers whose activations it reads, INPUT for the images.
    output_shape: of its activation for one image, (height, width, channels) or (units,).
    block: the number of the convolution block that it belongs to, from 1; 0 outside the blocks.
    signed: whether its activation has values on both sides of zero.
    kernel, stride, padding: the side of the window of a convolution or a pooling, the distance between two windows, and
    'valid' or 'same', as in Keras. epsilon: of batch normalization. scale, offset: `rescale` returns pixels * scale +
    offset.
    is_output: whether its activation is the network's result, the logits.
    parameters: how many numbers it stores (for batch normalization the moving mean and variance too, as in Keras's
    summary); parameter_formula spells the count out.
    """

    name: str
    kind: LayerKind
    inputs: tuple[str, ...]
    output_shape: tuple[int, ...]
    block: int = 0
    signed: bool = False
    is_output: bool = False
    parameters: int = 0
    parameter_formula: str = ""
    filters: int = 0
    kernel: int = 0
    stride: int = 1
    padding: str = "valid"
    epsilon: float = BATCHNORM_EPSILON
    scale: float = 1 / 255
    offset: float = 0.0
    rate: float = 0.0
    activation: str = "linear"

    @property
    def variables(self) -> tuple[str, ...]:
        """The roles of its weights: ("kernel", "bias"); empty for a layer without weights."""
        return VARIABLES.get(self.kind, ())

    @property
    def weight_names(self) -> tuple[str, ...]:
        """The names of its weights as runs store them: ("conv1/kernel", "conv1/bias")."""
        return tuple(f"{self.name}/{variable}" for variable in self.variables)

    @property
    def has_feature_maps(self) -> bool:
        """Whether its activation has rows and columns."""
        return len(self.output_shape) == 3


@lru_cache(maxsize=128)
def network_layers(experiment: Experiment, layer_order: LayerOrder | None = None) -> tuple[Layer, ...]:
    """The network of an experiment in topological order; `layer_order` is given by the study of layer orders only."""
    layer_order = layer_order or LayerOrder()
    layers = [Layer(name="rescale", kind="rescale", inputs=(INPUT,), output_shape=IMAGE_SHAPE)]
    for block in range(1, experiment.depth + 1):
        layers.extend(_block(experiment, layer_order, block, layers[-1]))
    height, width, channels = layers[-1].output_shape
    units = height * width * channels
    layers.append(Layer(name="flatten", kind="flatten", inputs=(layers[-1].name,), output_shape=(units,)))
    layers.extend(_head(experiment, layer_order, layers[-1]))
    return tuple(layers)


def _block(experiment: Experiment, layer_order: LayerOrder, block: int, source: Layer) -> Iterator[Layer]:
    """Convolution, ReLU and pooling, with the experiment's regularizer at its position; `source` is read first."""
    regularizer = REGULARIZERS[experiment.regularizer].layer_kind
    last = _convolution(experiment, block, source)
    yield last
    if regularizer == "bn" and layer_order.batchnorm == "before_relu":
        yield (last := _batch_norm(block, last))
    yield (last := _after(last, f"relu{block}", "relu"))
    if regularizer == "bn" and layer_order.batchnorm == "after_relu":
        yield (last := _batch_norm(block, last))
    if last.output_shape[0] > 1:  # a map of one pixel cannot be pooled
        yield (last := _max_pool(last))
    if regularizer == "bn" and layer_order.batchnorm == "after_pool":
        yield (last := _batch_norm(block, last))
    if regularizer == "dropout" and layer_order.dropout != "after_dense":
        yield _dropout(f"dropout{block}", experiment, last)


def _after(source: Layer, name: str, kind: LayerKind) -> Layer:
    """A layer without weights that reads `source` and has its shape."""
    return Layer(name=name, kind=kind, inputs=(source.name,), output_shape=source.output_shape, block=source.block)


def _max_pool(source: Layer) -> Layer:
    """The largest of each 2x2 square."""
    height, width, channels = source.output_shape
    layer = _after(source, f"pool{source.block}", "pool")
    shape = (height // 2, width // 2, channels)
    return replace(layer, output_shape=shape, signed=source.signed, kernel=2, stride=2)


def _convolution(experiment: Experiment, block: int, source: Layer) -> Layer:
    """'valid' padding, stride 1; a map smaller than the kernel is padded with zeros ('same')."""
    height, width, channels = source.output_shape
    size, filters = experiment.kernel, experiment.filters
    padding = "valid" if height >= size else "same"
    lost = size - 1 if padding == "valid" else 0
    return Layer(
        name=f"conv{block}",
        kind="conv",
        inputs=(source.name,),
        output_shape=(height - lost, width - lost, filters),
        block=block,
        signed=True,
        parameters=(size * size * channels + 1) * filters,
        parameter_formula=f"({size}*{size}*{channels}+1)*{filters}",
        filters=filters,
        kernel=size,
        padding=padding,
    )


def _batch_norm(block: int, source: Layer) -> Layer:
    """A scale, a shift, a moving mean and a moving variance for each channel."""
    channels = source.output_shape[-1]
    layer = _after(source, f"bn{block}", "bn")
    return replace(layer, signed=True, parameters=4 * channels, parameter_formula=f"4*{channels}")


def _dropout(name: str, experiment: Experiment, source: Layer) -> Layer:
    return replace(_after(source, name, "dropout"), signed=source.signed, rate=experiment.strength or 0.0)


def _head(experiment: Experiment, layer_order: LayerOrder, last: Layer) -> Iterator[Layer]:
    """The dense layers: one hidden layer of `dense` units up to depth 2, two from depth 3 on, then the logits."""
    dropout = REGULARIZERS[experiment.regularizer].layer_kind == "dropout" and layer_order.dropout != "after_pool"
    for number in range(1, 2 if experiment.depth <= 2 else 3):
        yield (last := _dense(f"dense{number}", last, experiment.dense, "relu"))
        if dropout:
            yield (last := _dropout(f"drop_dense{number}", experiment, last))
    yield _dense("logits", last, experiment.dataset_info.class_count, "linear")


def _dense(name: str, source: Layer, units: int, activation: str) -> Layer:
    (inputs,) = source.output_shape
    return Layer(
        name=name,
        kind="dense",
        inputs=(source.name,),
        output_shape=(units,),
        signed=activation == "linear",
        is_output=activation == "linear",
        parameters=(inputs + 1) * units,
        parameter_formula=f"({inputs}+1)*{units}",
        activation=activation,
    )


def parameter_count(layers: Sequence[Layer]) -> int:
    """How many numbers the network stores."""
    return sum(layer.parameters for layer in layers)


def weight_shapes(layers: Sequence[Layer]) -> dict[str, tuple[int, ...]]:
    """The shapes of the network's weights by "layer/variable": "conv1/kernel" (3, 3, 3, 64), "conv1/bias" (64,)."""
    sizes = {INPUT: IMAGE_SHAPE} | {layer.name: layer.output_shape for layer in layers}
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in layers:
        incoming, units = sizes[layer.inputs[0]][-1], layer.output_shape[-1]
        window = (layer.kernel, layer.kernel) if layer.kind == "conv" else ()
        for name, variable in zip(layer.weight_names, layer.variables, strict=True):
            shapes[name] = (*window, incoming, units) if variable == "kernel" else (units,)
    return shapes


def find_layer(layers: Sequence[Layer], name: str, kind: str | None = None) -> Layer:
    """The layer of this name. Raises ValueError where there is none, or where it is not of `kind`."""
    for layer in layers:
        if layer.name == name and kind in (None, layer.kind):
            return layer
    names = ", ".join(layer.name for layer in layers if kind in (None, layer.kind))
    raise ValueError(f"Expected the name of a layer{f' of kind {kind}' if kind else ''}: {names}. Received: {name!r}")


def layer_names(layers: Sequence[Layer], kind: str) -> list[str]:
    """The names of all layers of a kind, first to last."""
    return [layer.name for layer in layers if layer.kind == kind]


def block_layers(layers: Sequence[Layer], name: str) -> list[Layer]:
    """The layers of the block that the layer of this name belongs to, without dropout, which does nothing at inference.

    Raises ValueError for a layer outside the blocks.
    """
    block = find_layer(layers, name).block
    if not block:
        raise ValueError(f"Expected a layer of a convolution block. Received: {name!r}")
    return [layer for layer in layers if layer.block == block and layer.kind != "dropout"]


def relu_after(layers: Sequence[Layer], conv: str) -> str:
    """The name of the ReLU in a convolution's block: "conv2" -> "relu2". Raises ValueError for another layer."""
    find_layer(layers, conv, "conv")
    return next(layer.name for layer in block_layers(layers, conv) if layer.kind == "relu")


if unplaced := {entry.layer_kind for entry in REGULARIZERS.values()} - {None, *REGULARIZING_KINDS}:
    raise ValueError(f"Expected regularizers that add {' or '.join(REGULARIZING_KINDS)}. Received: {unplaced}")
