"""The results of a sweep: sentences, charts, a table."""

from collections.abc import Sequence

import streamlit as st

from cnnlab.experiment import format_decimal
from cnnlab.explanations import sweeps as sentences
from cnnlab.explanations.chart_descriptions import describe_heat_map, describe_points
from cnnlab.explanations.strengths import describe_strengths
from cnnlab.formatting import percent
from cnnlab.rendering import palette, sweep_charts
from cnnlab.storage.run import Run
from cnnlab.sweep_results import LabelNoiseResult, PointResult, early_stopping, label_noise_result, sweep_results
from cnnlab.sweeps import Sweep, describe_value, sweep_name
from cnnlab.ui import cache
from cnnlab.ui.chart_download import chart_with_download
from cnnlab.ui.query_state import select_param
from cnnlab.ui.scrolling_table import scrolling_table
from cnnlab.ui.state import url_param

LEVEL_PARAM = url_param("noise")  # the share of replaced labels whose curves are drawn
COLUMN_WIDTH = 300  # pixels below which charts stand one below the other


def result_area(sweep: Sweep) -> None:
    """Everything that is known of the sweep."""
    results = sweep_results(sweep)
    if not results:
        return
    {"train_images": size_area, "strength": strength_area, "label_noise": noise_area}[sweep.kind](sweep, results)
    st.caption(sentences.describe_intervals(sweep, results))
    with st.expander("All figures"):
        table, figures = sentences.sweep_table(sweep, results), sentences.sweep_csv(sweep, results)
        scrolling_table(table, f"sweep_{sweep_name(sweep)}", figures)


# -- size and augmentation ---------------------------------------------------------------------------------------------


def size_area(sweep: Sweep, results: Sequence[PointResult]) -> None:
    """A panel of accuracy for each augmentation, and the gap of all in one chart."""
    st.markdown("\n".join(f"- {sentence}" for sentence in sentences.describe_sizes(sweep, results, cache.predictions)))
    lines = {
        describe_value("augment", augment): list(sentences.by_size(results, str(augment)).values())
        for augment in sweep.values("augment")
    }
    lines = {name: line for name, line in lines.items() if line}
    st.html(palette.legend_html("training", sweep.measured_on))
    with st.grid(3, min_column_width=COLUMN_WIDTH):
        for name, line in lines.items():
            with st.container():
                st.markdown(f"**Accuracy, {name}**")
                words = describe_points(line, "train_images", sweep.measured_on)
                spec = sweep_charts.accuracy_chart(line, sweep.measured_on)
                title = f"Accuracy, {name}: solid, training; dashed, {sweep.measured_on}; lines, 95 % intervals"
                chart_with_download(
                    spec, alt=f"Accuracy, {name}. {words}", key=f"accuracy {name}", name=f"accuracy {name}", title=title
                )
        with st.container():
            dashed = ": solid without, dashed with augmentation" if len(lines) > 1 else ""
            st.markdown(f"**Gap, in points**{dashed}")
            words = " ".join(
                f"{name}: {describe_points(line, 'train_images', sweep.measured_on)}" for name, line in lines.items()
            )
            title = f"Gap, in points{dashed}; lines, 95 % intervals"
            chart_with_download(
                sweep_charts.gap_chart(lines), alt=f"Gap. {words}", key="gap", name="gap by size", title=title
            )


# -- strength ----------------------------------------------------------------------------------------------------------


def strength_area(sweep: Sweep, results: Sequence[PointResult]) -> None:
    """Two heat maps: accuracy and gap by depth and strength."""
    st.markdown("\n".join(f"- {sentence}" for sentence in describe_strengths(sweep, results, cache.predictions)))
    with st.grid(2, min_column_width=COLUMN_WIDTH):
        for as_points, title in ((False, f"{sweep.measured_on.capitalize()} accuracy, in %"), (True, "Gap, in points")):
            with st.container():
                st.markdown(f"**{title}**: bright is better")
                words = describe_heat_map(results, as_points)
                chart_with_download(
                    sweep_charts.heat_map(results, as_points),
                    alt=words,
                    key=f"heat {as_points}",
                    name="gaps by strength" if as_points else "accuracies by strength",
                    title=f"{title}: bright is better, ± half the 95 % interval",
                )


# -- noisy labels ------------------------------------------------------------------------------------------------------


def noise_area(sweep: Sweep, results: Sequence[PointResult]) -> None:
    """The curves of one share of noisy labels, and what all shares end with."""
    by_share = {format_decimal(float(result.value("label_noise"))): result for result in results}
    noisy = [word for word, result in by_share.items() if result.value("label_noise")]
    first = noisy[len(noisy) // 2 :][:1]  # one in the middle
    options = {word: f"{percent(float(word))} of the labels replaced" for word in [*first, *by_share]}
    word = select_param(LEVEL_PARAM, "Share of replaced labels", options)
    run = by_share[word].first.run
    described = sentences.describe_label_noise(noise_result(run), run.dataset_info.class_count, sweep.measured_on)
    stop = early_stopping(cache.history(run))
    st.markdown(described)
    if stop and sweep.measured_on == "validation":
        st.markdown(sentences.describe_early_stopping(stop, run.experiment.validation_images))
    st.html(palette.label_noise_legend_html(sweep.measured_on))
    left, right = st.columns(2)
    with left:
        st.markdown(f"**Accuracy over the epochs**; the line marks the highest {sweep.measured_on} accuracy")
        chart_with_download(
            sweep_charts.label_noise_chart(cache.history(run), run.experiment.epochs, stop, sweep.measured_on),
            alt=described,
            key="noise curves",
            name="label noise over epochs",
            title=f"{options[word]}: {palette.label_noise_words(sweep.measured_on)}",
        )
    with right:
        noise_levels(results, sweep.measured_on)


def noise_levels(results: Sequence[PointResult], split: str) -> None:
    """What every share of noisy labels ends with; `split`: "validation" or "test"."""
    st.markdown("**After the last epoch**, by the share of replaced labels")
    levels = {float(result.value("label_noise")): noise_result(result.first.run) for result in results}
    classes = results[0].first.run.dataset_info.class_count
    words = " ".join(
        f"{percent(share)} replaced: {sentences.describe_label_noise(level, classes, split)}"
        for share, level in levels.items()
    )
    chart_with_download(
        sweep_charts.label_noise_levels_chart(levels, split),
        alt=words,
        key="noise levels",
        name="label noise after the last epoch",
        title=f"After the last epoch: {palette.label_noise_words(split)}",
    )


def noise_result(run: Run) -> LabelNoiseResult:
    """The accuracies of a finished run on clean and on changed labels after its last epoch."""
    return label_noise_result(cache.history(run), run.experiment.train_eval_images)
