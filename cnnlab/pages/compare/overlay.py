"""Any networks in one chart: one's own beside the report's."""

import html
from collections.abc import Sequence

import streamlit as st

from cnnlab.explanations import curves
from cnnlab.formatting import quoted
from cnnlab.rendering import palette
from cnnlab.rendering.charts import Spec
from cnnlab.rendering.compare_charts import overlay_chart
from cnnlab.report_models import models_on
from cnnlab.storage.runs import Run
from cnnlab.ui import cache, control_locks, query_state, selected_network
from cnnlab.ui.chart_download import chart_with_download
from cnnlab.ui.page_address import write_params
from cnnlab.ui.selection import show_problems
from cnnlab.ui.state import url_param

MAX_OVERLAY_RUNS = 8  # runs in one chart that can still be told apart
OVERLAY_PARAM = url_param("add")  # the names of the added runs
DEFAULT_OVERLAY = ("3conv-none", "3conv-dropout")  # in the overlay, until somebody chooses
SHOW_PARAM = url_param("show")
OVERLAY_MEASURES = {"accuracy": "accuracy", "gap": "gap", "loss": "loss"}
LEGEND_STYLE = """<style>.runs div { display: flex; align-items: center; gap: 0.6rem; margin: 0.4rem 0; }
.runs i { flex: 0 0 42px; height: 3px; }</style>"""


def overlay(dataset: str) -> None:
    """The choice of runs and of what is drawn, the chart, and its legend at the side.

    At first two networks on this data set are drawn.
    """
    st.header("Put any networks into one chart", anchor=False)
    covered = ("test",) if control_locks.covers_test_results() else ()
    known = {name: run for name, run in cache.runs_with_curves().items() if run.experiment.split not in covered}
    if not known:
        st.write("Nothing is trained yet.")
        return
    chosen = choose_runs(known, dataset)
    if not chosen:
        return
    what = query_state.segmented_param(SHOW_PARAM, "Show", OVERLAY_MEASURES)
    if len(titles := list(dict.fromkeys(run.dataset_info.title for run in chosen))) > 1:
        st.caption(
            f"They were trained on {', '.join(titles[:-1])} and {titles[-1]}: compare the shapes of the curves, not"
            " their heights."
        )
    chart, side = st.columns([3, 1], vertical_alignment="center")
    with chart:
        st.markdown(f"**{overlay_measure(chosen, what)}**")
        draw(chosen, what)
    with side:
        st.html(legend_html(chosen))


def draw(chosen: Sequence[Run], what: str) -> None:
    """The chart of these runs, its axis where the data are."""
    moments = cache.modified_times(run.path / "history.csv" for run in chosen)
    spec, saved, words = overlay_charts(moments, what, chosen)
    title = overlay_measure(chosen, what)
    chart_with_download(spec, alt=words, key="overlay", name=f"{what} of networks", title=title, saved=saved)


@st.cache_resource(max_entries=32, show_spinner=False)
def overlay_charts(moments: str, what: str, _chosen: Sequence[Run]) -> tuple[Spec, Spec, str]:
    """The chart of these runs, the one with a legend for a file, and the alternative text.

    moments: the histories, each with the time of its last change.
    """
    named = {run.title: cache.history(run) for run in _chosen}
    colors = [palette.REGULARIZER_COLORS[run.experiment.regularizer] for run in _chosen]
    describe = curves.describe_loss if what == "loss" else curves.describe_accuracy
    words = " ".join(describe(named[run.title], run.title, run.experiment.split) for run in _chosen)
    epochs = max(run.experiment.epochs for run in _chosen)
    spec, saved = (overlay_chart(named, colors, epochs, what, legend) for legend in (False, True))
    return spec, saved, words


def legend_html(chosen: Sequence[Run]) -> str:
    """The line of each run, in its color and with its dashes, beside its title."""
    lines = []
    for index, run in enumerate(chosen):
        color = palette.REGULARIZER_COLORS[run.experiment.regularizer]
        line = f'<i style="background: {dash_gradient(color, palette.DASHES[index % len(palette.DASHES)])}"></i>'
        lines.append(f"<div>{line}<span>{html.escape(run.title)}</span></div>")
    return f'<div class="runs">{LEGEND_STYLE}{"".join(lines)}</div>'


def dash_gradient(color: str, dash: Sequence[int]) -> str:
    """A CSS background that looks like a line of these dashes and gaps in pixels; a gap of 0 is a solid line."""
    stops, end = [], 0
    for index, length in enumerate(dash):
        stops.append(f"{color if index % 2 == 0 else 'transparent'} {end}px {end + length}px")
        end += length
    return f"repeating-linear-gradient(90deg, {', '.join(stops)})"


def overlay_measure(chosen: Sequence[Run], what: str) -> str:
    """What the curves show: the runs with a test split are measured on the test images."""
    splits = " and ".join(sorted({run.experiment.split for run in chosen}, reverse=True))
    if what == "gap":
        return f"Gap in points: training accuracy (dropout off) minus {splits} accuracy"
    return f"{splits} {what}".capitalize()


def choose_runs(known: dict[str, Run], dataset: str) -> list[Run]:
    """The runs to draw, kept in the address; a name that is no run any more is left out, and said."""
    named = [name for name in st.query_params.get(OVERLAY_PARAM, "").split(",") if name]
    if gone := [name for name in named if name not in known]:
        show_problems([f"There is no run called {', '.join(map(quoted, gone[:3]))} here; the others are shown."])
    default = default_overlay(known, dataset)
    first = [name for name in named if name in known][:MAX_OVERLAY_RUNS] or default
    picked = st.multiselect(
        "Networks",
        list(known),
        default=first,
        format_func={name: run.title for name, run in known.items()}.__getitem__,
        max_selections=MAX_OVERLAY_RUNS,
        key=f"overlay runs {dataset}",  # one choice for each data set, whose defaults differ
    )
    defaults = available_default_overlay(known, dataset)
    is_default = not picked or picked == defaults  # else another session, with another network, draws others
    write_params({} if is_default else {OVERLAY_PARAM: ",".join(picked)}, [OVERLAY_PARAM])
    return [known[name] for name in picked]


def default_overlay(known: dict[str, Run], dataset: str) -> list[str]:
    """The default ones; where another network is selected, that one too."""
    names = available_default_overlay(known, dataset)
    experiment = selected_network.selected_experiment()
    run = cache.find_run(experiment) if experiment else None
    return names if run is None or run.name not in known or run.name in names else [*names, run.name]


def available_default_overlay(known: dict[str, Run], dataset: str) -> list[str]:
    """The plain network and the one with dropout, on this data set."""
    names = {run.experiment: name for name, run in reversed(known.items())}  # of two runs of one the first counts
    wanted = [models_on(dataset)[name].experiment for name in DEFAULT_OVERLAY]
    return [names[reference] for reference in wanted if reference in names] or list(known)[:2]
