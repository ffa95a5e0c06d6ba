"""A Keras model's `config.json` as `Layer`s, read without Keras: known kinds of layers, one behind the other.

A network that somebody made elsewhere becomes the list of layers that the app's own networks have: a convolution and
what follows it up to the next one is a block, conv1, relu1, pool1; then flatten, dense1, logits. Nothing of the file is
run, so a kind of layer that `keras_layers` does not know is refused by its name.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from cnnlab.formatting import quoted
from cnnlab.models.architecture import IMAGE_SHAPE, INPUT, Layer, LayerKind, parameter_count, weight_shapes
from cnnlab.models.keras_layers import KerasLayer, UnsupportedModel, read_layer
from cnnlab.models.network_cost import multiply_adds
from cnnlab.models.windows import window_count

PIXEL_RANGES = {"0-1": (1 / 255, 0.0), "0-255": (1.0, 0.0), "-1-1": (2 / 255, -1.0)}  # (scale, offset) of the pixels
CLASS_COUNTS = range(2, 11)
MAX_LAYERS, MAX_CONVOLUTIONS, MAX_FILTERS = 100, 16, 512
MAX_PARAMETERS, MAX_MULTIPLY_ADDS = 4_000_000, 200_000_000
SUFFIXES = ("", "_b", "_c", "_d", "_e", "_f", "_g", "_h")  # of a name's kind: the second ReLU of block 1 is "relu_b1"
UNREADABLE = "This is not a model that Keras 3 saved: config.json has another structure."


@dataclass(frozen=True)
class KerasNetwork:
    """The layers of a Keras model, and for each layer with weights the name that it has in the file."""

    layers: tuple[Layer, ...]
    keras_names: dict[str, str]


def network_from_config(config: Mapping[str, Any], pixels: str) -> KerasNetwork:
    """The network that a model's config.json describes.

    pixels: one of PIXEL_RANGES, the range of the pixels that the model was trained with; a model that begins with a
    Rescaling layer takes 0-255 and says the rest itself. Raises UnsupportedModel, one sentence, for anything that this
    program cannot compute.
    """
    try:
        steps = _swap_pool_and_relu(_model_steps(config))
        return _build(steps, PIXEL_RANGES[pixels])
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        if isinstance(error, UnsupportedModel):
            raise
        raise UnsupportedModel(UNREADABLE) from None


# -- the chain of layers -----------------------------------------------------------------------------------------------


def _model_steps(config: Mapping[str, Any]) -> list[KerasLayer]:
    """What the model computes, in order; a layer with an activation becomes two. The input is checked."""
    kind, model = config["class_name"], config["config"]
    if kind not in ("Sequential", "Functional"):
        raise UnsupportedModel(
            f"Expected a Sequential or Functional model. Received: a model of the class {quoted(str(kind))}"
        )
    entries = model["layers"]
    inputs = [entry for entry in entries if entry["class_name"] == "InputLayer"]
    if len(inputs) > 1:
        raise UnsupportedModel(f"Expected a model with one input. Received: {len(inputs)} inputs")
    others = [entry for entry in entries if entry["class_name"] != "InputLayer"]
    if len(others) > MAX_LAYERS:
        raise UnsupportedModel(f"Expected at most {MAX_LAYERS} layers. Received: {len(others):,}")
    steps = [step for entry in others for step in read_layer(entry)]
    if kind == "Functional":
        _check_chain(entries, model["output_layers"])
    shape = inputs[0]["config"]["batch_shape"] if inputs else model["build_input_shape"]
    if tuple(shape[1:]) != IMAGE_SHAPE:
        raise UnsupportedModel(f"Expected a model for images of 32x32x3. Received: an input of {_shape_text(shape)}")
    return steps


def _shape_text(shape: Sequence[object]) -> str:
    return quoted("x".join(str(side) for side in shape[1:]))


def _check_chain(entries: Sequence[Mapping[str, Any]], outputs: Sequence[Any]) -> None:
    """Each layer reads the layer before it and no other; the last one is the only output. Raises UnsupportedModel."""
    before = entries[0]["config"]["name"]
    for entry in entries[1:]:
        name = entry["config"]["name"]
        nodes = entry["inbound_nodes"]
        read = [argument["config"]["keras_history"][0] for node in nodes for argument in node["args"]]
        if read != [before] or any(node["kwargs"].get("training") for node in nodes):
            raise UnsupportedModel(
                f"Expected one layer behind the other, each read once. Received: the layer {quoted(name)}, which reads "
                f"{quoted(', '.join(map(str, read)))}"
            )
        before = name
    last = outputs[0] if len(outputs) == 1 else outputs
    if last[0] != before or not isinstance(last[0], str):
        raise UnsupportedModel(f"Expected one output, of the last layer, {quoted(before)}.")


def _swap_pool_and_relu(steps: list[KerasLayer]) -> list[KerasLayer]:
    """ReLU before the pooling that it follows, which gives the same numbers: then the maps after ReLU are complete."""
    found: list[KerasLayer] = []
    for step in steps:
        place = len(found) - 1 if step.kind == "relu" and found and found[-1].kind == "pool" else len(found)
        found.insert(place, step)
    return found


# -- the layers of this program ----------------------------------------------------------------------------------------


def _build(steps: Sequence[KerasLayer], pixel_range: tuple[float, float]) -> KerasNetwork:
    scale, offset = pixel_range
    if steps and steps[0].kind == "rescale":
        scale, offset, steps = steps[0].values["scale"], steps[0].values["offset"], steps[1:]
    layers = [
        Layer(name="rescale", kind="rescale", inputs=(INPUT,), output_shape=IMAGE_SHAPE, scale=scale, offset=offset)
    ]
    names: dict[str, str] = {}
    for step in _without_softmax(steps):
        if step.kind == "relu" and layers[-1].kind == "dense":
            layers[-1] = replace(layers[-1], activation="relu", signed=False)
            continue
        layers.append(_next_layer(layers, step))
        names[layers[-1].name] = step.name
    found = _with_logits(KerasNetwork(tuple(layers), names))
    _check_blocks(found)
    _check_size(found.layers)
    return found


def _without_softmax(steps: Sequence[KerasLayer]) -> Sequence[KerasLayer]:
    """The steps up to the softmax, which may only be the last one."""
    for place, step in enumerate(steps):
        if step.kind == "softmax" and place < len(steps) - 1:
            raise UnsupportedModel(
                f"Expected softmax behind the last layer only. Received: {quoted(step.name)} before others"
            )
    return steps[:-1] if steps and steps[-1].kind == "softmax" else steps


def _next_layer(layers: Sequence[Layer], step: KerasLayer) -> Layer:
    """The layer that this step is behind `layers`. Raises UnsupportedModel where it cannot stand there."""
    source = layers[-1]
    in_maps, block = source.has_feature_maps, source.block + (step.kind == "conv")
    if (in_maps and step.kind == "dense") or (not in_maps and step.kind in ("conv", "pool")):
        expected = "behind Flatten" if step.kind == "dense" else "before Flatten"
        raise UnsupportedModel(f"Expected {quoted(step.name)}, {step.class_name}, {expected}.")
    if in_maps and not block and step.kind in ("relu", "pool", "flatten"):
        raise UnsupportedModel(f"Expected a Conv2D layer before {quoted(step.name)}, {step.class_name}.")
    if step.kind == "rescale":
        raise UnsupportedModel(f"Expected Rescaling as the first layer only. Received: {quoted(step.name)}")
    shape = _output_shape(source.output_shape, step)
    layer = Layer(
        name=_free_name(layers, step.kind, block if in_maps else 0),
        kind=cast(LayerKind, step.kind),  # `_without_softmax` has taken out the other one
        inputs=(source.name,),
        output_shape=shape,
        block=block if in_maps and step.kind != "flatten" else 0,
        signed=step.kind in ("conv", "bn", "dense") or (source.signed and step.kind != "relu"),
        **step.values,
    )
    return replace(layer, parameters=_stored_numbers(layers, layer))


def _output_shape(shape: tuple[int, ...], step: KerasLayer) -> tuple[int, ...]:
    if step.kind in ("conv", "pool"):
        window = step.values["kernel"], step.values["stride"], step.values["padding"]
        height, width = (window_count(side, *window) for side in shape[:2])
        if not height:
            raise UnsupportedModel(f"Expected maps of at least one pixel behind {quoted(step.name)}. Received: none")
        return height, width, step.values.get("filters", shape[-1])
    if step.kind == "flatten":
        return (int(shape[0] * shape[1] * shape[2]) if len(shape) == 3 else shape[0],)
    return (step.units,) if step.kind == "dense" else shape


def _free_name(layers: Sequence[Layer], kind: str, block: int) -> str:
    """conv1, relu1, a second ReLU of the block relu_b1; bn_input before the first block; dense1, dense2 behind them."""
    taken = {layer.name for layer in layers}
    if kind == "flatten" and kind not in taken:
        return kind
    if block or any(layer.block for layer in layers):
        number = block or 1 + sum(layer.kind == kind and not layer.block for layer in layers)
        names = [f"{kind if block else _head_name(kind)}{suffix}{number}" for suffix in SUFFIXES]
    else:
        names = [f"{kind}{suffix}_input" for suffix in SUFFIXES]
    for name in names:
        if name not in taken:
            return name
    raise UnsupportedModel(f"Expected at most {len(SUFFIXES)} layers of a kind in one block. Received: more of {kind}")


def _head_name(kind: str) -> str:
    return kind if kind in ("dense", "flatten") else f"{kind}_dense"


def _stored_numbers(layers: Sequence[Layer], layer: Layer) -> int:
    """How many numbers the layer stores."""
    shapes = weight_shapes([*layers, layer])
    return sum(math.prod(shapes[name]) for name in layer.weight_names)


def _with_logits(network: KerasNetwork) -> KerasNetwork:
    """The network with its last layer named "logits". Raises UnsupportedModel unless it is a Dense of 2 to 10 units."""
    *before, last = network.layers
    if last.kind != "dense" or last.activation != "linear":
        raise UnsupportedModel(
            "Expected a Dense layer as the last one, with softmax or without activation. "
            f"Received: {quoted(network.keras_names.get(last.name, last.name))}"
        )
    (units,) = last.output_shape
    if units not in CLASS_COUNTS:
        low, high = CLASS_COUNTS[0], CLASS_COUNTS[-1]
        raise UnsupportedModel(f"Expected a network for {low} to {high} classes. Received: {units:,} classes")
    names = {("logits" if name == last.name else name): keras for name, keras in network.keras_names.items()}
    return KerasNetwork((*before, replace(last, name="logits", is_output=True)), names)


def _check_blocks(network: KerasNetwork) -> None:
    """Each convolution has a ReLU before the next one, and no pooling before it. Raises UnsupportedModel."""
    convolutions = [layer for layer in network.layers if layer.kind == "conv"]
    if not convolutions:
        raise UnsupportedModel("Expected a network with a Conv2D layer. Received: none")
    for conv in convolutions:
        kinds = [layer.kind for layer in network.layers if layer.block == conv.block]
        before_pool = kinds[: kinds.index("pool")] if "pool" in kinds else kinds
        if "relu" not in before_pool:
            raise UnsupportedModel(
                f"Expected ReLU behind the layer {quoted(network.keras_names[conv.name])}, before pooling and before "
                "the next convolution: its maps after ReLU are what is shown."
            )


def _check_size(layers: Sequence[Layer]) -> None:
    """Raises UnsupportedModel for a network that takes too long to compute for a page."""
    convolutions = [layer for layer in layers if layer.kind == "conv"]
    for what, found, most in (
        ("Conv2D layers", len(convolutions), MAX_CONVOLUTIONS),
        ("filters in a layer", max(layer.filters for layer in convolutions), MAX_FILTERS),
        ("parameters", parameter_count(layers), MAX_PARAMETERS),
        ("multiply-adds for an image", multiply_adds(layers), MAX_MULTIPLY_ADDS),
    ):
        if found > most:
            raise UnsupportedModel(f"Expected at most {most:,} {what}. Received: {found:,}")
