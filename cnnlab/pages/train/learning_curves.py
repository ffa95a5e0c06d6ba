"""The verdict, the three figures and the learning curves of a run, finished or live."""

import streamlit as st

from cnnlab import formatting
from cnnlab.analysis import curve_summary
from cnnlab.array_types import History
from cnnlab.experiment import Experiment
from cnnlab.explanations import curves, sweeps
from cnnlab.regularizers import REGULARIZERS
from cnnlab.rendering import charts, palette, sweep_charts
from cnnlab.sweep_results import early_stopping, label_noise_result
from cnnlab.ui import cache

LIVE_CHART_NOTE = " while it trains; the figures above it are those of the last epoch"


def summary_metrics(experiment: Experiment, history: History) -> None:
    """The verdict in one sentence, and its three figures: training accuracy, validation accuracy, gap."""
    reading = curve_summary.summarize_curves(history)
    if reading is None:
        return
    st.header(curves.verdict(reading, experiment, plain_summary(experiment)), anchor=False)
    with st.container(horizontal=True):
        st.metric("Training accuracy", formatting.percent(reading.training, 1), width=155)
        st.metric(f"{evaluation_set(experiment)} accuracy", formatting.percent(reading.validation, 1), width=155)
        st.metric(", ".join(filter(None, ("Gap", reading.trend))), formatting.points(reading.gap), width=155)
    st.caption(curves.describe_interval(experiment))


def plain_summary(experiment: Experiment) -> curve_summary.CurveSummary | None:
    """The figures of the same network without a regularizer, where it has finished."""
    run = cache.find_run(experiment.without_regularizer())
    return curve_summary.summarize_curves(cache.history(run)) if run and run.state == "done" else None


def evaluation_set(experiment: Experiment) -> str:
    """The name of the images that the red curve is measured on: "Validation" or "Test"."""
    return "Test" if experiment.split == "test" else "Validation"


def learning_curves(experiment: Experiment, history: History, live: bool = False) -> None:
    """The charts of accuracy and loss over the epochs, and that of the L2 penalty where there is one.

    A browser builds a chart anew when its alt text changes, so a live chart has a constant one.
    """
    title, epochs = experiment.title, experiment.epochs
    regularizer = REGULARIZERS[experiment.regularizer]
    off = "dropout off" if regularizer.layer_kind == "dropout" else "after the epoch"
    measured = f"training ({off}, first {experiment.train_eval_images:,} images)"
    reported = f"training, averaged during the epoch (Keras, {regularizer.reported_accuracy})"
    st.html(palette.legend_html(measured, evaluation_set(experiment).lower(), reported))
    left, right = st.columns(2)
    with left:
        st.markdown("**Accuracy**")
        words = (
            f"Accuracy of {title}, growing{LIVE_CHART_NOTE}"
            if live
            else curves.describe_accuracy(history, title, experiment.split)
        )
        st.vega_lite_chart(spec=charts.accuracy_chart(history, epochs), alt=words, key="accuracy")
    with right:
        st.markdown("**Loss**, without any penalty")
        words = (
            f"Loss of {title}, growing{LIVE_CHART_NOTE}"
            if live
            else curves.describe_loss(history, title, experiment.split)
        )
        st.vega_lite_chart(spec=charts.loss_chart(history, epochs), alt=words, key="loss")
    if experiment.label_noise and len(history["epoch"]):
        label_noise_curves(experiment, history)
    if sentence := curves.describe_penalty(history):
        left, right = st.columns(2, vertical_alignment="center")
        left.markdown(f"**L2 penalty**, on a scale of its own. {sentence}")
        words = f"L2 penalty of {title} over the epochs: the sentence beside it has its size"
        right.vega_lite_chart(spec=charts.penalty_chart(history, epochs), alt=words, key="penalty")


def label_noise_curves(experiment: Experiment, history: History) -> None:
    """The accuracies on clean and on changed labels over the epochs, and what stopping early would give."""
    evaluated = curve_summary.evaluated_epochs(history)
    result = label_noise_result(evaluated, experiment.train_eval_images)
    stop = early_stopping(evaluated)
    words = sweeps.describe_label_noise(result)
    st.markdown(f"**Clean and changed labels**. {words}")
    st.html(palette.label_noise_legend_html())
    st.vega_lite_chart(
        spec=sweep_charts.label_noise_chart(evaluated, experiment.epochs, stop),
        alt=f"Accuracies of {experiment.title} on clean and on changed labels over the epochs",
        key="label noise",
    )
    if stop and experiment.split == "validation":
        st.markdown(sweeps.describe_early_stopping(stop, experiment.validation_images))
