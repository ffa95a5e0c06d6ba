"""The chosen runs as a table and as CSV: seed, accuracies with intervals, gap, seconds, device."""

from collections.abc import Sequence

from cnnlab.analysis.curve_summary import summarize_curves
from cnnlab.analysis.statistics import accuracy_interval, generalization_gap
from cnnlab.explanations.intervals import format_interval
from cnnlab.formatting import csv_text, duration, percent
from cnnlab.storage.history_file import HISTORY_COLUMNS
from cnnlab.storage.run import Run

HEADS = (
    "run",
    "seed",
    "epochs",
    "training accuracy, dropout off",
    "measured on",
    "accuracy (95 % interval)",
    "gap (95 % interval)",
    "time",
    "device",
    "data",
)


def run_rows(runs: Sequence[Run]) -> list[list[str]]:
    """The cells under HEADS, a row a run. Raises DamagedRun."""
    return [run_row(run) for run in runs]


def run_row(run: Run) -> list[str]:
    """The row of one run; the intervals are chance of the images, not of the seed."""
    experiment, record, summary = run.experiment, run.record, summarize_curves(run.history())
    if summary is None:
        return [run.title, str(experiment.seed), "0", *[""] * 7]
    accuracy = accuracy_interval(summary.validation, experiment.validation_images)
    images = (experiment.train_eval_images, experiment.validation_images)
    gap = generalization_gap(summary.training, images[0], summary.validation, images[1])
    return [
        run.title,
        str(experiment.seed),
        str(summary.epoch),
        percent(summary.training, 1),
        f"{experiment.validation_images:,} {experiment.split} images",
        f"{percent(summary.validation, 1)} ({format_interval(accuracy)})",
        f"{100 * gap.value:.1f} points ({format_interval(gap)})",
        duration(record.seconds),
        record.device or "unknown",
        (record.fingerprint or "unknown")[:12],
    ]


def results_csv(runs: Sequence[Run]) -> str:
    """The table of the chosen runs as the text of a CSV file."""
    return csv_text([HEADS, *run_rows(runs)])


def history_csv(run: Run) -> str:
    """The history of a run as CSV, HISTORY_COLUMNS; empty where a figure does not exist."""
    history = run.history()
    rows = zip(*(history[name] for name in HISTORY_COLUMNS), strict=True)
    figures = (["" if value != value else f"{value:g}" for value in row] for row in rows)  # NaN
    return csv_text([HISTORY_COLUMNS, *figures])
