"""The verdict, the three figures and the learning curves of a run, finished or live."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from cnnlab import formatting
from cnnlab.analysis import curve_summary
from cnnlab.array_types import History
from cnnlab.experiment import Experiment
from cnnlab.explanations import curves, learning_verdict, sweeps
from cnnlab.pages.train.live_feature_maps import live_feature_maps
from cnnlab.regularizers import REGULARIZERS
from cnnlab.rendering import charts, palette, sweep_charts
from cnnlab.rendering.charts import Spec
from cnnlab.report import reestimated_accuracies
from cnnlab.settings import home
from cnnlab.storage import runs
from cnnlab.storage.history_file import REESTIMATED
from cnnlab.storage.runs import Run
from cnnlab.storage.series import Series, find_series, series_experiment
from cnnlab.sweep_results import early_stopping, label_noise_result
from cnnlab.ui import cache
from cnnlab.ui.chart_download import chart_with_download

LIVE_CHART_NOTE = " while it trains; the figures above it are those of the last epoch"


@dataclass(frozen=True)
class RunVerdict:
    """What a run came to: its figures, the verdict in words, and the rules by which it was found."""

    summary: curve_summary.CurveSummary | None
    words: str
    rules: str


def summary_metrics(run: Run, history: History) -> None:
    """The verdict in one sentence, and its three figures: training accuracy, validation accuracy, gap."""
    verdict, experiment = run_verdict(run, history), run.experiment
    summary = verdict.summary
    if summary is None:
        return
    st.header(formatting.keep_figures_whole(verdict.words), anchor=False)
    with st.container(horizontal=True):
        st.metric("Training accuracy", formatting.percent(summary.training, 1), width=155)
        st.metric(f"{evaluation_set(experiment)} accuracy", formatting.percent(summary.validation, 1), width=155)
        st.metric(", ".join(filter(None, ("Gap", summary.trend))), formatting.points(summary.gap), width=155)
    st.caption(verdict.rules)


def run_verdict(run: Run, history: History) -> RunVerdict:
    """The verdict on a run, computed once for all who look at it: again with each epoch, and every two seconds."""
    moments = cache.modified_times(run.path / name for name in ("history.csv", "record.json"))
    return _run_verdict(str(home()), moments, run, history)


@st.cache_resource(ttl=cache.LISTING_SECONDS, max_entries=64, show_spinner=False)
def _run_verdict(place: str, moments: str, _run: Run, _history: History) -> RunVerdict:
    summary, experiment = curve_summary.summarize_curves(_history), _run.experiment
    if summary is None:
        return RunVerdict(None, "", "")
    plain, reestimated = plain_summary(experiment), find_reestimated_summary(_run, _history, summary)
    reached = series_accuracy(experiment)
    words = learning_verdict.verdict(summary, experiment, plain, reached, reestimated)
    rules = (
        learning_verdict.describe_interval(experiment, has_margin="±" in words),
        learning_verdict.describe_rounding(summary),
        learning_verdict.describe_thresholds(experiment, plain),
        learning_verdict.describe_early_limit(words, experiment, reached),
    )
    return RunVerdict(summary, words, " ".join(filter(None, rules)))


def find_reestimated_summary(
    run: Run, history: History, summary: curve_summary.CurveSummary
) -> curve_summary.CurveSummary | None:
    """The figures of the last epoch with re-estimated batch normalization, None where they are not known."""
    evaluated, names = curve_summary.evaluated_epochs(history), ("train_eval_accuracy", "val_accuracy")
    figures = {name: float(evaluated[name + REESTIMATED][-1]) for name in names}
    if not np.isfinite(list(figures.values())).all():
        figures = reestimated_accuracies(run) if run.state == "done" else {}
    if not figures:
        return None
    return curve_summary.reestimated_summary(summary, *(figures[name] for name in names))


def plain_summary(experiment: Experiment) -> curve_summary.CurveSummary | None:
    """The figures of the same network without a regularizer, where it has finished, here or as shipped results.

    Those of the same seed, else of the smallest seed that has finished.
    """
    plain = experiment.without_regularizer()
    run = runs.find_results(plain) or next(iter(finished_series(plain).runs.values()), None)
    return curve_summary.summarize_curves(cache.history(run)) if run else None


def finished_series(experiment: Experiment) -> Series:
    """The finished runs of the experiment, one for each seed, shipped or trained here."""
    return find_series(experiment, cache.finished_runs().runs)


def series_accuracy(experiment: Experiment) -> float | None:
    """The mean final validation accuracy of the finished runs of its series, of any seed; None without one."""
    reached = list(series_accuracies(experiment).values())
    return float(np.mean(reached)) if reached else None


def series_accuracies(experiment: Experiment) -> dict[int, float]:
    """The final validation (or test) accuracy of each finished seed of the experiment, shipped or trained here."""
    return _series_accuracies(series_experiment(experiment).key, cache.finished_runs().key, experiment)


@st.cache_resource(max_entries=64, show_spinner=False)
def _series_accuracies(series: str, finished: str, _experiment: Experiment) -> dict[int, float]:
    found = finished_series(_experiment).runs
    summaries = {seed: curve_summary.summarize_curves(cache.history(run)) for seed, run in found.items()}
    return {seed: summary.validation for seed, summary in summaries.items() if summary}


def evaluation_set(experiment: Experiment) -> str:
    """The name of the images that the red curve is measured on: "Validation" or "Test"."""
    return "Test" if experiment.split == "test" else "Validation"


def learning_curves(experiment: Experiment, history: History) -> None:
    """The charts of accuracy and loss over the epochs, and that of the L2 penalty where there is one."""
    curve_legend(experiment)
    left, right = st.columns(2)
    with left:
        st.markdown("**Accuracy**")
        words = curves.describe_accuracy(history, experiment.title, experiment.split)
        saved_chart(charts.accuracy_chart(history, experiment.epochs, experiment.split), experiment, "accuracy", words)
    with right:
        st.markdown("**Loss**, without any penalty")
        words = curves.describe_loss(history, experiment.title, experiment.split)
        saved_chart(charts.loss_chart(history, experiment.epochs, experiment.split), experiment, "loss", words)
    label_noise_curves(experiment, history)
    penalty_chart(experiment, history)


def saved_chart(spec: Spec, experiment: Experiment, what: str, words: str) -> None:
    """A finished chart that can be saved; its file says which line is which."""
    lines = f"blue, training; red dashed, {experiment.split}; dotted, training as Keras reports it"
    title = f"{experiment.title}, {what}: {lines}"
    chart_with_download(spec, alt=words, key=what, name=f"{what} {experiment.title}", title=title)


def live_curves(experiment: Experiment, history: History, run: Run) -> None:
    """The growing charts: accuracy beside the feature maps of one image, and loss below.

    A browser builds a chart anew when its alt text changes, so a live chart has a constant one.
    """
    curve_legend(experiment)
    left, right = st.columns(2)
    with left:
        st.markdown("**Accuracy**")
        words = f"Accuracy of {experiment.title}, growing{LIVE_CHART_NOTE}"
        st.vega_lite_chart(
            spec=charts.accuracy_chart(history, experiment.epochs, experiment.split), alt=words, key="accuracy"
        )
    with right:
        live_feature_maps(run)
    left, right = st.columns(2)
    with left:
        st.markdown("**Loss**, without any penalty")
        words = f"Loss of {experiment.title}, growing{LIVE_CHART_NOTE}"
        st.vega_lite_chart(spec=charts.loss_chart(history, experiment.epochs, experiment.split), alt=words, key="loss")
    with right:
        penalty_chart(experiment, history)


def curve_legend(experiment: Experiment) -> None:
    """The colors and dashes of the curves, and what each of them is measured on."""
    regularizer = REGULARIZERS[experiment.regularizer]
    off = "dropout off" if regularizer.layer_kind == "dropout" else "after the epoch"
    measured = f"training ({off}, first {experiment.train_eval_images:,} images)"
    reported = f"training, averaged during the epoch (Keras, {regularizer.reported_accuracy})"
    st.html(palette.legend_html(measured, evaluation_set(experiment).lower(), reported))


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
    split = experiment.split
    described = sweeps.describe_label_noise(result, experiment.dataset_info.class_count, split)
    st.markdown(f"**Clean and changed labels**. {described}")
    st.html(palette.label_noise_legend_html(split))
    chart_with_download(
        sweep_charts.label_noise_chart(evaluated, experiment.epochs, stop, split),
        alt=f"Accuracies of {experiment.title} on clean and on changed labels over the epochs",
        key="label noise",
        name=f"label noise {experiment.title}",
        title=f"{experiment.title}: {palette.label_noise_words(split)}",
    )
    if stop and split == "validation":
        st.markdown(sweeps.describe_early_stopping(stop, experiment.validation_images))
