"""The learning curves of the report's networks, one small chart each."""

from collections.abc import Sequence

import streamlit as st

from cnnlab.explanations import curves
from cnnlab.pages.compare.measures import SESSION_MEASURE, TRAINING_MEASURES
from cnnlab.pages.compare.tables import missing_result
from cnnlab.rendering import charts, palette
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.report import ReportRow
from cnnlab.ui import app_shell, cache
from cnnlab.ui.selection import experiment_params


def panels(rows: Sequence[ReportRow]) -> None:
    """One small chart a network, all on the same axes, in the report's order."""
    drawing = str(st.session_state[SESSION_MEASURE])
    measured = "test" if rows[0].model.experiment.split == "test" else "validation"
    st.html(palette.legend_html(f"training, {TRAINING_MEASURES[drawing]}", measured))
    with st.grid(4, min_column_width=230):
        for row in rows:
            with st.container():
                panel(row, reported=drawing == "reported")


def panel(row: ReportRow, *, reported: bool) -> None:
    """One network's curves, or that there are none yet."""
    number = row.model.number
    st.markdown(f"**{number[0].upper()}{number[1:]}**: {row.title}")
    run = cache.find_run(row.model.experiment)
    history = cache.history(run) if run else None
    if run is None or history is None or not len(history["epoch"]):
        app_shell.page_link(
            "train", f"{missing_result(row).capitalize()}: train it", experiment_params(row.model.experiment)
        )
        return
    spec = charts.panel_chart(history, row.model.experiment.epochs, reported)
    st.vega_lite_chart(
        spec=spec,
        alt=curves.describe_accuracy(history, row.title, row.model.experiment.split),
        key=f"panel {row.model.name}",
    )
    if run.state != "done":
        st.caption(f"{escape_markdown(run.state)}, epoch {history['epoch'][-1]:.0f} of {run.experiment.epochs}")
