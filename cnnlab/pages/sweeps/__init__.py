"""One setting changed step by step: size of the training set, augmentation, strength of a regularizer, noisy labels.

The page holds nothing: the sweep stands in the address, its trainings in the queue, its results in the runs.
"""

import streamlit as st

from cnnlab.pages.sweeps.controls import menu_title, new_sweep_form, requested_sweep, sweep_menu
from cnnlab.pages.sweeps.progress import progress_area, start_panel
from cnnlab.pages.sweeps.results import result_area
from cnnlab.ui import damaged_runs
from cnnlab.ui.experiment_params import EXPERIMENT_PARAMS
from cnnlab.ui.page_address import write_params
from cnnlab.ui.selection import SELECTION_PARAMS


def page() -> None:
    """Draw the page: the menu of sweeps, the form of a new one, beside it progress and results of the chosen one."""
    st.title("What changes when one setting changes?", anchor=False)
    st.caption(
        "A sweep trains the same network several times and changes one setting: the number of training images, the"
        " strength of a regularizer, or the share of wrong labels. Its runs are shared with everybody."
    )
    write_params({}, [*SELECTION_PARAMS, *EXPERIMENT_PARAMS])
    damaged_runs.damaged_runs_notice()
    sweep = requested_sweep()
    sweep_menu(sweep)
    left, right = st.columns([1, 3.2], gap="large")
    with left:
        new_sweep_form()
    with right:
        st.header(menu_title(sweep), anchor=False)
        status = progress_area(sweep)
        result_area(sweep)
        if status.missing and not status.is_active:
            start_panel(sweep, status)
