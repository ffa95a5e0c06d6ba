"""What excites each filter over the whole test set: read where it is known, offered to be computed where it is not."""

import streamlit as st

from cnnlab import datasets, top_images
from cnnlab.pages import cached
from cnnlab.runs import Run
from cnnlab.top_images import TopImages, TopImagesError

PROBLEM = "why the top images could not be started"


def of(run: Run) -> TopImages | None:
    """The answers, or None where they are still to be computed."""
    name = run.experiment.dataset
    moment = cached.changed(top_images.folder(run) / top_images.FILE)
    data = cached.dataset(name).fingerprint if datasets.available(name) else ""
    return _of(run.name, moment, data, tuple(run.snapshots()), run) if moment else None


@st.cache_resource(max_entries=12, show_spinner=False)
def _of(name: str, moment: int, data: str, epochs: tuple[int, ...], _run: Run) -> TopImages | None:
    return top_images.load(_run)


def offer(run: Run, why: str) -> None:
    """Say why it is needed, and start the worker at a click; while it works, show how far it is."""
    now = top_images.progress(run)
    if now is not None and now.state == "running":
        working(run)
        return
    if problem := st.session_state.pop(PROBLEM, None) or (now and now.message):
        st.warning(problem)
    st.info(f"{why} It takes about 15 seconds, once for this run.", icon=":material/grid_view:")
    st.button("Ask all test images", icon=":material/play_arrow:", on_click=_start, args=(run,))


def _start(run: Run) -> None:
    """A callback: what it raises would be no sentence on the page."""
    try:
        top_images.start(run)
    except TopImagesError as problem:
        st.session_state[PROBLEM] = str(problem)


@st.fragment(run_every=0.5)
def working(run: Run) -> None:
    """Drawn again twice a second; the end draws the page once more."""
    now = top_images.progress(run)
    if now is None or now.state != "running":
        st.rerun()
    else:
        st.progress(now.done / max(now.of, 1), f"Asking the test images: {now.done:,} of {now.of:,}")
