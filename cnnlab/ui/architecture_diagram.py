"""The network as one picture to scale, dropout and batch normalization animated, and the same as a table."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from cnnlab.analysis import diagram_blocks
from cnnlab.analysis.diagram_blocks import DiagramBlock
from cnnlab.array_types import Array
from cnnlab.models.architecture import INPUT, Layer, parameter_count
from cnnlab.models.numpy_forward import input_name
from cnnlab.regularizers import REGULARIZERS
from cnnlab.rendering.color_scale import colorize, image_grid_png, png_data_uri
from cnnlab.rendering.feature_map_grid import shared_vmax
from cnnlab.rendering.palette import REGULARIZER_COLORS
from cnnlab.ui.script_component import encode, script_component
from cnnlab.ui.scrolling_table import scrolling_table
from cnnlab.ui.state import session_key

DIAGRAM = session_key("architecture_diagram.component")
MASKS = 8  # random dropout masks that the picture goes through
LAYER_DESCRIPTIONS = {  # what a layer does, in a few words
    "rescale": "pixels to 0..1",
    "conv": "{filters} filters, {kernel}x{kernel}{padded}",
    "bn": "batch normalization",
    "relu": "negatives to 0",
    "pool": "largest of 2x2",
    "dropout": "drops {rate:.0%} while training",
    "flatten": "one long row",
    "dense": "{activation}",
}


def architecture_diagram(
    layers: Sequence[Layer], data: dict[str, Any], on_open: Callable[[str], None] | None = None
) -> None:
    """Draw the picture and the table.

    data: `diagram_data` of these layers. on_open: called with the name of the convolution or pooling whose block was
    clicked.
    """
    change: dict[str, Any] = {}
    if on_open is not None:
        change["on_block_change"] = lambda: on_open(st.session_state[DIAGRAM].block)
    script_component("architecture", data, key=DIAGRAM, **change)
    st.caption(describe_scale(layers, any(block["picture"] for block in data["blocks"])))
    with st.expander("The layers as a table"):
        scrolling_table(layer_table(layers), key="layers")


def describe_scale(layers: Sequence[Layer], shows_maps: bool) -> str:
    """How to read the picture."""
    kinds = {layer.kind for layer in layers}
    parts = [
        "To scale: the front of a block is one map (the units of a dense layer, in a square), its depth the number of "
        "maps."
    ]
    parts += ["On it: the map with the largest sum for this image."] * shows_maps
    parts += ["Dark cells: values that a random mask drops in one training step."] * ("dropout" in kinds)
    if shows_maps and "bn" in kinds:
        parts.append("Bars: the distribution of values before and after batch normalization.")
    return " ".join(parts)


# ---- the picture ----------------------------------------------------------------------------------------------------


def diagram_data(
    layers: Sequence[Layer], activations: Mapping[str, Array] | None, clickable: bool = False
) -> dict[str, Any]:
    """What the script draws: each block with its shape, parameters, picture, dropout masks and batch normalization.

    activations: those of one image, shown on the blocks; without them the blocks are empty. clickable: whether a click
    on a block opens something.
    """
    return {
        "blocks": [
            block_data(layers, block, activations, clickable) for block in diagram_blocks.diagram_blocks(layers)
        ],
        "colors": {"dropout": REGULARIZER_COLORS["dropout"], "bn": REGULARIZER_COLORS["batchnorm"]},
    }


def block_data(
    layers: Sequence[Layer], block: DiagramBlock, activations: Mapping[str, Array] | None, clickable: bool
) -> dict[str, Any]:
    """One block as the script gets it."""
    rows, columns = block.grid_shape
    return {
        "name": "image" if block.kind == INPUT else block.name,
        "kind": block.kind,
        "layers": [layer.name for layer in block.layers if layer.name != block.name],
        "rows": rows,
        "columns": columns,
        "units": block.shape[0] if len(block.shape) == 1 else rows * columns,
        "depth": block.shape[-1] if len(block.shape) == 3 else 1,
        "shape": format_shape(block.shape),
        "parameters": f"{block.parameters:,} parameters" if block.parameters else "no parameters",
        "picture": None if activations is None else front_uri(layers, block, activations),
        "dropout": dropout_data(block),
        "bn": None if activations is None else batchnorm_data(layers, block, activations),
        "opens": clickable and block.kind in ("conv", "pool"),
    }


def shown_layer(layers: Sequence[Layer], block: DiagramBlock, activations: Mapping[str, Array]) -> str:
    """The last layer of a block that has an activation of the block's shape."""
    names = [layer.name for layer in block.layers if layer.name in activations and layer.output_shape == block.shape]
    return names[-1] if names else input_name(layers, activations, block.layers[-1])


def front_uri(layers: Sequence[Layer], block: DiagramBlock, activations: Mapping[str, Array]) -> str:
    """The front of a block as a data URI: the image, the map with the largest sum, or the units of a dense layer."""
    if block.kind == INPUT:
        return png_data_uri(image_grid_png(np.asarray(activations[INPUT], np.uint8), 1, gap=0))
    values = np.nan_to_num(activations[shown_layer(layers, block, activations)][0], posinf=0, neginf=0)
    if values.ndim == 3:
        values = values[..., int(values.sum(axis=(0, 1)).argmax())]
    front = np.zeros(block.grid_shape, np.float32)
    front.flat[: values.size] = values.ravel()
    signed = bool(front.min() < 0)
    vmax = float(shared_vmax([front[..., None]])[0])
    return png_data_uri(image_grid_png(colorize(front, vmax, signed)[None], 1, gap=0))


def dropout_data(block: DiagramBlock) -> dict[str, Any] | None:
    """The masks of a block with dropout, as base64 of one byte a cell: 1 where the value is dropped."""
    layer = block.find("dropout")
    if layer is None:
        return None
    dropped = ~diagram_blocks.dropout_masks(block, MASKS)
    if len(block.shape) == 1:  # the square may have cells without a unit
        dropped.reshape(MASKS, -1)[:, block.shape[0] :] = False
    return {"name": layer.name, "masks": [encode(mask, "u1") for mask in dropped]}


def batchnorm_data(
    layers: Sequence[Layer], block: DiagramBlock, activations: Mapping[str, Array]
) -> dict[str, Any] | None:
    """The values before and after a block's batch normalization at the same places, as base64, and their moments."""
    layer = block.find("bn")
    if layer is None:
        return None
    before, after = activations[input_name(layers, activations, layer)], activations[layer.name]
    if not (np.isfinite(before).all() and np.isfinite(after).all()):
        return None
    samples = diagram_blocks.paired_samples(before, after)
    moments = [[float(values.mean()), float(values.std())] for values in (before, after)]
    return {"name": layer.name, "values": [encode(values, "<f4") for values in samples], "moments": moments}


# ---- the table ------------------------------------------------------------------------------------------------------


def layer_table(layers: Sequence[Layer]) -> str:
    """Every layer, its output and its parameters, and the total, as a Markdown table."""
    rows = [
        f"| {layer.name} | {layer_description(layer)} | {format_shape(layer.output_shape)} "
        f"| {format_parameter_count(layer)} |"
        for layer in layers
    ]
    total = f"| **all** | | | **{parameter_count(layers):,}** |"
    return "\n".join(["| layer | what it does | output | parameters |", "| :-- | :-- | :-- | --: |", *rows, total])


def layer_description(layer: Layer) -> str:
    """What a layer does, in a few words."""
    return LAYER_DESCRIPTIONS.get(layer.kind, "of {inputs}").format(
        filters=layer.filters,
        kernel=layer.kernel,
        padded=", zeros around" if layer.padding == "same" else "",
        rate=layer.rate,
        activation=f"{layer.output_shape[0]} classes" if layer.is_output else "all to all, then ReLU",
        inputs=" and ".join(layer.inputs),
    )


def describe_penalty(regularizer: str, title: str) -> str:
    """That a penalty on weights adds no layer; "" for another regularizer."""
    if not REGULARIZERS[regularizer].penalizes_weights:
        return ""
    return (
        f"{title} adds no layer: the sum of all squared kernel weights, times that number, is added to the loss, "
        "which penalizes large weights."
    )


def format_shape(shape: tuple[int, ...]) -> str:
    """'30 x 30 x 64' for (30, 30, 64), with signs of multiplication."""
    return " \u00d7 ".join(f"{side:,}" for side in shape)


def format_parameter_count(layer: Layer) -> str:
    """'1,792 = (3·3·3 + 1)·64'; "" for a layer without parameters."""
    if not layer.parameters:
        return ""
    arithmetic = layer.parameter_formula.replace("*", "\u00b7").replace("+", " + ")
    return f"{layer.parameters:,} = {arithmetic}"
