"""The verdict, the three figures and the learning curves of a run, finished or live."""

import numpy as np
import streamlit as st

from cnnlab import formatting
from cnnlab.analysis import curve_summary
from cnnlab.array_types import History
from cnnlab.experiment import Experiment
from cnnlab.explanations import curves, sweeps
from cnnlab.pages.train.live_feature_maps import live_feature_maps
from cnnlab.regularizers import REGULARIZERS
from cnnlab.rendering import charts, palette, sweep_charts
from cnnlab.storage.runs import Run
from cnnlab.storage.series import find_series
from cnnlab.sweep_results import early_stopping, label_noise_result
from cnnlab.ui import cache

LIVE_CHART_NOTE = " while it trains; the figures above it are those of the last epoch"


def summary_metrics(experiment: Experiment, history: History) -> None:
    """The verdict in one sentence, and its three figures: training accuracy, validation accuracy, gap."""
    reading = curve_summary.summarize_curves(history)
    if reading is None:
        return
    verdict = curves.verdict(reading, experiment, plain_summary(experiment), series_accuracy(experiment))
    st.header(verdict, anchor=False)
    with st.container(horizontal=True):
        st.metric("Training accuracy", formatting.percent(reading.training, 1), width=155)
        st.metric(f"{evaluation_set(experiment)} accuracy", formatting.percent(reading.validation, 1), width=155)
        st.metric(", ".join(filter(None, ("Gap", reading.trend))), formatting.points(reading.gap), width=155)
    st.caption(curves.describe_interval(experiment))


def plain_summary(experiment: Experiment) -> curve_summary.CurveSummary | None:
    """The figures of the same network without a regularizer, where it has finished."""
    run = cache.find_run(experiment.without_regularizer())
    return curve_summary.summarize_curves(cache.history(run)) if run and run.state == "done" else None


def series_accuracy(experiment: Experiment) -> float | None:
    """The mean final validation accuracy of the finished runs of its series, of any seed; None without one."""
    summaries = (
        curve_summary.summarize_curves(cache.history(run))
        for run in find_series(experiment, cache.list_runs()).runs.values()
    )
    reached = [summary.validation for summary in summaries if summary]
    return float(np.mean(reached)) if reached else None


def evaluation_set(experiment: Experiment) -> str:
    """The name of the images that the red curve is measured on: "Validation" or "Test"."""
    return "Test" if experiment.split == "test" else "Validation"


def learning_curves(experiment: Experiment, history: History) -> None:
    """The charts of accuracy and loss over the epochs, and that of the L2 penalty where there is one."""
    curve_legend(experiment)
    left, right = st.columns(2)
    with left:
        accuracy_chart(experiment, history, curves.describe_accuracy(history, experiment.title, experiment.split))
    with right:
        loss_chart(experiment, history, curves.describe_loss(history, experiment.title, experiment.split))
    label_noise_curves(experiment, history)
    penalty_chart(experiment, history)


def live_curves(experiment: Experiment, history: History, run: Run) -> None:
    """The growing charts: accuracy beside the feature maps of one image, and loss below.

    A browser builds a chart anew when its alt text changes, so a live chart has a constant one.
    """
    curve_legend(experiment)
    left, right = st.columns(2)
    with left:
        accuracy_chart(experiment, history, f"Accuracy of {experiment.title}, growing{LIVE_CHART_NOTE}")
    with right:
        live_feature_maps(run)
    left, right = st.columns(2)
    with left:
        loss_chart(experiment, history, f"Loss of {experiment.title}, growing{LIVE_CHART_NOTE}")
    with right:
        penalty_chart(experiment, history)


def curve_legend(experiment: Experiment) -> None:
    """The colors and dashes of the curves, and what each of them is measured on."""
    regularizer = REGULARIZERS[experiment.regularizer]
    off = "dropout off" if regularizer.layer_kind == "dropout" else "after the epoch"
    measured = f"training ({off}, first {experiment.train_eval_images:,} images)"
    reported = f"training, averaged during the epoch (Keras, {regularizer.reported_accuracy})"
    st.html(palette.legend_html(measured, evaluation_set(experiment).lower(), reported))


def accuracy_chart(experiment: Experiment, history: History, alt: str) -> None:
    """The accuracies over the epochs."""
    st.markdown("**Accuracy**")
    st.vega_lite_chart(spec=charts.accuracy_chart(history, experiment.epochs), alt=alt, key="accuracy")


def loss_chart(experiment: Experiment, history: History, alt: str) -> None:
    """The losses over the epochs."""
    st.markdown("**Loss**, without any penalty")
    st.vega_lite_chart(spec=charts.loss_chart(history, experiment.epochs), alt=alt, key="loss")


def penalty_chart(experiment: Experiment, history: History) -> None:
    """The L2 penalty over the epochs, and its size in a sentence; nothing without a penalty."""
    if sentence := curves.describe_penalty(history):
        left, right = st.columns(2, vertical_alignment="center")
        left.markdown(f"**L2 penalty**, on a scale of its own. {sentence}")
        words = f"L2 penalty of {experiment.title} over the epochs: the sentence beside it has its size"
        right.vega_lite_chart(spec=charts.penalty_chart(history, experiment.epochs), alt=words, key="penalty")


def label_noise_curves(experiment: Experiment, history: History) -> None:
    """The accuracies on clean and on changed labels, and early stopping; nothing without label noise."""
    evaluated = curve_summary.evaluated_epochs(history)
    if not experiment.label_noise or not len(evaluated["epoch"]):
        return
    stop = early_stopping(evaluated)
    result = label_noise_result(evaluated, experiment.train_eval_images)
    st.markdown(
        f"**Clean and changed labels**. {sweeps.describe_label_noise(result, experiment.dataset_info.class_count)}"
    )
    st.html(palette.label_noise_legend_html())
    st.vega_lite_chart(
        spec=sweep_charts.label_noise_chart(evaluated, experiment.epochs, stop),
        alt=f"Accuracies of {experiment.title} on clean and on changed labels over the epochs",
        key="label noise",
    )
    if stop and experiment.split == "validation":
        st.markdown(sweeps.describe_early_stopping(stop, experiment.validation_images))
