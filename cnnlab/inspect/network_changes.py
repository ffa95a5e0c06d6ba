"""The filters that are off and the kernels that are changed: in the URL, so that a link shows the same."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnlab.analysis import filter_ablation, network_edits
from cnnlab.analysis.kernels import replace_kernel
from cnnlab.array_types import Weights
from cnnlab.inspect import map_controls
from cnnlab.inspect.context import InspectContext
from cnnlab.models.numpy_forward import Activations
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.ui import query_state, selection
from cnnlab.ui.state import session_key, url_param

OFF_PARAM = url_param("off", of_network=True)  # the filters that are off, as `network_edits.format_filters` writes them
# the changed kernels of the first layer, as `network_edits.format_kernels` writes them
EDITED_PARAM = url_param("edited", of_network=True)
SESSION_REFUSED = session_key("inspect.network_changes.refused")  # why the last change was not made


@dataclass(frozen=True)
class NetworkChanges:
    """Filters that are off, by convolution, and kernels of the first convolution, (h, w, 3) by filter."""

    ablated: Mapping[str, frozenset[int]] = field(default_factory=dict)
    kernels: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many filters are off."""
        return sum(len(numbers) for numbers in self.ablated.values())

    def weights(self, context: InspectContext) -> Weights:
        """The run's weights with the changed kernels."""
        weights: Weights = context.weights
        for number, values in self.kernels.items():
            weights = replace_kernel(weights, number, values, context.convolution_names[0])
        return weights

    def activations(self, context: InspectContext) -> Activations:
        """The activations of the image with the filters off and the kernels changed."""
        return filter_ablation.ablate_filters(context.layers, self.weights(context), context.image[None], self.ablated)

    def with_ablated(self, conv: str, numbers: Collection[int]) -> "NetworkChanges":
        """These filters of the layer off, and no others of it."""
        return replace(self, ablated={**self.ablated, conv: frozenset(numbers)})

    def with_kernel(self, number: int, values: NDArray[np.float32] | None) -> "NetworkChanges":
        """This kernel changed to `values`, to its own again for None."""
        kernels = {known: kernel for known, kernel in self.kernels.items() if known != number}
        return replace(self, kernels=kernels if values is None else {**kernels, number: values})


def read_changes(context: InspectContext) -> NetworkChanges:
    """The changes in the URL; what this network cannot have is removed from it, with a sentence."""
    counts = {conv: map_controls.map_count(context, conv) for conv in context.convolution_names}
    shape = context.weights[f"{context.convolution_names[0]}/kernel"].shape
    if refused := st.session_state.pop(SESSION_REFUSED, None):
        st.warning(escape_markdown(refused))
    changes = NetworkChanges()
    try:
        changes = replace(changes, ablated=network_edits.parse_filters(st.query_params.get(OFF_PARAM, ""), counts))
    except ValueError as problem:
        _drop(OFF_PARAM, "filters that are off", problem)
    try:
        changes = replace(changes, kernels=network_edits.parse_kernels(st.query_params.get(EDITED_PARAM, ""), shape))
    except ValueError as problem:
        _drop(EDITED_PARAM, "changed kernels", problem)
    return changes


def write_changes(changes: NetworkChanges) -> None:
    """Write the changes into the URL; where they have no room there, nothing is changed and a sentence says so."""
    try:
        edited = network_edits.format_kernels(changes.kernels)
    except ValueError as problem:
        st.session_state[SESSION_REFUSED] = str(problem)
        return
    off = network_edits.format_filters(changes.ablated)
    query_state.set_params({OFF_PARAM: off or None, EDITED_PARAM: edited or None})


def _drop(name: str, what: str, problem: ValueError) -> None:
    query_state.set_param(name, None)
    selection.show_problems([f"This address names {what} that this network cannot have; none is used. {problem}"])
