"""The trained seeds of the experiment with their mean accuracy, and the button that trains another one."""

import streamlit as st

from cnnlab import data
from cnnlab.experiment import Experiment
from cnnlab.explanations import training_progress
from cnnlab.pages.train.learning_curves import series_accuracies
from cnnlab.ui.network_links import compare_link
from cnnlab.ui.training_request import submit_next_seed, training_button
from cnnlab.ui.training_times import expected_duration, time_limit_notice


def seeds_panel(experiment: Experiment) -> None:
    """The trained seeds of this experiment in one sentence, and the button; no button where the images are missing."""
    if data.is_dataset_available(experiment.dataset) and (notice := time_limit_notice(experiment)):
        st.warning(notice, icon=":material/timer:")
    with st.container(horizontal=True, vertical_alignment="center"):
        if data.is_dataset_available(experiment.dataset):
            training_button(
                f"Train another seed: {expected_duration(experiment)}",
                key="train_another_seed",
                icon=":material/casino:",
                on_click=submit_next_seed,
                args=(experiment,),
                help="The same network with other random initial weights and another order of the images.",
            )
        compare_link(experiment)
        st.caption(training_progress.describe_seeds(series_accuracies(experiment), experiment.split))
