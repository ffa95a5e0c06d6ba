"""The figures of a pinned page: maps of Look inside, charts of Compare, the confusion matrix of Mistakes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnnlab.analysis import metrics
from cnnlab.data import DatasetMissing
from cnnlab.explanations import curves, mistakes
from cnnlab.explanations.chart_descriptions import describe_ranking
from cnnlab.lesson_report.figures import Figure, chart_figure, maps_figure
from cnnlab.rendering import compare_charts, mistake_charts, palette
from cnnlab.report import ReportRow
from cnnlab.series_results import series_results
from cnnlab.storage import runs
from cnnlab.storage.run import Run, UnknownRun

MATRIX_HEIGHT = 480  # pixels
MAX_OVERLAY_RUNS = 8


def pinned_figures(content: Mapping[str, Any], table: Sequence[ReportRow]) -> list[Figure]:
    """The figures of a pin, from its page and parameters; none where its runs or images are gone.

    Those of the page Train are the curves of its run (`content.answer_figures`).
    """
    params = {name: str(value) for name, value in content.get("params", {}).items()}
    try:
        match content.get("page"):
            case "look_inside":
                return [maps_figure(runs.open_run(params.get("run", "3conv-dropout")), params)]
            case "compare":
                return compare_figures(params, table)
            case "mistakes":
                return [mistakes_figure(params)]
    except (UnknownRun, DatasetMissing, ValueError, IndexError, KeyError):
        pass
    return []


def compare_figures(params: Mapping[str, str], table: Sequence[ReportRow]) -> list[Figure]:
    """Both rankings with the pinned measure of the gap; the chart of several networks where the pin has chosen some."""
    reported = params.get("measure") == "reported"
    results = series_results(table, reported)
    figures = []
    for as_points in (False, True) if results else ():
        networks = [compare_charts.ranked_network(result, results, None, as_points) for result in results]
        names, values = [network.title for network in networks], [network.value for network in networks]
        caption = f"{'Gap' if as_points else 'Validation accuracy'}. {describe_ranking(names, values, as_points)}"
        caption += " Training accuracy: averaged during the epoch (Keras)." if as_points and reported else ""
        name = f"gap-{'reported' if reported else 'measured'}" if as_points else "validation-accuracy"
        figures.append(chart_figure(f"compare-{name}", caption, compare_charts.ranking_chart(networks, as_points)))
    added = [name for name in params.get("add", "").split(",") if name][:MAX_OVERLAY_RUNS]
    return figures + ([overlay_figure(added, params.get("show", "accuracy"))] if added else [])


def overlay_figure(names: Sequence[str], what: str) -> Figure:
    """The curves of these runs in one chart; `what` is accuracy, gap or loss. Raises UnknownRun, KeyError."""
    chosen = [runs.open_run(name) for name in names]
    histories = {run.title: run.history() for run in chosen}
    colors = [palette.REGULARIZER_COLORS[run.experiment.regularizer] for run in chosen]
    epochs = max(run.experiment.epochs for run in chosen)
    spec = compare_charts.overlay_chart(histories, colors, epochs, what, legend=True)
    describe = curves.describe_loss if what == "loss" else curves.describe_accuracy
    caption = " ".join(describe(histories[run.title], run.title, run.experiment.split) for run in chosen)
    return chart_figure(f"compare-{what}-{'-'.join(run.name for run in chosen)}"[:100], caption, spec)


def mistakes_figure(params: Mapping[str, str]) -> Figure:
    """The confusion matrix of the pinned network, or gains and losses by class against the one beside it.

    Raises UnknownRun, KeyError where a run has no test predictions, ValueError where they are of other images.
    """
    run = runs.open_run(params.get("run", "final-3conv-dropout"))
    classes = run.experiment.dataset_info.classes
    logits, labels, predictions = test_predictions(run)
    if params.get("versus"):
        other = runs.open_run(params["versus"])
        groups = metrics.compare_predictions(predictions, test_predictions(other)[2])
        caption = mistakes.comparison_headline(
            *mistakes.distinguishing_titles(run.experiment, other.experiment), groups
        )
        spec = mistake_charts.outcome_chart(groups, predictions.true_class, classes)
        return chart_figure(f"mistakes-{run.name}-{other.name}", caption, spec)
    true_class, predicted = (params.get(name, "") for name in ("true_class", "predicted"))
    cell = (true_class if true_class in classes else "", predicted if predicted in classes else "")
    count = int(predictions.select(*(classes.index(name) if name else None for name in cell)).sum())
    caption = f"{mistakes.error_headline(run.title, predictions)}."
    caption += f" {mistakes.describe_selected_images(count, *cell)}." if any(cell) else ""
    table = metrics.confusion_matrix(logits, labels, len(classes))
    spec = mistake_charts.confusion_matrix_chart(table, classes, cell)
    return chart_figure(f"mistakes-{run.name}", caption, spec | {"height": MATRIX_HEIGHT})


def test_predictions(run: Run) -> tuple[np.ndarray, np.ndarray, metrics.Predictions]:
    """Logits, labels and predictions on the test images. Raises DamagedRun, KeyError without any."""
    kept = run.predictions()
    return kept["test"], kept["test_labels"], metrics.classify(kept["test"], kept["test_labels"])
