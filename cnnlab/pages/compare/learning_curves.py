"""The learning curves of the report's networks: one chart of small panels, bands over the seeds, one hover for all."""

from collections.abc import Sequence

import streamlit as st

from cnnlab.array_types import History
from cnnlab.explanations.curves import describe_seed_panels
from cnnlab.explanations.series_table import MOVING_AVERAGES
from cnnlab.pages.compare.measures import TRAINING_MEASURES, chosen_measure, is_reported
from cnnlab.pages.compare.tables import missing_result
from cnnlab.regularizers import REGULARIZERS
from cnnlab.rendering import palette
from cnnlab.rendering.charts import Spec
from cnnlab.rendering.compare_charts import CurvePanel, learning_curves_chart
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.report import ReportRow
from cnnlab.report_models import REPORT
from cnnlab.storage.runs import Run
from cnnlab.storage.series import find_series
from cnnlab.ui import app_shell, cache, query_state
from cnnlab.ui.chart_download import chart_with_download
from cnnlab.ui.experiment_params import experiment_params
from cnnlab.ui.network_links import result_params
from cnnlab.ui.state import url_param

CURVES_PARAM = url_param("curves")
CURVES = {"accuracy": "accuracy", "loss": "loss"}


def learning_curves(table: Sequence[ReportRow]) -> None:
    """The eight, then the final two, which are measured on the test images."""
    st.header("What do the learning curves say?", anchor=False)
    query_state.segmented_param(CURVES_PARAM, "Curves of", CURVES)
    for split in ("validation", "test"):
        panels([row for row in table if row.model.experiment.split == split], split)


def panels(rows: Sequence[ReportRow], split: str) -> None:
    """One panel a network with a run, in the report's order; the others are links to their training."""
    what = query_state.read_option(CURVES_PARAM, CURVES)
    drawn = {row.model.name: histories for row in rows if (histories := series_runs(row))}
    if drawn:
        training = TRAINING_MEASURES[chosen_measure()]
        seeds = {name: len(found) for name, found in drawn.items()}
        band = describe_band(list(seeds.values()))
        st.html(palette.legend_html(f"training, {training}", split, band=band))
        spec, words = panels_chart(tuple(drawn), moments(drawn), what, is_reported(), split, drawn)
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
        elif len(drawn[row.model.name]) == 1 and (run := drawn[row.model.name][0]).state != "done":
            done = run.record.epochs_done
            st.caption(f"{row.title}: {escape_markdown(run.state)}, epoch {done} of {run.experiment.epochs}")


def series_runs(row: ReportRow) -> list[Run]:
    """The finished runs of a model, one a seed; where there is none, its run so far if it has a history."""
    known = [*cache.list_runs(), *cache.shipped_seeds()]
    found = [run for run in find_series(row.model.experiment, known).runs.values() if len(cache.history(run)["epoch"])]
    if found:
        return found
    run = cache.find_run(row.model.experiment)
    return [run] if run and len(cache.history(run)["epoch"]) else []


def moments(drawn: dict[str, list[Run]]) -> str:
    """When each history was last written: the chart is built anew only where one was."""
    return cache.modified_times(run.path / "history.csv" for found in drawn.values() for run in found)


@st.cache_resource(max_entries=8, show_spinner=False)
def panels_chart(
    names: tuple[str, ...],
    when: str,
    what: str,
    reported: bool,
    split: str,
    _drawn: dict[str, list[Run]],
) -> tuple[Spec, str]:
    """The chart of these models and its alt text."""
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
    selection = getattr(event, "selection", None)
    picked = selection.get("pick") if selection else None
    name = str(picked[0].get("network", "")) if picked else ""
    page = st.session_state.get(app_shell.SESSION_PAGES, {}).get("train")
    params = {row.model.name: result_params(row.model.experiment) for row in rows}
    if page and name in params:
        st.switch_page(page, query_params=params[name])
