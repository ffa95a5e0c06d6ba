"""The figures of one's own training on its images: the gap by both measures, validation and test, confused classes."""

import numpy as np

from cnnlab.analysis import metrics
from cnnlab.analysis.statistics import unpaired_difference
from cnnlab.comparison import gap_estimate
from cnnlab.explanations.intervals import format_signed_interval
from cnnlab.formatting import percent, points
from cnnlab.report import run_results
from cnnlab.storage.runs import Run

MAX_PAIRS = 3  # pairs of classes that are named


def gap(run: Run) -> str:
    """Training minus validation accuracy after the last epoch, in inference mode and as Keras reports it."""
    results = run_results(run)
    measured, reported = (gap_estimate(results, reported=reported) for reported in (False, True))
    dropout = " with dropout on" if run.experiment.regularizer == "dropout" else ""
    return (
        f"the gap is {points(measured.value)} (95 % interval {format_signed_interval(measured)}) with the training"
        f" accuracy after the last epoch, and {points(reported.value)} with the one that Keras reports, averaged during"
        f" that epoch{dropout} (one seed; the interval is chance of {measured.n[0]:,} training and {measured.n[1]:,}"
        " validation images)."
    )


def test(run: Run) -> str:
    """The accuracies of the last weights on the validation and on the test images, and their difference."""
    kept = run.predictions()
    shares = {name: metrics.accuracy(kept[name], kept[f"{name}_labels"]) for name in ("validation", "test")}
    images = {name: len(kept[name]) for name in shares}
    found = unpaired_difference(shares["test"], images["test"], shares["validation"], images["validation"])
    beyond = "beyond chance" if found.is_significant else "not beyond chance"
    return (
        f"{percent(shares['validation'], 1)} of {images['validation']:,} validation images and"
        f" {percent(shares['test'], 1)} of {images['test']:,} test images are correct: test minus validation"
        f" {points(found.value, sign=True)} (95 % interval {format_signed_interval(found)}, chance of both sets of"
        f" images; one seed), {beyond}."
    )


def confusion(run: Run) -> str:
    """The most frequent confusions of two classes on the validation images, with counts."""
    kept, classes = run.predictions(), run.dataset_info.classes
    table = metrics.confusion_matrix(kept["validation"], kept["validation_labels"], len(classes))
    wrong, total = int(table.sum() - np.trace(table)), int(table.sum())
    mistakes = table.copy()
    np.fill_diagonal(mistakes, 0)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:MAX_PAIRS]
    pairs = [(int(row), int(column)) for row, column in zip(*np.unravel_index(order, table.shape), strict=True)]
    listed = [
        f"{classes[truth]} predicted as {classes[guess]}, {table[truth, guess]} of {table[truth].sum()} images"
        for truth, guess in pairs
        if mistakes[truth, guess]
    ]
    told = f"{wrong:,} of {total:,} validation images are misclassified (one seed)."
    return f"{told} Most often: {'; '.join(listed)}." if listed else told
