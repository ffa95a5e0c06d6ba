"""The chip in the corner of every page: the chosen network in its regularizer's color, and the chosen picture.

Its menu chooses another network for all pages and links to those that show it.
"""

import streamlit as st

from cnnlab.data import DatasetMissing
from cnnlab.experiment import Experiment
from cnnlab.rendering import palette
from cnnlab.rendering.color_scale import png_data_uri, upscaled_png
from cnnlab.storage.imported_networks import open_network
from cnnlab.storage.runs import UnknownRun
from cnnlab.ui import app_shell, cache, control_locks, presence, selected_network
from cnnlab.ui.experiment_params import experiment_params
from cnnlab.ui.image_source import SelectedImage, load_image_set, select_image
from cnnlab.ui.page_address import SESSION_SELECTION
from cnnlab.ui.selection import parse_selection
from cnnlab.ui.state import session_key

CHIP, MENU = session_key("network_chip.popover"), session_key("network_chip.network")
SESSION_CHOSEN = session_key("network_chip.chosen")  # whether the menu has just chosen another network
WITHOUT_CHIP = ("admin", "lesson_board")  # pages of the teacher, which are about no network
PICTURE_PIXELS = 20
LINKS = {"look_inside": ("Look inside", ":material/visibility:"), "mistakes": ("Its mistakes", ":material/close:")}
STYLE = """<style>
.st-key-corner > * {{ flex: 0 0 auto !important; }}
.st-key-network_chip {{ width: auto !important; border-left: 0.35rem solid {color}; border-radius: 0.3rem; {picture} }}
.st-key-network_chip button p {{ max-width: min(18rem, 30vw); overflow: hidden; text-overflow: ellipsis; }}
@media (max-width: 1000px) {{ .st-key-network_chip button p {{ max-width: min(9rem, 28vw); }} }}
@media (min-width: 769px) and (max-width: 900px) {{ .st-key-network_chip button p {{ max-width: 4rem; }} }}
</style>"""
PICTURE_STYLE = (
    "background: url({uri}) no-repeat 0.3rem center / {size}px; image-rendering: pixelated;"
    " padding-left: calc({size}px + 0.3rem);"
)


def network_chip() -> None:
    """Draw the chip; nothing where no network was chosen yet, and on the teacher's pages."""
    title, experiment = chosen_title(), selected_network.selected_experiment()
    if not title or st.session_state.get(presence.SESSION_PAGE) in WITHOUT_CHIP:
        return
    color = palette.REGULARIZER_COLORS[experiment.regularizer] if experiment else palette.GREY
    picture = chosen_picture(experiment) if experiment else None
    style = ""
    if picture is not None:
        uri = png_data_uri(upscaled_png(picture.pixels, 1))
        style = PICTURE_STYLE.format(uri=uri, size=PICTURE_PIXELS)
    st.html(STYLE.format(color=color, picture=style))
    st.fragment(chip_popover)(title, experiment, picture)


def chip_popover(title: str, experiment: Experiment | None, picture: SelectedImage | None) -> None:
    """The chip itself; what its menu shows is made when it is opened. Another network draws the whole page again."""
    if st.session_state.pop(SESSION_CHOSEN, False):
        st.rerun()
    with st.container(key="network_chip"):
        menu = st.popover(title, key=CHIP, type="tertiary", on_change="rerun")
    if not menu.open:
        return
    with menu:
        st.markdown("The network of every page" + (f", with {picture.title}" if picture else ""))
        if not control_locks.is_hidden("run"):
            network_menu()
        if experiment is not None:
            app_shell.page_link("train", "Its curves", experiment_params(experiment), icon=":material/show_chart:")
        for page, (label, icon) in LINKS.items():
            app_shell.page_link(page, label, {}, icon=icon)


def network_menu() -> None:
    """A menu of all runs; the one that is chosen there is the network of every page."""
    titles = {run.name: run.title for run in cache.list_runs()}
    st.session_state[MENU] = chosen_run()
    st.selectbox(
        "Network",
        [*titles, *({chosen_run()} - set(titles))],
        format_func=lambda name: titles.get(name, chosen_title()),
        key=MENU,
        on_change=on_choose,
        disabled=control_locks.is_locked("run"),
    )


def on_choose() -> None:
    """Show the run of the menu on every page, and on this one."""
    selected_network.choose_run(st.session_state[MENU], str(st.session_state.get(presence.SESSION_PAGE, "")))
    st.session_state[SESSION_CHOSEN] = True


def chosen_run() -> str:
    """The name of the chosen run, or the key of a chosen network without one."""
    return str(st.session_state.get(SESSION_SELECTION, {}).get("run", ""))


def chosen_title() -> str:
    """The title of the chosen network; "" where none was chosen."""
    experiment = selected_network.selected_experiment()
    if experiment is not None:
        return experiment.title
    try:
        return open_network(chosen_run()).title if chosen_run() else ""
    except UnknownRun:
        return ""


def chosen_picture(experiment: Experiment) -> SelectedImage | None:
    """The picture that was chosen on Look inside; None where none was, or its data set is not there."""
    params: dict[str, str] = st.session_state.get(SESSION_SELECTION, {})
    if "image" not in params:
        return None
    try:
        return select_image(parse_selection(params)[0].image, load_image_set(experiment.dataset))
    except DatasetMissing:
        return None
