"""The view "Network": the whole network as one picture to scale, with the maps of this image. A click opens a block."""

from collections.abc import Sequence

import streamlit as st

from cnnlab.analysis.diagram_blocks import diagram_blocks
from cnnlab.explanations import notices
from cnnlab.inspect import map_controls
from cnnlab.inspect.context import VIEW_PARAM, InspectContext
from cnnlab.inspect.notice import notice
from cnnlab.models.architecture import Layer, block_layers
from cnnlab.ui import query_state
from cnnlab.ui.architecture_diagram import architecture_diagram, diagram_data


def network_view(context: InspectContext) -> None:
    """The picture, with what to notice above it."""
    notice(notices.network_notice(diagram_blocks(context.layers)))
    layers = context.layers  # not the context: a session keeps what its callbacks hold
    data = diagram_data(layers, context.activations, clickable=True)
    architecture_diagram(layers, data, on_open=lambda name: _on_block_clicked(layers, name))
    st.caption("Click a convolution or a pooling to see its maps after each layer.")


def _on_block_clicked(layers: Sequence[Layer], name: str) -> None:
    if not any(layer.name == name and layer.block for layer in layers):
        return  # not from the picture
    conv = next(layer.name for layer in block_layers(layers, name) if layer.kind == "conv")
    map_controls.select_map(conv, None)
    query_state.set_param(VIEW_PARAM, "blocks")
