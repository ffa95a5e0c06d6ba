"""The image that maximizes a feature map, in the view "One map": gradient ascent on the pixels, on request."""

import streamlit as st

from cnnlab.analysis import activation_maximization
from cnnlab.analysis.activation_maximization import MaximizedActivation
from cnnlab.explanations import notices
from cnnlab.inspect.context import InspectContext
from cnnlab.rendering.color_scale import upscaled_png
from cnnlab.storage.imported_networks import StoredNetwork
from cnnlab.ui import cache, query_state
from cnnlab.ui.state import url_param

MAXIMIZE_PARAM = url_param("maximize")


def maximized_image_section(context: InspectContext, conv: str, number: int) -> None:
    """A toggle; when it is on, the image, its activation, and what limits it."""
    if not query_state.toggle_param(MAXIMIZE_PARAM, f"Compute an image that activates map {number} of {conv} strongly"):
        return
    layer_name = signed_layer(context, conv)
    found = _maximized(str(context.run.path), context.epoch, layer_name, number, context.run)
    on_image = float(context.activations[layer_name][0, ..., number].mean())
    image, words = st.columns([1, 2.4])
    with image:
        alt = f"A computed image that activates map {number} of {conv} strongly."
        st.image(upscaled_png(found.image, 7), width=224, alt=alt)
    with words:
        st.markdown(notices.maximization_sentence(found, on_image))
        st.caption(
            f"This is not a photo. {activation_maximization.STEPS} steps of gradient ascent changed the pixels "
            f"of a gray "
            f"noise image. Each step shifts the image by up to {activation_maximization.JITTER} pixels at random: this "
            "suppresses high-frequency noise, and it blurs all finer detail. Another start gives another image."
        )


def signed_layer(context: InspectContext, conv: str) -> str:
    """The last layer of the block before ReLU: its gradient is not zero where the map is inactive."""
    names = [layer.name for layer in context.block_layers(conv)]
    return names[names.index(context.relu_name(conv)) - 1]


@st.cache_data(max_entries=64, show_spinner="Gradient ascent")
def _maximized(path: str, epoch: int, layer_name: str, number: int, _run: StoredNetwork) -> MaximizedActivation:
    layers = _run.layers
    return activation_maximization.maximize_activation(layers, cache.weights(_run, epoch), layer_name, number)
