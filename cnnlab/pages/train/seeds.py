"""The trained seeds of the experiment with their mean accuracy, and the button that trains another one."""

import streamlit as st

from cnnlab import data
from cnnlab.analysis.curve_summary import summarize_curves
from cnnlab.experiment import Experiment
from cnnlab.explanations import training_progress
from cnnlab.formatting import keep_figures_whole
from cnnlab.pages.train.learning_curves import series_accuracies
from cnnlab.storage.runs import Run
from cnnlab.ui import cache
from cnnlab.ui.network_links import compare_link
from cnnlab.ui.training_request import submit_next_seed, training_button
from cnnlab.ui.training_times import duration_source, expected_duration, time_limit_notice


def seeds_panel(experiment: Experiment, shown: Run | None = None) -> None:
    """The trained seeds of this experiment in one sentence, and the button; no button where the images are missing.

    shown: the finished run whose result stands above.
    """
    can_train = data.is_dataset_available(experiment.dataset)
    if can_train and (notice := time_limit_notice(experiment)):
        st.warning(notice, icon=":material/timer:")
    with st.container(horizontal=True, vertical_alignment="center"):
        if can_train:
            training_button(
                f"Train another seed: {expected_duration(experiment)}",
                key="train_another_seed",
                icon=":material/casino:",
                on_click=submit_next_seed,
                args=(experiment,),
                help="The same network with other random initial weights and another order of the images.",
            )
        compare_link(experiment)
        known = training_progress.describe_seeds(finished_accuracies(experiment, shown), experiment.split)
        st.caption(keep_figures_whole(f"{known} {duration_source(experiment) if can_train else ''}"))


def finished_accuracies(experiment: Experiment, shown: Run | None) -> dict[int, float]:
    """The final accuracy of each finished seed; that of `shown` also before the cached list of runs has it."""
    accuracies = dict(series_accuracies(experiment))
    summary = summarize_curves(cache.history(shown)) if shown else None
    if summary:
        accuracies.setdefault(experiment.seed, summary.validation)
    return dict(sorted(accuracies.items()))
