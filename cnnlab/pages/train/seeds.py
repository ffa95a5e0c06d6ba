"""Which seeds of the experiment are trained, and the button that trains another one."""

import streamlit as st

from cnnlab import data
from cnnlab.experiment import Experiment
from cnnlab.explanations import training_progress
from cnnlab.storage.series import find_series
from cnnlab.ui import cache
from cnnlab.ui.training_request import submit_next_seed
from cnnlab.ui.training_times import expected_duration


def seeds_panel(experiment: Experiment) -> None:
    """The trained seeds of this experiment in one sentence, and the button; no button where the images are missing."""
    series = find_series(experiment, [*cache.shipped_seeds(), *cache.list_runs()])
    with st.container(horizontal=True, vertical_alignment="center"):
        if data.is_dataset_available(experiment.dataset):
            st.button(
                f"Train another seed: {expected_duration(experiment)}",
                key="train_another_seed",
                icon=":material/casino:",
                on_click=submit_next_seed,
                args=(experiment,),
                help="The same network with other random initial weights and another order of the images.",
            )
        st.caption(training_progress.describe_seeds(series.seeds))
