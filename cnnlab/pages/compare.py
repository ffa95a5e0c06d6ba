"""Which regularizer would you trust? The report's ten models, its figures beside ours, and whatever else was trained.

A model that is not trained yet says so and leaves its place empty. Every sentence is computed from the figures.
"""

from collections.abc import Sequence

import streamlit as st

from cnnlab.claims import Verdict, check_claims
from cnnlab.explanations import curves
from cnnlab.explanations.conclusions import best_sentence, describe_claim, describe_uncertainty, describe_verdict
from cnnlab.explanations.series_table import describe_intervals, describe_series, series_table
from cnnlab.formatting import exact_duration, percent, points
from cnnlab.rendering import charts, palette
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.report import ModelResults, ReportRow
from cnnlab.series_results import series_results
from cnnlab.storage.runs import Run
from cnnlab.ui import app_shell, cache, damaged_runs, selected_network
from cnnlab.ui.selection import (
    EXPERIMENT_PARAMS,
    SELECTION_PARAMS,
    experiment_params,
    quoted,
    show_problems,
    write_params,
)
from cnnlab.ui.state import session_key, url_param

MISSING, DAMAGED = "not trained yet", "damaged"
MAX_OVERLAY_RUNS = 8  # runs in one chart that can still be told apart
OVERLAY_HEIGHT, LEGEND_ROW = 290, 32  # pixels of the plot with its axis, and of one row of the legend
OVERLAY_PARAM = url_param("add")  # the word of the address that names added runs
TRAINING_MEASURES = {"measured": "after the epoch, dropout off", "reported": "averaged during the epoch (Keras)"}
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
        "The most accurate one on new pictures, or the one whose training figure you can believe: the smallest gap. "
        "*The report* is a lab report on CIFAR-10 whose ten networks are trained again here."
    )
    write_params({}, [*SELECTION_PARAMS, *EXPERIMENT_PARAMS])
    damaged_runs.damaged_runs_notice()
    table = cache.report_rows()
    eight = [row for row in table if row.model.experiment.split == "validation"]
    final = [row for row in table if row.model.experiment.split == "test"]
    st.session_state.setdefault(SESSION_MEASURE, "measured")
    st.segmented_control(
        "Training accuracy",
        list(TRAINING_MEASURES),
        format_func=TRAINING_MEASURES.__getitem__,
        required=True,
        key=SESSION_MEASURE,
    )
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
    overlay(eight)


def evidence(table: Sequence[ReportRow]) -> None:
    """Every model's mean over its seeds and its difference from the plain network, with intervals."""
    results = series_results(table)
    if not results:
        return
    st.header("Does regularization help?", anchor=False)
    st.write(describe_series(results))
    with st.container(key="table_series"):
        st.markdown(series_table(results))
    st.caption(describe_intervals(results))


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
        report = [row.report.gap for row in trained] if is_reported() else None
        ranking("By gap, in points", trained, values, report, as_points=True)
    st.caption(
        "Bars are ours after the last epoch, the line across a bar is the report's figure of the same measure. The gap"
        f" is training accuracy, {TRAINING_MEASURES[str(st.session_state[SESSION_MEASURE])]}, minus validation."
        f" {MEASURE_EXPLANATION}"
    )
    st.caption(describe_uncertainty(trained))


def is_reported() -> bool:
    """Whether the training accuracy is chosen as Keras reports it, which is how the report measured."""
    return bool(st.session_state[SESSION_MEASURE] == "reported")


def selected_gap(ours: ModelResults) -> float:
    """The gap after the last epoch, with the training accuracy that was chosen."""
    return ours.gap if is_reported() else ours.inference_gap


def ranking(
    title: str, rows: Sequence[ReportRow], values: list[float], report: list[float] | None, *, as_points: bool
) -> None:
    """One of the two: a heading, a sentence, bars."""
    names = [row.title for row in rows]
    kinds = [row.model.experiment.regularizer for row in rows]
    st.header(title, anchor=False)
    st.write(best_sentence(names, values, report, as_points=as_points))
    words = charts.describe_ranking(names, values, as_points)
    spec = charts.ranking_chart(names, values, kinds, report, as_points)
    st.vega_lite_chart(spec=spec, alt=words, key=f"ranking {title}")


VERDICT_ICONS = {
    Verdict.HOLDS: "check_circle",
    Verdict.MOSTLY: "check",
    Verdict.UNDECIDED: "help",
    Verdict.TOO_WIDE: "help",
    Verdict.DEPENDS: "balance",
    Verdict.FAILS: "cancel",
    Verdict.MISSING: "hourglass_empty",
}


def conclusions(table: Sequence[ReportRow]) -> None:
    """What the report concludes, each with the verdict of our runs and its evidence."""
    lines = []
    for result in check_claims(table):
        claim = result.claim[0].upper() + result.claim[1:]
        icon = f":material/{VERDICT_ICONS[result.verdict]}:"
        lines.append(f"- {icon} **{describe_verdict(result)}**: {claim}. :gray[{describe_claim(result)}]")
    with st.expander("What the report concludes, and whether it holds in our runs", expanded=True):
        st.markdown("\n".join(lines))


# -- tables ------------------------------------------------------------------------------------------------------------


def results_table(rows: Sequence[ReportRow], measured: str) -> None:
    """Ours beside the report's, as a table that scrolls by itself on a phone."""
    columns: dict[str, list[str]] = {
        "#": [row.model.number.removeprefix("final ") for row in rows],
        "Network": [row.title for row in rows],
        "Training: report": [percent(row.report.train, 2) for row in rows],
        "ours": [percent(row.ours.train, 2) if row.ours else missing_result(row) for row in rows],
        f"{measured}: report": [percent(row.report.validation, 2) for row in rows],
        "ours, last epoch": [percent(row.ours.validation, 2) if row.ours else missing_result(row) for row in rows],
        "difference": [difference(row) for row in rows],
        "ours, best epoch": [percent(row.ours.best_validation, 2) if row.ours else "" for row in rows],
        "difference ": [best_difference(row) for row in rows],
        "Wall time: report": [exact_duration(row.report.seconds) for row in rows],
        "ours ": [exact_duration(row.ours.seconds) if row.ours else "" for row in rows],
    }
    heads = list(columns)
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * 2}{'---:|' * (len(heads) - 2)}"]
    lines += [f"| {' | '.join(cells)} |" for cells in zip(*columns.values(), strict=True)]
    with st.container(key=f"table{len(rows)}"):
        st.markdown("\n".join(lines))
    st.caption(
        'Training accuracy as Keras reports it. The report heads its columns "Best Training Accuracy" and "Best'
        ' Validation Accuracy" without saying whether of the last epoch or of any: both readings are shown, each with'
        f" its difference, ours minus the report's. {best_epoch_note(measured)} {time_note(rows)}"
    )


def best_epoch_note(measured: str) -> str:
    """Why the accuracy of the best epoch is too high."""
    chosen = "the test images, which are for the end only" if measured == "Test" else "the same validation images"
    return f"The best epoch was chosen on {chosen}, so its accuracy is too high."


def missing_result(row: ReportRow) -> str:
    """Why there is no figure of ours: 'not trained yet' or 'damaged'."""
    run = cache.find_run(row.model.experiment)
    return DAMAGED if run and run.state == "damaged" else MISSING


def difference(row: ReportRow) -> str:
    """Our accuracy after the last epoch minus the report's."""
    return points(row.ours.validation - row.report.validation, sign=True) if row.ours else ""


def best_difference(row: ReportRow) -> str:
    """Our accuracy of the best epoch minus the report's."""
    return points(row.ours.best_validation - row.report.validation, sign=True) if row.ours else ""


def time_note(rows: Sequence[ReportRow]) -> str:
    """On what machines ours were trained, and that their times are not to be compared."""
    found = [cache.find_run(row.model.experiment) for row in rows if row.ours]
    names = sorted({run.record.device for run in found if run and run.record.device})
    if not names:
        return ""
    return (
        f"The report's times are on a Colab GPU, ours on {escape_markdown('; '.join(names))}, where other work may have"
        " run beside them: they say how long it took, not which network is faster."
    )


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
