"""Which regularizer would you trust? The report's ten models, its figures beside ours, and whatever else was trained.

A model that is not trained yet says so and leaves its place empty. Every sentence is computed from the figures.
"""

from collections.abc import Sequence

import streamlit as st

from cnnlab.rendering import charts, curve_summary, palette
from cnnlab.report import (
    ModelResults,
    ReportRow,
    check_conclusions,
    describe_uncertainty,
    duration,
    percent,
    points,
    report_rows,
)
from cnnlab.storage.runs import Run
from cnnlab.ui import app_shell, cache, selected_network
from cnnlab.ui.selection import EXPERIMENT_PARAMS, SELECTION_PARAMS, experiment_params, quoted, write_params
from cnnlab.ui.state import session_key, url_param

MISSING = "not trained yet"
MAX_OVERLAY_RUNS = 8  # runs in one chart that can still be told apart
OVERLAY_HEIGHT, LEGEND_ROW = 290, 32  # pixels of the plot with its axis, and of one row of the legend
OVERLAY_PARAM = url_param("add")  # the word of the address that names added runs
TRAINING_MEASURES = {"reported": "as Keras reports it", "measured": "measured like validation"}
SESSION_MEASURE = session_key("compare.measure")  # which training accuracy is drawn
MEASURE_EXPLANATION = (
    "Keras, and so the report, counts while it trains, with dropout on, which makes dropout's gap look smaller. The "
    "other way, that of the page Train, asks the network as it is used."
)
DEFAULT_OVERLAY = ("3conv-none", "3conv-dropout")  # in the overlay, until somebody chooses
STYLE = """<style>[class*=st-key-table] { overflow-x: auto; }
[class*=st-key-table] td { white-space: nowrap; }</style>"""  # on a phone the table scrolls, not the page


def page() -> None:
    """Draw it."""
    st.title("Which network would you trust?", anchor=False)
    st.caption(
        "The most accurate one on new pictures, or the one whose training figure you can believe: the smallest gap."
    )
    write_params({}, [*SELECTION_PARAMS, *EXPERIMENT_PARAMS])
    table = report_rows()
    eight = [row for row in table if row.model.experiment.split == "validation"]
    final = [row for row in table if row.model.experiment.split == "test"]
    st.session_state.setdefault(SESSION_MEASURE, "reported")
    st.segmented_control(
        "Training accuracy",
        list(TRAINING_MEASURES),
        format_func=TRAINING_MEASURES.__getitem__,
        required=True,
        key=SESSION_MEASURE,
    )
    rankings(eight)
    conclusions(table, inference_mode=st.session_state[SESSION_MEASURE] == "measured")
    st.html(STYLE)
    st.header("Table 1: eight networks, 40,000 images to learn from", anchor=False)
    results_table(eight, "Validation")
    panels(eight)
    st.header("Table 2: the final two, 50,000 images, measured on the test set", anchor=False)
    results_table(final, "Test")
    panels(final)
    overlay(eight)


# -- who is first ------------------------------------------------------------------------------------------------------


def rankings(eight: Sequence[ReportRow]) -> None:
    """The eight by validation accuracy and by gap, each with the sentence that the bars amount to."""
    trained = [row for row in eight if row.ours]
    if len(trained) < len(eight):
        st.info(f"{len(trained)} of the report's eight networks are trained here; the others join as they finish.")
    if not trained:
        return
    left, right = st.columns(2, gap="large")
    with left:
        values = [row.ours.validation for row in trained if row.ours]
        ranking("By validation accuracy", trained, values, [row.report.validation for row in trained], as_points=False)
    with right:
        values = [selected_gap(row.ours) for row in trained if row.ours]
        ranking("By gap, in points", trained, values, [row.report.gap for row in trained], as_points=True)
    st.caption(
        "Bars are ours after the last epoch, the line across a bar is the report's figure. The gap is training"
        f" accuracy, {TRAINING_MEASURES[str(st.session_state[SESSION_MEASURE])]}, minus validation."
        f" {MEASURE_EXPLANATION}"
    )
    st.caption(describe_uncertainty(trained))


def selected_gap(ours: ModelResults) -> float:
    """The gap after the last epoch, with the training accuracy that was chosen."""
    return ours.inference_gap if st.session_state[SESSION_MEASURE] == "measured" else ours.gap


def ranking(
    title: str, rows: Sequence[ReportRow], values: list[float], report: list[float], *, as_points: bool
) -> None:
    """One of the two: a heading, a sentence, bars."""
    names = [row.title for row in rows]
    kinds = [row.model.experiment.regularizer for row in rows]
    st.subheader(title, anchor=False)
    st.write(best_sentence(names, values, report, as_points=as_points))
    words = charts.describe_ranking(names, values, as_points)
    spec = charts.ranking_chart(names, values, kinds, report, as_points)
    st.vega_lite_chart(spec=spec, alt=words, key=f"ranking {title}")


def best_sentence(names: Sequence[str], values: Sequence[float], report: Sequence[float], *, as_points: bool) -> str:
    """Who leads in ours and in the report: the highest accuracy, or (`as_points`) the smallest gap."""
    choose = min if as_points else max
    first = choose(range(len(names)), key=lambda index: values[index])
    theirs = choose(range(len(names)), key=lambda index: report[index])
    show = points if as_points else percent
    told = f"**{names[first]}** has the {'smallest gap' if as_points else 'highest accuracy'}, {show(values[first])}"
    if theirs == first:
        return f"{told}; it leads in the report too, with {show(report[theirs])}."
    return f"{told}; in the report it is {names[theirs]}, with {show(report[theirs])}."


def conclusions(table: Sequence[ReportRow], inference_mode: bool) -> None:
    """What the report concludes, tested on our figures; `measured`: with training accuracy measured like validation."""
    signs = {True: (":material/check_circle:", "holds"), False: (":material/cancel:", "does not hold")}
    lines = []
    for found in check_conclusions(table, inference_mode):
        sign, said = (":material/hourglass_empty:", "cannot be said yet") if found.ours is None else signs[found.ours]
        own = "" if found.report else " (the report's own figures do not say so either)"
        claim = found.claim[0].upper() + found.claim[1:]
        lines.append(f"- {sign} **{said}**: {claim}{own}. :gray[{found.evidence}]")
    with st.expander("What the report concludes, and whether it holds in our runs", expanded=True):
        st.markdown("\n".join(lines))


# -- tables ------------------------------------------------------------------------------------------------------------


def results_table(rows: Sequence[ReportRow], measured: str) -> None:
    """Ours beside the report's, as a table that scrolls by itself on a phone."""
    columns: dict[str, list[str]] = {
        "#": [row.model.number.removeprefix("final ") for row in rows],
        "Network": [row.title for row in rows],
        "Training: report": [percent(row.report.train) for row in rows],
        "ours": [percent(row.ours.train) if row.ours else MISSING for row in rows],
        f"{measured}: report": [percent(row.report.validation) for row in rows],
        "ours, last epoch": [percent(row.ours.validation) if row.ours else MISSING for row in rows],
        "ours, best": [percent(row.ours.best_validation) if row.ours else "" for row in rows],
        "difference": [difference(row) for row in rows],
        "Time: report": [duration(row.report.seconds) for row in rows],
        "ours ": [duration(row.ours.seconds) if row.ours else "" for row in rows],
    }
    heads = list(columns)
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * 2}{'---:|' * (len(heads) - 2)}"]
    lines += [f"| {' | '.join(cells)} |" for cells in zip(*columns.values(), strict=True)]
    with st.container(key=f"table{len(rows)}"):
        st.markdown("\n".join(lines))
    st.caption(
        "Training accuracy as Keras reports it. Difference: ours after the last epoch minus the report's. "
        f"{devices(rows)}"
    )


def difference(row: ReportRow) -> str:
    """Our accuracy minus the report's."""
    return points(row.ours.validation - row.report.validation, sign=True) if row.ours else ""


def devices(rows: Sequence[ReportRow]) -> str:
    """On what machines ours were trained, said once."""
    found = [cache.find_run(row.model.experiment) for row in rows if row.ours]
    names = sorted({str(cache.record(run).get("device")) for run in found if run and cache.record(run).get("device")})
    return f"The report's times are on a Colab GPU, ours on {'; '.join(names)}." if names else ""


# -- curves ------------------------------------------------------------------------------------------------------------


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
        app_shell.page_link("train", f"{MISSING.capitalize()}: train it", experiment_params(row.model.experiment))
        return
    spec = charts.panel_chart(history, row.model.experiment.epochs, reported)
    st.vega_lite_chart(
        spec=spec, alt=curve_summary.describe_accuracy(history, row.title), key=f"panel {row.model.name}"
    )
    if run.state != "done":
        st.caption(f"{run.state}, epoch {history['epoch'][-1]:.0f} of {run.experiment.epochs}")


def overlay(eight: Sequence[ReportRow]) -> None:
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
    st.markdown("**Validation accuracy**")
    if len({run.experiment.dataset for run in chosen}) > 1:
        st.caption("Some were trained on CIFAR-10 and some on Shapes: compare how they run, not how high they come.")
    longest = max(run.experiment.epochs for run in chosen)
    words = " ".join(curve_summary.describe_accuracy(history, name) for name, history in named.items())
    spec = charts.overlay_chart(named, colours, longest)
    spec["height"] = OVERLAY_HEIGHT + LEGEND_ROW * len(chosen)  # the legend lies below the plot, within this height
    st.vega_lite_chart(spec=spec, alt=words, key="overlay")


def choose_runs(known: dict[str, Run]) -> list[Run]:
    """The runs to draw, kept in the address; a name that is no run any more is left out, and said."""
    named = [name for name in st.query_params.get(OVERLAY_PARAM, "").split(",") if name]
    if gone := [name for name in named if name not in known]:
        st.warning(f"There is no run called {', '.join(map(quoted, gone[:3]))} here; the others are shown.")
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
