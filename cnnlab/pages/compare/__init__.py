"""Which regularizer would you trust? The report's ten models, its figures beside ours, and whatever else was trained.

A model that is not trained yet says so and leaves its place empty. Every sentence is computed from the figures.
"""

import streamlit as st

from cnnlab.pages.compare.evidence import conclusions, evidence, rankings
from cnnlab.pages.compare.learning_curves import panels
from cnnlab.pages.compare.measures import measure_control
from cnnlab.pages.compare.overlay import overlay
from cnnlab.pages.compare.tables import results_table
from cnnlab.ui import cache, damaged_runs
from cnnlab.ui.selection import EXPERIMENT_PARAMS, SELECTION_PARAMS, write_params

STYLE = """<style>[class*=st-key-table] { overflow-x: auto; }
[class*=st-key-table] td { white-space: nowrap; }</style>"""  # on a phone the table scrolls, not the page


def page() -> None:
    """Draw it."""
    st.title("Which network would you trust?", anchor=False)
    st.caption(
        "The most accurate one on new pictures, or the one whose training figure you can believe: the smallest gap. "
        "*The report* is a lab report on CIFAR-10 whose ten networks are trained again here."
    )
    write_params({}, [*SELECTION_PARAMS, *EXPERIMENT_PARAMS])
    damaged_runs.damaged_runs_notice()
    table = cache.report_rows()
    eight = [row for row in table if row.model.experiment.split == "validation"]
    final = [row for row in table if row.model.experiment.split == "test"]
    measure_control()
    evidence(table)
    rankings(eight)
    conclusions(table)
    st.html(STYLE)
    st.header("Table 1: eight networks, 40,000 images to learn from", anchor=False)
    results_table(eight, "Validation")
    panels(eight)
    st.header("Table 2: the final two, 50,000 images, measured on the test set", anchor=False)
    results_table(final, "Test")
    panels(final)
    overlay()
