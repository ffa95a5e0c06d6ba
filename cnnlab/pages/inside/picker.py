"""Which map: the layer and the number, for the keyboard and for a thumb, tied to the selection in the address.

A click on a wall chooses the same thing. Both write the address, and everything that is drawn reads it.
"""

import streamlit as st

from cnnlab.pages import address, selection
from cnnlab.pages.inside.scene import Scene

LAYER, MAP = "inside layer", "inside map"


def chosen(scene: Scene) -> tuple[str, int | None]:
    """The convolution and the map in the address, as far as this network has them: a name, and a number or None."""
    wanted, _ = selection.parse(dict(st.query_params))
    convolutions = scene.convolutions
    block = "".join(letter for letter in wanted.layer if letter.isdigit())
    conv = f"conv{block}" if f"conv{block}" in convolutions else convolutions[0]
    known = wanted.map is not None and wanted.map < count(scene, conv)
    return conv, wanted.map if known else None


def count(scene: Scene, conv: str) -> int:
    """How many maps the convolution has."""
    return int(scene.stages[conv].shape[-1])


def choose(conv: str, number: int | None) -> None:
    """Choose a map; the pixel that was chosen in another one is forgotten."""
    selection.choose(layer=conv, map=number)
    address.put("pixel", None)


def choose_layer(scene: Scene) -> tuple[str, int | None]:
    """The layer as a row of names; answers as `chosen`."""
    conv, number = chosen(scene)
    st.session_state[LAYER] = conv
    st.segmented_control("Layer", scene.convolutions, required=True, key=LAYER, on_change=_layer_chosen)
    return conv, number


def choose_map(scene: Scene, usual: int | None = None) -> tuple[str, int | None]:
    """The layer, and the map's number with a step up and down; answers as `chosen`, `usual` where no map is."""
    conv, number = choose_layer(scene)
    number = usual if number is None else number
    st.session_state[MAP] = number
    last = count(scene, conv) - 1
    st.number_input(
        f"Map, 0 to {last}",
        0,
        last,
        None,
        1,
        key=MAP,
        on_change=_map_chosen,
        args=(conv,),
        placeholder="none",
        width=130,
    )
    return conv, number


def _layer_chosen() -> None:
    choose(st.session_state[LAYER], None)


def _map_chosen(conv: str) -> None:
    choose(conv, st.session_state[MAP])
