"""The learning curves of the report's networks: one chart of small panels, bands over the seeds, one hover for all."""

from collections.abc import Sequence

import streamlit as st

from cnnlab.array_types import History
from cnnlab.explanations.curves import describe_seed_panels
from cnnlab.explanations.series_table import MOVING_AVERAGES
from cnnlab.pages.compare.measures import TRAINING_MEASURES, chosen_measure, is_reported
from cnnlab.pages.compare.results import Results
from cnnlab.pages.compare.tables import missing_result
from cnnlab.regularizers import REGULARIZERS
from cnnlab.rendering import palette
from cnnlab.rendering.charts import Spec
from cnnlab.rendering.compare_charts import CurvePanel, learning_curves_chart
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.report import ReportRow
from cnnlab.report_models import REPORT
from cnnlab.storage.runs import Run
from cnnlab.ui import app_shell, cache, query_state
from cnnlab.ui.browser_values import clicked_point
from cnnlab.ui.chart_download import chart_with_download
from cnnlab.ui.experiment_params import experiment_params
from cnnlab.ui.network_links import result_params
from cnnlab.ui.state import url_param

CURVES_PARAM = url_param("curves")
CURVES = {"accuracy": "accuracy", "loss": "loss"}


def learning_curves(results: Results, *, with_test: bool = True) -> None:
    """The eight; then, `with_test`, the final two, which are measured on the test images."""
    st.header("What do the learning curves say?", anchor=False)
    query_state.segmented_param(CURVES_PARAM, "Curves of", CURVES)
    for split in ("validation", "test") if with_test else ("validation",):
        panels(results, split)


def panels(results: Results, split: str) -> None:
    """One panel a network with a run, in the report's order; the others are links to their training."""
    rows = [row for row in results.rows if row.model.experiment.split == split]
    what = query_state.read_option(CURVES_PARAM, CURVES)
    finished = {row.model.name: found for row in rows if (found := results.series_runs[row.model.name])}
    so_far = {row.model.name: [run] for row in rows if row.model.name not in finished and (run := run_so_far(row))}
    drawn = {row.model.name: trained for row in rows if (trained := (finished | so_far).get(row.model.name))}
    if drawn:
        training = TRAINING_MEASURES[chosen_measure()]
        seeds = {name: len(found) for name, found in drawn.items()}
        band = describe_band(list(seeds.values()))
        st.html(palette.legend_html(f"training, {training}", split, band=band))
        moments = cache.modified_times(runs[0].path / "history.csv" for runs in so_far.values())
        spec, words = panels_chart(tuple(drawn), results.key, moments, what, is_reported(), split, drawn)
        event = chart_with_download(
            spec, alt=words, key=f"curves {split}", name=f"learning curves {what} {split}",
            title=f"{what}: blue, training, {training}; red, {split}; ring, best epoch{'; ' if band else ''}{band}",
            on_select="rerun", selection_mode="pick",
        )  # fmt: skip
        open_picked(event, rows)
        if any(REGULARIZERS[REPORT[name].experiment.regularizer].layer_kind == "bn" for name in drawn):
            st.caption(MOVING_AVERAGES)
    for row in rows:
        if row.model.name not in drawn:
            label = f"{row.title}: {missing_result(row)}, train it"
            app_shell.page_link("train", label, experiment_params(row.model.experiment))
        elif row.model.name in so_far:
            run = so_far[row.model.name][0]
            done = run.record.epochs_done
            st.caption(f"{row.title}: {escape_markdown(run.state)}, epoch {done} of {run.experiment.epochs}")


def run_so_far(row: ReportRow) -> Run | None:
    """The run of a model without a finished one, if it has a history."""
    run = cache.find_run(row.model.experiment)
    return run if run and len(cache.history(run)["epoch"]) else None


@st.cache_resource(max_entries=8, show_spinner=False)
def panels_chart(
    names: tuple[str, ...],
    finished: str,
    moments: str,
    what: str,
    reported: bool,
    split: str,
    _drawn: dict[str, list[Run]],
) -> tuple[Spec, str]:
    """The chart of these models and its alt text: built anew where a training has ended, or an epoch of the others."""
    panels = [
        CurvePanel(
            name=name,
            title=panel_title(name),
            color=palette.REGULARIZER_COLORS[REPORT[name].experiment.regularizer],
            histories=[cache.history(run) for run in _drawn[name]],
        )
        for name in names
    ]
    epochs = max(REPORT[name].experiment.epochs for name in names)
    words = describe_seed_panels(panels_by_title(panels), what, split)
    return learning_curves_chart(panels, what, epochs, reported, split), words


def panels_by_title(panels: Sequence[CurvePanel]) -> dict[str, list[History]]:
    """The histories of each panel by its title."""
    return {panel.title: list(panel.histories) for panel in panels}


def panel_title(name: str) -> str:
    """'7: 3-conv, dropout 0.1'."""
    model = REPORT[name]
    return f"{model.number}: {model.experiment.depth}-conv, {model.experiment.regularizer_title}"


def describe_band(seeds: Sequence[int]) -> str:
    """What the band is, with the number of seeds; '' where there is one seed only."""
    if max(seeds) < 2:
        return ""
    count = f"{max(seeds)}" if min(seeds) == max(seeds) else f"{min(seeds)} to {max(seeds)}"
    return f"mean of {count} seeds, band: smallest to largest"


def open_picked(event: object, rows: Sequence[ReportRow]) -> None:
    """Open the network whose panel was clicked on the page Train."""
    name = clicked_point(event, "pick").get("network")
    page = st.session_state.get(app_shell.SESSION_PAGES, {}).get("train")
    experiment = next((row.model.experiment for row in rows if row.model.name == name), None)
    if page and experiment:
        st.switch_page(page, query_params=result_params(experiment))
