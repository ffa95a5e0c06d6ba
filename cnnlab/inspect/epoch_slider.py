"""The slider over the epochs with saved weights, the button Play, and the epoch on the learning curve.

Play selects one color scale for all epochs; otherwise each epoch has its own and changes of strength are not visible.
"""

from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnlab import settings
from cnnlab.formatting import keep_figures_whole, percent, points
from cnnlab.inspect.context import InspectContext
from cnnlab.rendering import charts
from cnnlab.rendering.feature_map_grid import shared_vmax
from cnnlab.storage.runs import Run
from cnnlab.ui import cache, control_locks, query_state, selection
from cnnlab.ui.state import session_key, url_param

ROUNDING_DIFFERENCE = 0.009  # of any shipped snapshot's accuracy from its history; an exhaustive test measures it
ROUNDED_SNAPSHOT = (
    "The weights of this epoch were rounded to six significant bits before they were stored. The maps come from the"
    f" rounded weights. Their accuracy differs from the curve by up to {points(ROUNDING_DIFFERENCE)}."
)
SECONDS_PER_EPOCH = 1.0  # seconds for one epoch
EPOCH = session_key("inspect.epoch_slider.epoch")
SESSION_PLAYING = session_key("inspect.epoch_slider.playing")
SESSION_PLAYED = session_key("inspect.epoch_slider.played")  # the epochs that Play has left behind
SESSION_JUST_DRAWN = session_key("inspect.epoch_slider.just_drawn")
PLAY, PAUSE = session_key("inspect.epoch_slider.play"), session_key("inspect.epoch_slider.pause")
SHARED_SCALE = session_key("inspect.epoch_slider.shared_scale")
SHARED_SCALE_PARAM = url_param("hold")
SHARED_SCALE_OPTIONS = {"no": "one scale an epoch", "yes": "one scale for all epochs"}


def epoch_controls(context: InspectContext) -> None:
    """The slider, Play, and the learning curve with a line at this epoch; none for a network from elsewhere."""
    if not isinstance(context.run, Run):
        return
    kept = context.run.snapshot_epochs()
    if control_locks.is_hidden("epoch"):
        st.caption(f"After epoch {context.epoch}")
    elif len(kept) > 1:
        st.session_state[EPOCH] = context.epoch
        locked = control_locks.is_locked("epoch")
        st.select_slider("After epoch", kept, key=EPOCH, on_change=_on_epoch_selected, disabled=locked)
        play_buttons(kept, locked)
    else:
        st.caption(f"Only the weights after epoch {context.epoch} are kept so far.")
    if st.session_state.get(SESSION_PLAYING):
        st.session_state[SESSION_JUST_DRAWN] = True
        play_timer(kept)
    learning_curve(context)


def play_buttons(kept: list[int], locked: bool) -> None:
    """Play or pause, and the scale."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.session_state.get(SESSION_PLAYING):
            st.button("Pause", icon=":material/pause:", on_click=_on_pause, key=PAUSE)
        else:
            play_icon = ":material/play_arrow:"
            st.button("Play", icon=play_icon, on_click=_on_play, args=(kept,), key=PLAY, disabled=locked)
        st.session_state[SHARED_SCALE] = is_scale_shared()
        st.toggle(
            "One scale", key=SHARED_SCALE, on_change=_on_shared_scale_toggled, help="The same colors for all epochs."
        )


def is_scale_shared() -> bool:
    """Whether all epochs are to be drawn on one scale."""
    return query_state.read_option(SHARED_SCALE_PARAM, SHARED_SCALE_OPTIONS) == "yes"


def epochs_vmax(context: InspectContext, layer_name: str, scale: str) -> NDArray[Any] | None:
    """The end of the scale that all epochs share, by map; None where each epoch has its own."""
    return shared_epochs_vmax(context, layer_name, scale) if is_scale_shared() else None


def shared_epochs_vmax(context: InspectContext, layer_name: str, scale: str) -> NDArray[Any]:
    """The end of a common scale for this layer and image over all epochs kept."""
    kept = tuple(context.run.snapshot_epochs())
    return _shared_epochs_vmax(str(context.run.path), kept, context.image.tobytes(), layer_name, scale, context)


@st.cache_data(max_entries=64, show_spinner=False)
def _shared_epochs_vmax(
    path: str, kept: tuple[int, ...], pixels: bytes, layer: str, scale: str, _context: InspectContext
) -> NDArray[Any]:
    return shared_vmax([_context.at_epoch(epoch).activations[layer][0] for epoch in kept], scale)


@st.fragment(run_every=SECONDS_PER_EPOCH)
def play_timer(kept: list[int]) -> None:
    """While Play runs: after each pause, the next epoch, for the whole page."""
    just_drawn = st.session_state.pop(SESSION_JUST_DRAWN, False)
    if just_drawn or not st.session_state.get(SESSION_PLAYING):
        return
    _advance_epoch(kept)
    st.rerun()


def learning_curve(context: InspectContext) -> None:
    """The learning curve, small, with a line at this epoch; not drawn where a sheet covers it."""
    if context.trained_run.experiment.split == "test" and control_locks.covers_test_results():
        return
    history = cache.history(context.trained_run)
    if len(history["epoch"]) < 2:
        return
    figures = {"epoch": history["epoch"], "training": history["train_eval_accuracy"]}
    figures |= {"validation": history["val_accuracy"], "cursor": np.full(len(history["epoch"]), context.epoch)}
    here, description = np.flatnonzero(history["epoch"] == context.epoch), f"Epoch {context.epoch}"
    split = context.trained_run.experiment.split  # what the dashed curve is measured on: validation or test
    if len(here):
        training, unseen = (history[name][here[0]] for name in ("train_eval_accuracy", "val_accuracy"))
        description = f"{description}: training {percent(training)}, {split} {percent(unseen)}"
    alt = f"Learning curve with a line at {description[0].lower()}{description[1:]}."
    spec = charts.cached_spec("chart_specs.epoch_cursor", context.trained_run.experiment.epochs, split)
    st.vega_lite_chart(spec=charts.with_data(spec, **figures), key="epoch curve", alt=alt, width="stretch")
    st.caption(keep_figures_whole(f"{description} (dashed)") if len(here) else description)
    if context.run.path.is_relative_to(settings.PRETRAINED) and context.epoch != context.trained_run.experiment.epochs:
        st.caption(ROUNDED_SNAPSHOT)


def _on_epoch_selected() -> None:
    """A person has moved the slider, which ends Play.

    With each request a browser sends the slider's value. One that has not yet received the epoch that Play has gone on
    to sends the one before, and later this one: nobody has chosen either.
    """
    chosen = st.session_state[EPOCH]
    played = (*st.session_state.get(SESSION_PLAYED, ()), selection.current_selection().epoch)
    if st.session_state.get(SESSION_PLAYING) and chosen in played:
        return
    selection.update_selection(epoch=chosen)
    st.session_state[SESSION_PLAYING] = False


def _on_shared_scale_toggled() -> None:
    query_state.set_param(SHARED_SCALE_PARAM, "yes" if st.session_state[SHARED_SCALE] else None)


def _on_play(kept: list[int]) -> None:
    """From the first epoch, if the last one is open; on one scale."""
    st.session_state[SESSION_PLAYING] = True
    st.session_state[SESSION_PLAYED] = (st.session_state.get(EPOCH, kept[-1]),)
    at_the_end = st.session_state.get(EPOCH, kept[-1]) == kept[-1]
    selection.update_selection(**{SHARED_SCALE_PARAM: "yes"}, **({"epoch": kept[0]} if at_the_end else {}))


def _on_pause() -> None:
    st.session_state[SESSION_PLAYING] = False


def _advance_epoch(kept: list[int]) -> None:
    here = selection.current_selection().epoch
    later = [epoch for epoch in kept if epoch > (kept[-1] if here is None else here)]
    if later:
        st.session_state[SESSION_PLAYED] = (*st.session_state.get(SESSION_PLAYED, ()), here)
        selection.update_selection(epoch=later[0])
    if len(later) <= 1:
        st.session_state[SESSION_PLAYING] = False
