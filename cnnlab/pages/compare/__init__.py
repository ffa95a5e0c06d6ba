"""Which regularizer would you trust? The report's ten models over their seeds, one section a question.

A model that is not trained yet says so and leaves its place empty. Every sentence is computed from the figures.
"""

import streamlit as st

from cnnlab.explanations.conclusions import WHAT_THE_REPORT_IS
from cnnlab.pages.compare.conclusions import conclusions
from cnnlab.pages.compare.cost import cost
from cnnlab.pages.compare.evidence import evidence
from cnnlab.pages.compare.learning_curves import learning_curves
from cnnlab.pages.compare.measures import dataset_control, measure_control
from cnnlab.pages.compare.new_seeds import watch_trainings
from cnnlab.pages.compare.overlay import overlay
from cnnlab.pages.compare.predictions import predictions
from cnnlab.pages.compare.results import load_results
from cnnlab.pages.compare.tables import report_tables
from cnnlab.ui import control_locks, damaged_runs
from cnnlab.ui.experiment_params import EXPERIMENT_PARAMS
from cnnlab.ui.page_address import write_params
from cnnlab.ui.selection import SELECTION_PARAMS


def page() -> None:
    """Draw the page: conclusions, evidence, curves, costs and predictions, one section a question."""
    st.title("Which network would you trust?", anchor=False)
    st.caption(
        "The most accurate one on new images, or the one whose training figure you can believe: the smallest gap. "
        f"{WHAT_THE_REPORT_IS}"
    )
    write_params({}, [*SELECTION_PARAMS, *EXPERIMENT_PARAMS])
    damaged_runs.damaged_runs_notice()
    with st.container(horizontal=True):
        dataset = dataset_control()
        measure_control()
    results = load_results(dataset)
    watch_trainings(results.rows)
    covered = control_locks.covers_test_results()
    evidence(results)
    conclusions(results, with_test=not covered)
    learning_curves(results, with_test=not covered)
    cost(results)
    if covered:
        control_locks.test_results_notice()
    else:
        predictions(results)
    overlay(dataset)
    report_tables(results, with_test=not covered)
