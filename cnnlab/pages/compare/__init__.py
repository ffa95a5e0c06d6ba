"""Which regularizer would you trust? The report's ten models over their seeds, one section a question.

A model that is not trained yet says so and leaves its place empty. Every sentence is computed from the figures.
"""

import streamlit as st

from cnnlab.explanations.conclusions import WHAT_THE_REPORT_IS
from cnnlab.pages.compare.conclusions import conclusions
from cnnlab.pages.compare.cost import cost
from cnnlab.pages.compare.evidence import evidence
from cnnlab.pages.compare.learning_curves import learning_curves
from cnnlab.pages.compare.measures import measure_control
from cnnlab.pages.compare.overlay import overlay
from cnnlab.pages.compare.predictions import predictions
from cnnlab.pages.compare.tables import results_table
from cnnlab.ui import cache, control_locks, damaged_runs
from cnnlab.ui.page_address import write_params
from cnnlab.ui.selection import EXPERIMENT_PARAMS, SELECTION_PARAMS


def page() -> None:
    """Draw it."""
    st.title("Which network would you trust?", anchor=False)
    st.caption(
        "The most accurate one on new images, or the one whose training figure you can believe: the smallest gap. "
        f"{WHAT_THE_REPORT_IS}"
    )
    write_params({}, [*SELECTION_PARAMS, *EXPERIMENT_PARAMS])
    damaged_runs.damaged_runs_notice()
    table = cache.report_rows()
    eight = [row for row in table if row.model.experiment.split == "validation"]
    final = [row for row in table if row.model.experiment.split == "test"]
    measure_control()
    evidence(table)
    covered = control_locks.covers_test_results()
    conclusions(table, with_test=not covered)
    learning_curves(eight if covered else table)
    cost(table)
    if covered:
        control_locks.test_results_notice()
    else:
        predictions(table)
    overlay()
    results_table("Table 1: eight networks, 40,000 images to learn from", eight, "Validation")
    if not covered:
        results_table("Table 2: the final two, 50,000 images, measured on the test set", final, "Test")
