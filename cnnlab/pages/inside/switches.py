"""Switch it off: filters silenced one by one or in bulk, a first-layer kernel changed by hand, and the answer at once.

Nothing is saved: the switches are this browser's, the run's weights stay as they are, and Reset forgets everything.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnlab import forward, lens
from cnnlab.forward import Stages
from cnnlab.lens import telling
from cnnlab.pages.inside import answer, maps, picker, pixel, tiles
from cnnlab.pages.inside.scene import Scene
from cnnlab.runs import Weights
from cnnlab.walls import compose, limits

KEPT = "inside switches"
PRESETS = {
    "edge from left to right": np.array([[-1, 0, 1]] * 3) / 3,
    "edge from top to bottom": np.array([[-1, 0, 1]] * 3).T / 3,
    "blur": np.full((3, 3), 1 / 9),
    "all zero": np.zeros((3, 3)),
}


@dataclass
class Switches:
    """What one browser has changed in one run: filters that are off, by convolution, and kernels, by filter."""

    run: str
    off: dict[str, set[int]] = field(default_factory=dict)
    kernels: dict[int, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many filters are off."""
        return sum(len(numbers) for numbers in self.off.values())

    def weights(self, scene: Scene) -> Weights:
        """The run's weights with the changed kernels."""
        weights: Weights = scene.weights
        for number, values in self.kernels.items():
            weights = lens.with_kernel(weights, number, values, scene.convolutions[0])
        return weights

    def stages(self, scene: Scene) -> Stages:
        """Every stage of the image with the filters off and the kernels changed."""
        return lens.switched_off(scene.layers, self.weights(scene), scene.image[None], self.off)


def view(scene: Scene) -> None:
    """The switches, the answer before and after, the wall with what is off, and the kernel's numbers."""
    kept = switches(scene)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        conv, number = picker.choose_map(scene)
        buttons(scene, kept, conv, number)
    changed = kept.stages(scene)
    left, right = maps.cells(2)
    with left:
        wall(scene, kept, conv, changed)
    with right:
        said(scene, kept, changed)
    st.markdown(f"#### Change a kernel of {scene.convolutions[0]}")
    edit(scene, kept, changed)


def switches(scene: Scene) -> Switches:
    """This browser's switches; another run starts with none."""
    kept = st.session_state.get(KEPT)
    if not isinstance(kept, Switches) or kept.run != scene.run.name:
        kept = st.session_state[KEPT] = Switches(scene.run.name)
    return kept


def buttons(scene: Scene, kept: Switches, conv: str, number: int | None) -> None:
    """One filter, the strongest few, all but one, and Reset."""
    if number is not None:
        word = "Switch on" if number in kept.off.get(conv, ()) else "Switch off"
        st.button(f"{word} map {number}", on_click=_toggle, args=(kept, conv, number), key="inside toggle")
        everything = picker.count(scene, conv)
        others = lens.all_but(everything, [number])
        st.button(f"All but map {number}", on_click=_put, args=(kept, conv, others))
    few = st.number_input("How many", 1, picker.count(scene, conv), 3, key="inside few", width=110)
    found = lens.strongest(scene.stages[scene.activation(conv)][0], int(few))
    st.button(f"The strongest {few} off", on_click=_put, args=(kept, conv, found))
    st.button("Reset", icon=":material/restart_alt:", on_click=_reset, key="inside reset")


def said(scene: Scene, kept: Switches, changed: Stages) -> None:
    """The answer before and after, and a sentence about the difference."""
    now = np.asarray(forward.softmax(changed["logits"])[0])
    off = ", ".join(f"{len(numbers)} of {conv}" for conv, numbers in kept.off.items() if numbers) or "none"
    if kept.count or kept.kernels:
        difference = telling.changed(scene.probabilities, now, scene.classes)
        st.markdown(f"Filters off: {off}{edited(kept, scene.convolutions[0])}. {difference}")
    else:
        st.markdown("All filters are on, as trained. Click a map to switch it off, and watch the bars.")
    answer.bars(now, scene.classes, scene.subject.truth, "inside changed", before=scene.probabilities)
    st.caption("The mark on each bar is the answer as trained. Nothing is saved; Reset switches everything on again.")


def edited(kept: Switches, conv: str) -> str:
    """'; kernels 0 and 4 of conv1 changed'; nothing where none was."""
    numbers = [str(number) for number in sorted(kept.kernels)]
    if not numbers:
        return ""
    named = " and ".join(filter(None, (", ".join(numbers[:-1]), numbers[-1])))
    return f"; {'kernel' if len(numbers) == 1 else 'kernels'} {named} of {conv} changed"


def wall(scene: Scene, kept: Switches, conv: str, changed: Stages) -> None:
    """The layer's maps as they are now; a click switches one off or on."""
    stage = scene.activation(conv)
    hung = compose(changed[stage][0], limit=limits([scene.stages[stage][0]]))
    off = sorted(kept.off.get(conv, ()))
    picture = tiles.of_wall(hung)
    places = [(column, row, column + 1, row + 1) for row, column in map(hung.place, off)]
    st.markdown(f"**{conv}** {hung.count - len(off)} of {hung.count} filters on; click one to switch it")
    tiles.draw(
        tiles.Picture(
            uri=picture.uri, columns=picture.columns, rows=picture.rows, squares=picture.squares, legend=picture.legend,
            boxes=places,
        ),
        key="switches",
        alt=f"The maps of {conv}; switched off: {', '.join(map(str, off)) or 'none'}.",
        on_pick=lambda number: _toggle(kept, conv, number),
    )  # fmt: skip


def edit(scene: Scene, kept: Switches, changed: Stages) -> None:
    """The numbers of one first-layer kernel, to be typed over, and its map before and after."""
    conv = scene.convolutions[0]
    own = scene.weights[f"{conv}/kernel"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        number = int(st.number_input(f"Kernel of {conv}", 0, own.shape[-1] - 1, key="inside edited", width=130))
        colour = st.segmented_control(
            "Colour", ["all", *pixel.COLOURS], default="all", required=True, key="inside colour"
        )
        options = ["no ready-made kernel", *(PRESETS if own.shape[0] == 3 else {"all zero": 0})]
        ready = f"inside ready {number} {colour}"
        st.selectbox(
            "Ready-made", options, key=ready, on_change=_preset, args=(kept, number, colour, own, ready), width=220
        )
    stage = scene.activation(conv)
    pair = [stages[stage][0][..., [number]] for stages in (scene.stages, changed)]
    end = float(limits(pair)[0])
    numbers, *places = st.columns([1.6, 1, 1])
    with numbers:
        grid(kept, number, str(colour), kept.kernels.get(number, own[..., number]), own)
    for cell, title, one in zip(places, ("before", "now"), pair, strict=True):
        with cell:
            st.markdown(f"map {number} **{title}**")
            picture = tiles.of_map(one, 0, end, signed=False)
            tiles.draw(picture, f"edited {title}", f"Map {number} {title}: up to {tiles.number(float(one.max()))}.")


def grid(kept: Switches, number: int, colour: str, values: NDArray[np.float32], own: NDArray[np.float32]) -> None:
    """One number input for each weight, in the kernel's own arrangement."""
    size = values.shape[0]
    shown = values.mean(axis=-1) if colour == "all" else values[..., pixel.COLOURS.index(colour)]
    for row in range(size):
        with st.container(horizontal=True, wrap=False, gap="xsmall"):  # columns are never narrower than 128 pixels
            for column in range(size):
                key = f"inside weight {number} {colour} {row} {column}"
                st.session_state[key] = float(shown[row, column])
                st.number_input(
                    f"row {row}, column {column}", key=key, step=0.1, format="%.3f", label_visibility="collapsed",
                    width=110 if size <= 3 else 84,
                    on_change=_typed, args=(kept, number, colour, (row, column), key, own),
                )  # fmt: skip
    what = "The mean of the three colours; a number typed here goes into all three." if colour == "all" else ""
    st.caption(what or f"What the kernel does with {colour}.")


def _toggle(kept: Switches, conv: str, number: int) -> None:
    kept.off.setdefault(conv, set()).symmetric_difference_update({number})


def _put(kept: Switches, conv: str, numbers: Sequence[int]) -> None:
    kept.off[conv] = set(numbers)


def _reset() -> None:
    st.session_state.pop(KEPT, None)
    for key in [key for key in st.session_state if str(key).startswith("inside ready")]:
        del st.session_state[key]


def _typed(
    kept: Switches, number: int, colour: str, place: tuple[int, int], key: str, own: NDArray[np.float32]
) -> None:
    value = st.session_state[key]
    if value is None or not np.isfinite(value):
        return
    kernel = kept.kernels.get(number, own[..., number]).copy()
    kernel[place] = value if colour == "all" else kernel[place]
    if colour != "all":
        kernel[(*place, pixel.COLOURS.index(colour))] = value
    kept.kernels[number] = kernel


def _preset(kept: Switches, number: int, colour: str, own: NDArray[np.float32], key: str) -> None:
    chosen = st.session_state[key]
    if chosen not in PRESETS:
        kept.kernels.pop(number, None)
        return
    values = PRESETS[chosen] if own.shape[0] == 3 else np.zeros(own.shape[:2])
    kernel = kept.kernels.get(number, own[..., number]).copy()
    if colour == "all":
        kernel[...] = values[..., None]
    else:
        kernel[..., pixel.COLOURS.index(colour)] = values
    kept.kernels[number] = kernel
