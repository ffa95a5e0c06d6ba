"""When: the slider through the epochs whose weights were kept, Play, and the place on the learning curve.

While Play runs, and wherever it is wanted, all epochs are drawn on one scale: otherwise every picture would fill its
own, and nothing would seem to grow.
"""

from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnlab import charts
from cnnlab.pages import address, cached, selection
from cnnlab.pages.inside.scene import Scene
from cnnlab.pages.inside.tiles import CHOSEN
from cnnlab.runs import Run
from cnnlab.walls import limits

PAUSE = 1.0  # seconds for one epoch
KEY, PLAYING, DRAWN = "inside epoch", "inside playing", "inside drawn"
HELD = {"no": "one scale an epoch", "yes": "one scale for all epochs"}


def controls(scene: Scene) -> None:
    """The slider, Play, and the learning curve with a line at this epoch."""
    kept = scene.run.snapshots()
    if len(kept) > 1:
        st.session_state[KEY] = scene.epoch
        st.select_slider("After epoch", kept, key=KEY, on_change=_chosen)
        buttons(kept)
    else:
        st.caption(f"Only the weights after epoch {scene.epoch} are kept so far.")
    if st.session_state.get(PLAYING):
        st.session_state[DRAWN] = True
        ticker(kept)
    curve(scene)


def buttons(kept: list[int]) -> None:
    """Play or pause, and the scale."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.session_state.get(PLAYING):
            st.button("Pause", icon=":material/pause:", on_click=_stop, key="inside pause")
        else:
            st.button("Play", icon=":material/play_arrow:", on_click=_play, args=(kept,), key="inside play")
        st.session_state["inside hold"] = held()
        st.toggle("One scale", key="inside hold", on_change=_hold, help="The same colours for all epochs.")


def held() -> bool:
    """Whether all epochs are to be drawn on one scale."""
    return address.word("hold", HELD) == "yes"


def limit(scene: Scene, stage: str, scale: str) -> NDArray[Any] | None:
    """The end of the scale that all epochs share, by map; None where each epoch has its own."""
    return shared(scene, stage, scale) if held() else None


def shared(scene: Scene, stage: str, scale: str) -> NDArray[Any]:
    """The end of a common scale for this stage and image over all epochs kept."""
    kept = tuple(scene.run.snapshots())
    return _shared(str(scene.run.path), kept, scene.image.tobytes(), stage, scale, scene)


@st.cache_data(max_entries=64, show_spinner=False)
def _shared(path: str, kept: tuple[int, ...], pixels: bytes, stage: str, scale: str, _scene: Scene) -> NDArray[Any]:
    return limits([_scene.at(epoch).stages[stage][0] for epoch in kept], scale)


@st.fragment(run_every=PAUSE)
def ticker(kept: list[int]) -> None:
    """While Play runs: after each pause, the next epoch, for the whole page."""
    just_drawn = st.session_state.pop(DRAWN, False)
    if just_drawn or not st.session_state.get(PLAYING):
        return
    _move(kept)
    st.rerun()


def curve(scene: Scene) -> None:
    """The learning curve, small, with a line at this epoch."""
    history = cached.history(scene.run)
    if len(history["epoch"]) < 2:
        return
    figures = {"epoch": history["epoch"], "training": history["train_eval_accuracy"]}
    figures |= {"validation": history["val_accuracy"], "cursor": np.full(len(history["epoch"]), scene.epoch)}
    here, said = np.flatnonzero(history["epoch"] == scene.epoch), f"Epoch {scene.epoch}"
    if len(here):
        training, unseen = (history[name][here[0]] for name in ("train_eval_accuracy", "val_accuracy"))
        split = scene.run.experiment.split  # what the dashed curve is measured on: validation or test
        said = f"{said}: training {charts.percent(training)}, {split} {charts.percent(unseen)}"
    alt = f"Learning curve with a line at {said[0].lower()}{said[1:]}."
    st.vega_lite_chart(spec=charts.drawn(_spec(scene.run), **figures), key="inside curve", alt=alt, width="stretch")
    st.caption(f"{said} (dashed)".replace(" %", "\N{NO-BREAK SPACE}%") if len(here) else said)


def _spec(run: Run) -> dict[str, Any]:
    """The small panel, lower, without its axis of epochs, and with the line."""
    panel = charts.panel(run.experiment.epochs)
    line = {"type": "rule", "color": CHOSEN, "strokeWidth": 2, "opacity": 0.5}
    cursor = {"mark": line, "encoding": {"x": {"field": "cursor", "type": "quantitative", "axis": None}}}
    return {**panel, "height": 64, "layer": [*map(_without_axis, panel["layer"]), cursor]}


def _without_axis(layer: dict[str, Any]) -> dict[str, Any]:
    encoding = layer["encoding"]
    return {**layer, "encoding": {**encoding, "x": {**encoding["x"], "axis": None}}}


def _chosen() -> None:
    selection.choose(epoch=st.session_state[KEY])
    st.session_state[PLAYING] = False


def _hold() -> None:
    address.put("hold", "yes" if st.session_state["inside hold"] else None)


def _play(kept: list[int]) -> None:
    """From the first epoch, if the last one is open; on one scale."""
    st.session_state[PLAYING] = True
    address.put("hold", "yes")
    if st.session_state.get(KEY, kept[-1]) == kept[-1]:
        selection.choose(epoch=kept[0])


def _stop() -> None:
    st.session_state[PLAYING] = False


def _move(kept: list[int]) -> None:
    here = selection.current().epoch
    later = [epoch for epoch in kept if epoch > (kept[-1] if here is None else here)]
    if later:
        selection.choose(epoch=later[0])
    if len(later) <= 1:
        st.session_state[PLAYING] = False
