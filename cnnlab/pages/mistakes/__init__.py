"""The page Mistakes: the images that a network misclassifies, and its confidence; two networks compared.

The page reads the predictions on the test images that a training writes at its end. It computes nothing with the
network, so the counts are there without the data set; only the images need it.
"""

import streamlit as st

from cnnlab.inspect import imported_network
from cnnlab.pages.mistakes.network_comparison import comparison_sections
from cnnlab.pages.mistakes.network_menus import select_other_run, selected_results
from cnnlab.pages.mistakes.single_network import single_network_sections
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage.imported_networks import StoredNetwork
from cnnlab.storage.runs import DamagedRun, Run
from cnnlab.ui import cache, damaged_runs, selected_network, selection

DEFAULT_RUN = "final-3conv-dropout"
NOT_TRAINED = "is not trained yet."
TEST_IMAGES = "All counts are of test images, which no network that was trained here has seen in its training."
NOT_TESTED = "has no predictions on the test images: Look inside says whether they are being computed."
NO_PREDICTIONS = "has no predictions on the test images: they are written at the end of a training."


def page() -> None:
    """Draw the page: the menus of networks, then one network or the comparison of two."""
    st.title("Which images does the network get wrong, and how confident was it?", anchor=False)
    st.caption(f"{TEST_IMAGES} Click an image to look inside.")
    wanted = selection.current_selection()
    everything: list[StoredNetwork] = [*cache.list_runs(), *imported_network.visible_networks(wanted.run)]
    runs = [run for run in everything if is_tested(run)]
    if not runs:
        st.info("No network has been trained to its end here yet: train one on the page Train, then see its mistakes.")
        return
    default = next((run for run in runs if run.name == DEFAULT_RUN), runs[0])
    try:
        run = selected_network.open_network(wanted.run, default)
        if run is None or "test" not in cache.predictions(run):
            reason = NOT_TRAINED if run is None else NO_PREDICTIONS if isinstance(run, Run) else NOT_TESTED
            selected_network.unavailable_network(reason, runs, select_other_run, run)
            return
        mine, other = selected_results(run, runs, wanted.versus)
    except DamagedRun as damage:
        st.error(escape_markdown(f"{damage} Choose another network, or train it again."), icon=damaged_runs.ICON)
        return
    if mine is not None and other is not None:
        comparison_sections(mine, other)
    elif mine is not None:
        single_network_sections(mine)


def is_tested(run: StoredNetwork) -> bool:
    """Whether the training ended, here or elsewhere, and the predictions on the test images are written."""
    return (not isinstance(run, Run) or run.record.state == "done") and (run.path / "predictions.npz").exists()
