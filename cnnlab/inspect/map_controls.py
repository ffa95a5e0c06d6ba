"""The controls for the layer and the map, tied to the URL. A click on a grid selects the same."""

import streamlit as st

from cnnlab.inspect.context import InspectContext
from cnnlab.ui import control_locks, selection, widget_values
from cnnlab.ui.state import session_key, url_param

LAYER, MAP = session_key("inspect.map_controls.layer"), session_key("inspect.map_controls.map")
# the map of each layer in the view Top images, as `network_edits` writes filters
TOP_MAPS_PARAM = url_param("tops", of_network=True)
PIXEL_PARAM = url_param("pixel")  # of the map that is chosen: row times width plus column


def selected_map(context: InspectContext) -> tuple[str, int | None]:
    """The convolution and the map in the address, as far as this network has them: a name, and a number or None."""
    wanted, _ = selection.parse_selection(dict(st.query_params))
    convolutions = context.convolution_names
    block = "".join(letter for letter in wanted.layer if letter.isdigit())
    conv = f"conv{block}" if f"conv{block}" in convolutions else convolutions[0]
    known = wanted.map is not None and wanted.map < map_count(context, conv)
    return conv, wanted.map if known else None


def map_count(context: InspectContext, conv: str) -> int:
    """How many maps the convolution has."""
    return int(context.activations[conv].shape[-1])


def select_map(conv: str, number: int | None) -> None:
    """Choose a map; the pixel that was chosen in another one is forgotten."""
    selection.update_selection(layer=conv, map=number, **{PIXEL_PARAM: None})


def layer_control(context: InspectContext) -> tuple[str, int | None]:
    """The layer as a row of names; returned as by `selected_map`."""
    conv, number = selected_map(context)
    if not control_locks.is_hidden("layer"):
        widget_values.set_value(LAYER, conv)
        st.segmented_control(
            "Layer", context.convolution_names, required=True, key=LAYER, on_change=_on_layer_selected,
            disabled=control_locks.is_locked("layer"),
        )  # fmt: skip
    return conv, number


def map_controls(context: InspectContext, default: int | None = None) -> tuple[str, int | None]:
    """The layer, and the map's number with a step up and down; returned as by `selected_map`; `default` where no map is
    chosen.
    """
    conv, number = layer_control(context)
    number = default if number is None else number
    if control_locks.is_hidden("map"):
        return conv, number
    widget_values.set_value(MAP, number)
    last = map_count(context, conv) - 1
    st.number_input(
        f"Map, 0 to {last}",
        0,
        last,
        None,
        1,
        key=MAP,
        on_change=_on_map_entered,
        args=(conv,),
        placeholder="none",
        width=130,
        disabled=control_locks.is_locked("map"),
    )
    return conv, number


def _on_layer_selected() -> None:
    if not widget_values.is_outdated(LAYER):
        select_map(st.session_state[LAYER], None)


def _on_map_entered(conv: str) -> None:
    if not widget_values.is_outdated(MAP):
        select_map(conv, st.session_state[MAP])
