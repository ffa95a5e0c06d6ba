"""Which regularizer would you trust? The report's ten models over their seeds, one section a question.

A model that is not trained yet says so and leaves its place empty. Every sentence is computed from the figures.
"""

import streamlit as st

from cnnlab.pages.compare.conclusions import conclusions
from cnnlab.pages.compare.cost import cost
from cnnlab.pages.compare.evidence import evidence
from cnnlab.pages.compare.learning_curves import learning_curves
from cnnlab.pages.compare.measures import is_reported, measure_control
from cnnlab.pages.compare.overlay import overlay
from cnnlab.pages.compare.predictions import predictions
from cnnlab.pages.compare.tables import results_table
from cnnlab.ui import cache, damaged_runs
from cnnlab.ui.selection import EXPERIMENT_PARAMS, SELECTION_PARAMS, write_params

# On a phone a table scrolls, not the page.
STYLE = """<style>[class*=st-key-table] { overflow-x: auto; }
[class*=st-key-table] td, [class*=st-key-table] th { white-space: nowrap; }</style>"""


def page() -> None:
    """Draw it."""
    st.title("Which network would you trust?", anchor=False)
    st.caption(
        "The most accurate one on new images, or the one whose training figure you can believe: the smallest gap. "
        "*The report* is a lab report on CIFAR-10 whose ten networks are trained again here."
    )
    write_params({}, [*SELECTION_PARAMS, *EXPERIMENT_PARAMS])
    damaged_runs.damaged_runs_notice()
    results = cache.report_results()
    table = results.rows
    eight = [row for row in table if row.model.experiment.split == "validation"]
    final = [row for row in table if row.model.experiment.split == "test"]
    st.html(STYLE)
    measure_control()
    evidence(table, results.series[is_reported()])
    conclusions(results.claims)
    learning_curves(table)
    cost(results.series[False])
    predictions(table, results.claims)
    overlay()
    results_table("Table 1: eight networks, 40,000 images to learn from", eight, "Validation")
    results_table("Table 2: the final two, 50,000 images, measured on the test set", final, "Test")
