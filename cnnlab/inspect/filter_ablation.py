"""The view "Switch off": filters set to zero, kernels of the first layer edited, and the effect on the prediction.

The changes are in the URL. The run is not changed; Reset removes all changes.
"""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from cnnlab.analysis import filter_ablation
from cnnlab.explanations import inspection, notices
from cnnlab.formatting import pluralize
from cnnlab.inspect import feature_maps, kernel_editor, map_controls, prediction
from cnnlab.inspect.context import InspectContext
from cnnlab.inspect.network_changes import NetworkChanges, read_changes, write_changes
from cnnlab.inspect.notice import notice
from cnnlab.models import numpy_forward
from cnnlab.models.numpy_forward import Activations
from cnnlab.rendering.feature_map_grid import render_feature_maps, shared_vmax
from cnnlab.ui import clickable_image, query_state
from cnnlab.ui.state import session_key, url_param

# how many filters the button for the strongest ones switches off
COUNT_PARAM = url_param("strongest", of_network=True)
TOGGLE, RESET = session_key("inspect.filter_ablation.toggle"), session_key("inspect.filter_ablation.reset")


def filter_ablation_view(context: InspectContext) -> None:
    """The buttons, the prediction before and after, the grid of maps, and the kernel editor."""
    changes = read_changes(context)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        conv, number = map_controls.map_controls(context)
        ablation_buttons(context, changes, conv, number)
    notice(ablation_sentence(context, conv))
    changed = changes.activations(context)
    left, right = feature_maps.grid_cells(2)
    with left:
        filter_grid(context, changes, conv, changed)
    with right:
        prediction_change(context, changes, changed)
    st.header(f"Change a kernel of {context.convolution_names[0]}", anchor=False)
    kernel_editor.kernel_editor(context, changes, changed)


def ablation_sentence(context: InspectContext, conv: str) -> str:
    """The notice: the effect of switching off the strongest filter of the layer alone."""
    (strongest,) = filter_ablation.top_filters(context.activations[context.relu_name(conv)][0], 1)
    changed = filter_ablation.ablate_filters(context.layers, context.weights, context.image[None], {conv: {strongest}})
    after = np.asarray(numpy_forward.softmax(changed["logits"])[0])
    return notices.ablation_notice(conv, strongest, context.probabilities, after, context.classes)


def ablation_buttons(context: InspectContext, changes: NetworkChanges, conv: str, number: int | None) -> None:
    """One filter, the strongest few, all but one, and Reset."""
    if number is not None:
        word = "Switch on" if number in changes.ablated.get(conv, ()) else "Switch off"
        st.button(f"{word} map {number}", on_click=_on_filter_toggled, args=(changes, conv, number), key=TOGGLE)
        everything = map_controls.map_count(context, conv)
        others = filter_ablation.all_filters_except(everything, [number])
        st.button(f"All but map {number}", on_click=_set_ablated, args=(changes, conv, others))
    most = map_controls.map_count(context, conv)
    few = query_state.number_param(COUNT_PARAM, "How many", 1, most, min(3, most), width=110)
    found = filter_ablation.top_filters(context.activations[context.relu_name(conv)][0], few)
    st.button(f"The strongest {few} off", on_click=_set_ablated, args=(changes, conv, found))
    st.button("Reset", icon=":material/restart_alt:", on_click=_on_reset, key=RESET)


def prediction_change(context: InspectContext, changes: NetworkChanges, changed: Activations) -> None:
    """The prediction before and after, and a sentence about the difference."""
    now = np.asarray(numpy_forward.softmax(changed["logits"])[0])
    off = ", ".join(f"{len(numbers)} of {conv}" for conv, numbers in changes.ablated.items() if numbers) or "none"
    if changes.count or changes.kernels:
        difference = inspection.describe_prediction_change(context.probabilities, now, context.classes)
        st.markdown(f"Filters off: {off}{describe_edited_kernels(changes, context.convolution_names[0])}. {difference}")
    else:
        st.markdown(
            "All filters are on, as trained. Click a map to switch its filter off and see the change of the prediction."
        )
    prediction.probability_bars(
        now, context.classes, context.selected_image.true_class, "ablation changed", before=context.probabilities
    )
    st.caption(
        "The mark on each bar is the prediction as trained. Nothing is saved; Reset switches everything on again."
    )


def describe_edited_kernels(changes: NetworkChanges, conv: str) -> str:
    """'; kernels 0 and 4 of conv1 changed'; nothing where none was."""
    numbers = [str(number) for number in sorted(changes.kernels)]
    if not numbers:
        return ""
    named = " and ".join(filter(None, (", ".join(numbers[:-1]), numbers[-1])))
    return f"; {'kernel' if len(numbers) == 1 else 'kernels'} {named} of {conv} changed"


def filter_grid(context: InspectContext, changes: NetworkChanges, conv: str, changed: Activations) -> None:
    """The layer's maps as they are now; a click switches one off or on."""
    relu = context.relu_name(conv)
    grid = render_feature_maps(changed[relu][0], vmax=shared_vmax([context.activations[relu][0]]))
    off = sorted(changes.ablated.get(conv, ()))
    picture = clickable_image.from_feature_maps(grid)
    places = [(column, row, column + 1, row + 1) for row, column in map(grid.position, off)]
    st.markdown(f"**{conv}** {grid.count - len(off)} of {pluralize(grid.count, 'filter')} on; click one to switch it")
    clickable_image.clickable_image(
        clickable_image.ClickableImage(
            uri=picture.uri, columns=picture.columns, rows=picture.rows, cells=picture.cells, legend=picture.legend,
            boxes=places,
        ),
        key="switches",
        alt=f"The maps of {conv}; switched off: {', '.join(map(str, off)) or 'none'}.",
        on_click=lambda number: _on_filter_toggled(changes, conv, number),
    )  # fmt: skip


def _on_filter_toggled(changes: NetworkChanges, conv: str, number: int) -> None:
    write_changes(changes.with_ablated(conv, changes.ablated.get(conv, frozenset()) ^ {number}))


def _set_ablated(changes: NetworkChanges, conv: str, numbers: Sequence[int]) -> None:
    write_changes(changes.with_ablated(conv, numbers))


def _on_reset() -> None:
    write_changes(NetworkChanges())
