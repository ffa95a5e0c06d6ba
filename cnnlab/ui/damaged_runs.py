"""Notices about damaged runs, with the remedy: train the run again."""

import streamlit as st

from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage.runs import Run
from cnnlab.ui import app_shell, cache
from cnnlab.ui.experiment_params import experiment_params

MAX_LISTED = 5  # damaged runs in one notice
ICON = ":material/broken_image:"


def damage_sentence(run: Run) -> str:
    """'3-conv, dropout 0.1 is damaged: history.csv is empty.', safe in Markdown; "" for a whole run."""
    return escape_markdown(f"{run.title} is damaged: {damage}") if (damage := run.damage) else ""


def damage_notice(run: Run) -> None:
    """A warning where a file of this run cannot be used, with the reason, and a link that trains the run again."""
    if sentence := damage_sentence(run):
        st.warning(f"{sentence} The page shows the other files.", icon=ICON)
        app_shell.page_link("train", "Train it again", experiment_params(run.experiment), icon=":material/replay:")


def damaged_runs_notice() -> None:
    """A warning that lists the damaged runs of this machine; nothing without any."""
    sentences = [damage_sentence(run) for run in cache.damaged_runs()]
    sentences += [escape_markdown(folder.damage) for folder in cache.damaged_folders()]
    if not sentences:
        return
    more = len(sentences) - MAX_LISTED
    lines = sentences[:MAX_LISTED] + ([f"And {more} more."] if more > 0 else [])
    outcome = "Figures from a damaged file are missing here. Train the run again on the page Train."
    st.warning("\n\n".join([*lines, outcome]), icon=ICON)
