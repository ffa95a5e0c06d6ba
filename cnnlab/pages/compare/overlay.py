"""Any networks in one chart: one's own beside the report's."""

from collections.abc import Sequence

import streamlit as st

from cnnlab.explanations import curves
from cnnlab.rendering import charts, palette
from cnnlab.storage.runs import Run
from cnnlab.ui import cache, selected_network
from cnnlab.ui.selection import quoted, show_problems, write_params
from cnnlab.ui.state import url_param

MAX_OVERLAY_RUNS = 8  # runs in one chart that can still be told apart
OVERLAY_HEIGHT, LEGEND_ROW = 290, 32  # pixels of the plot with its axis, and of one row of the legend
OVERLAY_PARAM = url_param("add")  # the word of the address that names added runs
DEFAULT_OVERLAY = ("3conv-none", "3conv-dropout")  # in the overlay, until somebody chooses


def overlay() -> None:
    """Any runs in one chart: one's own beside the report's."""
    st.header("Put any networks into one chart", anchor=False)
    known = {run.name: run for run in cache.list_runs() if len(cache.history(run)["epoch"])}
    if not known:
        st.write("Nothing is trained yet.")
        return
    chosen = choose_runs(known)
    if not chosen:
        return
    named = {run.title: cache.history(run) for run in chosen}
    colours = [palette.REGULARIZER_COLORS[run.experiment.regularizer] for run in chosen]
    st.markdown(f"**{overlay_measure(chosen)}**")
    if len({run.experiment.dataset for run in chosen}) > 1:
        st.caption("Some were trained on CIFAR-10 and some on Shapes: compare how they run, not how high they come.")
    longest = max(run.experiment.epochs for run in chosen)
    words = " ".join(curves.describe_accuracy(cache.history(run), run.title, run.experiment.split) for run in chosen)
    spec = charts.overlay_chart(named, colours, longest)
    spec["height"] = OVERLAY_HEIGHT + LEGEND_ROW * len(chosen)  # the legend lies below the plot, within this height
    st.vega_lite_chart(spec=spec, alt=words, key="overlay")


def overlay_measure(chosen: Sequence[Run]) -> str:
    """What the curves show: the runs with a test split are measured on the test images."""
    splits = {run.experiment.split for run in chosen}
    return " and ".join(f"{split} accuracy" for split in sorted(splits, reverse=True)).capitalize()


def choose_runs(known: dict[str, Run]) -> list[Run]:
    """The runs to draw, kept in the address; a name that is no run any more is left out, and said."""
    named = [name for name in st.query_params.get(OVERLAY_PARAM, "").split(",") if name]
    if gone := [name for name in named if name not in known]:
        show_problems([f"There is no run called {', '.join(map(quoted, gone[:3]))} here; the others are shown."])
    usual = default_overlay(known)
    first = [name for name in named if name in known][:MAX_OVERLAY_RUNS] or usual
    picked = st.multiselect(
        "Networks",
        list(known),
        default=first,
        format_func=lambda name: known[name].title,
        max_selections=MAX_OVERLAY_RUNS,
        key="overlay runs",
    )
    write_params({OVERLAY_PARAM: ",".join(picked)} if picked and picked != usual else {}, [OVERLAY_PARAM])
    return [known[name] for name in picked]


def default_overlay(known: dict[str, Run]) -> list[str]:
    """The plain network and the one with dropout; where another one is selected, that one too."""
    names = [name for name in DEFAULT_OVERLAY if name in known] or list(known)[:2]
    experiment = selected_network.selected_experiment()
    run = cache.find_run(experiment) if experiment else None
    return names if run is None or run.name not in known or run.name in names else [*names, run.name]
