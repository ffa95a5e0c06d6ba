"""The layers of an experiment's network in one row, each with its output shape and its parameter count."""

from html import escape

import streamlit as st

from cnnlab.experiment import Experiment
from cnnlab.models.architecture import IMAGE_SHAPE, Layer, network_layers, parameter_count
from cnnlab.regularizers import REGULARIZERS
from cnnlab.rendering.palette import GREY, REGULARIZER_COLORS, WEIGHTS

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
STYLE = f"""<style>
.strip {{ display: flex; flex-wrap: wrap; gap: 0.4rem; list-style: none; margin: 0 !important; padding: 0 !important; }}
.strip li {{ margin: 0 !important; padding: 0.35rem 0.6rem; border: 1px solid {GREY}73;
  border-left: 5px solid {GREY}99; border-radius: 0.4rem; font-size: 0.85rem; line-height: 1.35; }}
.strip b {{ font-size: 0.95rem; }} .strip span {{ display: block; }} .strip .what {{ opacity: 0.8; }}
.strip .conv, .strip .dense {{ border-left-color: {WEIGHTS}; }}
.strip .dropout {{ border-left-color: {REGULARIZER_COLORS["dropout"]}; }}
.strip .bn {{ border-left-color: {REGULARIZER_COLORS["batchnorm"]}; }}
</style>"""


def architecture_diagram(experiment: Experiment) -> None:
    """Draw the diagram."""
    network = network_layers(experiment)
    st.header(f"The network: {parameter_count(network):,} parameters", anchor=False)
    st.html(STYLE + diagram_html(network))
    if REGULARIZERS[experiment.regularizer].penalizes_weights:
        st.caption(
            f"{experiment.regularizer_title} adds no layer: the sum of all squared kernel weights, times that number, "
            "is added to the loss, so that large weights cost something."
        )


def diagram_html(network: tuple[Layer, ...]) -> str:
    """The diagram as an HTML list; all text is escaped."""
    image = f'<li><b>image</b><span>{format_shape(IMAGE_SHAPE)}</span><span class="what">red, green, blue</span></li>'
    return f'<ol class="strip" aria-label="Layers, first to last">{image}{"".join(map(layer_html, network))}</ol>'


def layer_html(layer: Layer) -> str:
    """One layer as HTML."""
    what = LAYER_DESCRIPTIONS.get(layer.kind, "of {inputs}").format(
        filters=layer.filters,
        kernel=layer.kernel,
        padded=", zeros around" if layer.padding == "same" else "",
        rate=layer.rate,
        activation=_activation(layer),
        inputs=" and ".join(layer.inputs),
    )
    count = f"<span>{format_parameter_count(layer)}</span>" if layer.parameters else ""
    return (
        f'<li class="{escape(layer.kind)}"><b>{escape(layer.name)}</b><span>{format_shape(layer.output_shape)}</span>'
        f'<span class="what">{escape(what)}</span>{count}</li>'
    )


def _activation(layer: Layer) -> str:
    return "10 classes" if layer.is_output else "all to all, then ReLU"


def format_shape(shape: tuple[int, ...]) -> str:
    """'30 &times; 30 &times; 64' for (30, 30, 64)."""
    return " &times; ".join(f"{side:,}" for side in shape)


def format_parameter_count(layer: Layer) -> str:
    """'1,792 = (3·3·3 + 1)·64'."""
    arithmetic = escape(layer.parameter_formula).replace("*", "&middot;").replace("+", " + ")
    return f"{layer.parameters:,} = {arithmetic}"
