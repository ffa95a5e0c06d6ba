"""The section of "One map" in which the kernel slides over its input: every pixel's patch, products and sum.

The browser gets the incoming channels, the kernel and the sums once and computes every pixel by itself.
"""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from cnnlab.analysis import convolution_trace
from cnnlab.analysis.convolution_trace import ConvolutionTrace
from cnnlab.inspect import map_controls
from cnnlab.inspect.context import InspectContext
from cnnlab.inspect.pixel_trace import COLOR_NAMES, MAX_CHANNELS_SHOWN, pool_window
from cnnlab.models.architecture import Layer, find_layer
from cnnlab.rendering.color_scale import PALETTES
from cnnlab.rendering.feature_map_grid import shared_vmax
from cnnlab.ui import query_state
from cnnlab.ui.browser_values import whole_number
from cnnlab.ui.script_component import encode, script_component
from cnnlab.ui.state import session_key

ANIMATION = session_key("inspect.convolution_animation.component")


def convolution_animation(context: InspectContext, layer: Layer, number: int, pixel: tuple[int, int]) -> bool:
    """The animation of map `number`, up to `layer` of its block; it begins at `pixel` of that layer.

    Returns False where it cannot be drawn, because of the network's windows or of values that are not numbers.
    """
    conv = context.convolution_name(layer.name)
    if not can_be_animated(context.block_layers(conv)):
        return False
    start = start_pixel(context, layer, number, pixel)
    trace = convolution_trace.trace_convolution(
        context.layers, context.weights, context.activations, conv, number, start, MAX_CHANNELS_SHOWN
    )
    if not trace.finite:
        st.info("Some values of this map are not numbers, as after a training that diverged.")
        return False
    st.header(f"The kernel slides over {'the image' if reads_image(trace) else 'its input maps'}", anchor=False)
    data = animation_data(context, trace, layer) | {"start": list(start)}
    script_component("convolution", data, key=ANIMATION, on_pixel_change=lambda: _on_pixel_chosen(layer))
    st.caption(describe_animation(trace, start))
    return True


def can_be_animated(block: Sequence[Layer]) -> bool:
    """Whether the windows of a block are those that the animation draws: a network from elsewhere may have others."""
    windows = {layer.kind: layer for layer in block if layer.kind in ("conv", "pool")}
    conv, pool = windows["conv"], windows.get("pool")
    centered = conv.padding == "valid" or conv.kernel % 2 == 1
    return (
        conv.stride == 1 and centered and (pool is None or (pool.kernel, pool.stride, pool.padding) == (2, 2, "valid"))
    )


def start_pixel(context: InspectContext, layer: Layer, number: int, pixel: tuple[int, int]) -> tuple[int, int]:
    """The pixel of the convolution behind `pixel` of `layer`: for pooling that of the largest value."""
    if layer.kind != "pool":
        return pixel
    return pool_window(context, layer, number, *pixel).winner


def reads_image(trace: ConvolutionTrace) -> bool:
    """Whether the incoming channels are the colors of the image."""
    return len(trace.channels) == len(COLOR_NAMES) and trace.other_count == 0


def describe_animation(trace: ConvolutionTrace, start: tuple[int, int]) -> str:
    """How to use it, and which channels are shown: those that contribute most to the pixel `start`."""
    use = (
        "Point at a pixel of the map or of the input, or move with the arrow keys; space plays. "
        "Numbers are rounded so that the parts add up to the sum."
    )
    if not trace.other_count:
        return use
    return (
        f"Shown one by one: the {len(trace.channels)} of {len(trace.channels) + trace.other_count} input maps that "
        f"contribute most to row {start[0]}, column {start[1]}. The other {trace.other_count} are one sum. {use}"
    )


def animation_data(context: InspectContext, trace: ConvolutionTrace, layer: Layer) -> dict[str, Any]:
    """What the script needs: numbers as base64 of little-endian arrays, scales, palettes, names."""
    height, width = trace.other_sum.shape
    names = [step.name for step in trace.steps]
    steps = trace.steps[: names.index(layer.name) + 1] if layer.name in names else trace.steps
    steps = () if layer.name == trace.layer else steps
    last = steps[-1].name if steps else trace.layer
    products = [abs(trace.inputs[at]).max() * abs(trace.kernels[at]).max() for at in range(len(trace.channels))]
    return {
        "layer": trace.layer,
        "map": trace.filter,
        "input": {"name": trace.input_name, "height": trace.inputs.shape[1], "width": trace.inputs.shape[2]},
        "image": encode(context.image, "u1") if reads_image(trace) else None,
        "output": {"name": last, "height": height, "width": width},
        "kernelSize": trace.kernels.shape[1],
        "padding": trace.padding,
        "channels": channel_data(trace),
        "others": {"count": trace.other_count, "sums": encode(trace.other_sum, "<f8")} if trace.other_count else None,
        "bias": trace.bias,
        "steps": [{"name": step.name, "kind": step.kind, **step.parameters} for step in steps],
        "scales": {
            "input": float(max(abs(trace.inputs).max(), 1e-6)),
            "kernel": float(shared_vmax([trace.kernels])[0]),
            "product": float(max(*products, 1e-6)),
            "output": output_vmax(context, last, trace.filter),
        },
        "signed": {"input": signed_input(context, trace), "output": find_layer(context.layers, last).signed},
        "palettes": [encode(PALETTES[signed], "u1") for signed in (False, True)],
    }


def channel_data(trace: ConvolutionTrace) -> list[dict[str, str]]:
    """Each shown channel: its name, its values and its part of the kernel."""
    return [
        {
            "name": COLOR_NAMES[channel] if reads_image(trace) else f"map {channel}",
            "values": encode(trace.inputs[at], "<f4"),
            "kernel": encode(trace.kernels[at], "<f4"),
        }
        for at, channel in enumerate(trace.channels)
    ]


def signed_input(context: InspectContext, trace: ConvolutionTrace) -> bool:
    """Whether the incoming channels have values on both sides of zero."""
    return bool(find_layer(context.layers, trace.input_name).signed)


def output_vmax(context: InspectContext, layer_name: str, number: int) -> float:
    """The end of the color scale of the map that the animation fills."""
    return float(shared_vmax([context.activations[layer_name][0]], "map")[number])


def _on_pixel_chosen(layer: Layer) -> None:
    """Choose the pixel for the rest of the view; pooling takes the square that the pixel lies in."""
    pixel = st.session_state[ANIMATION].pixel
    row, column = map(whole_number, pixel if isinstance(pixel, list) and len(pixel) == 2 else (None, None))
    if row is None or column is None:
        return
    height, width, _ = layer.output_shape
    step = 2 if layer.kind == "pool" else 1
    place = min(row // step, height - 1) * width + min(column // step, width - 1)
    query_state.set_param(map_controls.PIXEL_PARAM, str(place))
