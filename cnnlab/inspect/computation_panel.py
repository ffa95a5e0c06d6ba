"""The panel of a computation about a run: what it computes, the button that starts its worker, its progress."""

import streamlit as st

from cnnlab.jobs.run_computation import ComputationError, RunComputation
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage.imported_networks import StoredNetwork
from cnnlab.ui.state import session_key

SESSION_START_ERROR = session_key("inspect.computation_panel.start_error")  # why the last start was refused


def computation_panel(run: StoredNetwork, computation: RunComputation, description: str) -> None:
    """Say what is computed, with a button that starts the worker; while it works, its progress."""
    now = computation.status(run)
    if now is not None and now.is_live:
        computation_progress(run, computation)
        return
    if problem := st.session_state.pop(SESSION_START_ERROR, None) or (now and now.message):
        st.warning(escape_markdown(problem))
    st.info(f"{description} This is computed once for this run.")
    st.button("Compute on the test images", icon=":material/play_arrow:", on_click=_on_start, args=(run, computation))


def _on_start(run: StoredNetwork, computation: RunComputation) -> None:
    """Start the worker. An error is kept for the page: Streamlit shows none of a callback."""
    try:
        computation.start(run)
    except ComputationError as problem:
        st.session_state[SESSION_START_ERROR] = str(problem)


@st.fragment(run_every=0.5)
def computation_progress(run: StoredNetwork, computation: RunComputation) -> None:
    """The progress, drawn twice a second; at the end the page is drawn once more."""
    now = computation.status(run)
    if now is None or not now.is_live:
        st.rerun()
    elif now.state == "waiting":
        st.progress(0.0, "Waiting: another network is being computed")
    else:
        st.progress(now.done / max(now.total, 1), f"Test images: {now.done:,} of {now.total:,}")
