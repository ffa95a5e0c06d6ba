"""The first view: every map of every convolution layer for this image, as one wall a layer. A click enlarges a map."""

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnlab import lens
from cnnlab.pages import address
from cnnlab.pages.inside import epochs, picker, tiles, top
from cnnlab.pages.inside.scene import Scene
from cnnlab.walls import Wall, compose, limits

SCALES = {"layer": "compare strength", "map": "see detail"}
DETAIL_FIRST = dict(reversed(SCALES.items()))  # at first sight one wants to recognize something
ORDERS = {"number": "by number", "mean": "strongest mean first", "max": "strongest pixel first", "class": "by a class"}
NARROWEST, NARROWEST_OF_FOUR = 250, 190  # pixels; a wall that would be narrower goes into the next row


def view(scene: Scene) -> None:
    """The walls; below them the colours, and for the keyboard what a click on a wall chooses too."""
    scale, order = address.word("scale", DETAIL_FIRST), address.word("order", ORDERS)
    conv, number = picker.chosen(scene)
    st.caption("Each square is what one filter found in the picture. Click one to enlarge it.")
    for one, cell in zip(scene.convolutions, cells(len(scene.convolutions)), strict=True):
        with cell, st.container(gap="xsmall"):
            wall = hung(scene, one, scale, arranged(scene, one, order))
            show(scene, one, wall, number if one == conv else None)
    st.caption(reading(scale))
    controls(scene, order)


def controls(scene: Scene, order: str) -> None:
    """How the walls are coloured and sorted, and which map is enlarged."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        address.choice("scale", "Colours", DETAIL_FIRST)
        address.menu("order", "Order", ORDERS, width=190)
        if order == "class":
            address.menu("class", "Class", {str(label): name for label, name in enumerate(scene.classes)}, width=150)
        picker.choose_map(scene)
    if order == "class" and top.of(scene.run) is None:
        top.offer(scene.run, "Which filter prefers a class is a question about all test images.")


def cells(count: int) -> list[st.delta_generator.DeltaGenerator]:
    """Places for the walls, side by side as far as there is room."""
    grid = st.grid(max(min(count, 4), 2), min_column_width=NARROWEST if count < 4 else NARROWEST_OF_FOUR, gap="small")
    return [grid.cell() for _ in range(count)]


def hung(scene: Scene, conv: str, scale: str, order: NDArray[np.int64] | None = None) -> Wall:
    """The wall of one layer after ReLU; on the scale of all epochs where that is wanted."""
    stage = scene.activation(conv)
    maps = scene.stages[stage][0]
    return compose(maps, scale, limit=epochs.limit(scene, stage, scale), order=order)


def arranged(scene: Scene, conv: str, order: str) -> NDArray[np.int64] | None:
    """The maps in the order that was asked for; None for their own."""
    stage = scene.activation(conv)
    if order in ("mean", "max"):
        return lens.rank(scene.stages[stage][0], order)
    if order == "class" and (found := top.of(scene.run)) is not None:
        return np.argsort(-found.selectivity[stage][address.number("class", len(scene.classes)) or 0], kind="stable")
    return None


def show(scene: Scene, conv: str, wall: Wall, number: int | None) -> None:
    """One layer: its name and count, its wall, and the map that is chosen, enlarged."""
    st.markdown(heading(conv, wall))
    tiles.draw(
        tiles.of_wall(wall),
        key=f"wall {conv}",
        alt=words(conv, wall),
        chosen=number,
        on_pick=lambda picked: picker.choose(conv, picked),
    )
    if number is not None:
        enlarged(scene, conv, wall, number)


def heading(conv: str, wall: Wall) -> str:
    """'**conv1** 64 of 64 maps, 30x30, 3 silent': counted, not assumed."""
    silent = int(wall.silent.sum())
    found = f"**{conv}** {wall.count} of {len(wall.low)} maps, {wall.tile[0]}x{wall.tile[1]}"
    broken = f", {int(wall.broken.sum())} without numbers" if wall.broken.any() else ""
    return found + (f", {silent} silent" if silent else "") + broken


def words(conv: str, wall: Wall) -> str:
    """What the wall shows, for people who do not see it."""
    strongest = np.argsort(-wall.high)[:3].tolist()
    named = ", ".join(f"map {number} up to {tiles.number(wall.high[number])}" for number in strongest)
    silent = int(wall.silent.sum())
    return (
        f"{wall.count} maps of {conv}, {wall.tile[0]}x{wall.tile[1]} each. Strongest: {named}. "
        f"{silent} of them found nothing in this image."
    )


def enlarged(scene: Scene, conv: str, wall: Wall, number: int) -> None:
    """The chosen map as large as its wall, with its number under the pointer and its figures below."""
    maps = scene.stages[scene.activation(conv)][0]
    facts = lens.map_facts(maps, number)
    said = (
        "silent on this image: zero everywhere"
        if facts.silent
        else f"{tiles.values(facts.low, facts.high)}, mean {tiles.number(facts.mean)}; of {maps.shape[-1]} maps number "
        f"{facts.rank_by_mean} by mean and {facts.rank_by_max} by its strongest pixel"
    )
    with st.container(key="enlarged"):
        st.markdown(f"**Map {number} of {conv}**, enlarged")
        picture = tiles.of_map(maps, number, own_end(scene, scene.activation(conv), number), signed=False)
        tiles.draw(picture, key="enlarged map", alt=f"Map {number} of {conv}, enlarged: {said}.")
        st.caption(f"{said}.")
        st.button("Take this map apart", icon=":material/zoom_in:", on_click=address.put, args=("view", "map"))


def own_end(scene: Scene, stage: str, number: int) -> float:
    """Where one map's own scale ends: at its strongest pixel, or at that of all epochs."""
    held = epochs.limit(scene, stage, "map")
    return float((limits([scene.stages[stage][0]], "map") if held is None else held)[number])


def reading(scale: str) -> str:
    """How to read the colours, in two sentences."""
    if scale == "layer":
        return "Dark is zero: the filter found nothing there. One scale for each layer, so bright maps are strong maps."
    return "Dark is zero. Each map has its own scale, so weak maps show what they found; do not compare brightness."
