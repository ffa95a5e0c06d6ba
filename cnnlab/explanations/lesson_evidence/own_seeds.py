"""One's own training beside the seeds that come with the program: what one seed can say and what it cannot."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from cnnlab.analysis.statistics import agreement, seed_mean
from cnnlab.datasets import DATASETS
from cnnlab.experiment import Experiment
from cnnlab.explanations.intervals import format_margin
from cnnlab.formatting import percent, pluralize, points
from cnnlab.report import LAST_EPOCHS
from cnnlab.report_models import models_on
from cnnlab.storage import runs
from cnnlab.storage.runs import REESTIMATED, Run
from cnnlab.storage.series import group_into_series, series_experiment

BATCHNORM = "batchnorm"


def accuracy(run: Run) -> str:
    """The validation accuracy beside the shipped seeds of the same network and of those it is compared with.

    Those are the regularizers for the plain network, else the plain network of the same depth.
    """
    own = _last_accuracy(run)
    told = (
        f"validation accuracy {percent(own, 1)} after the last epoch (one seed,"
        f" {run.experiment.validation_images:,} images)."
    )
    same = _accuracies(shipped_runs(run.experiment, run.record.fingerprint))
    if len(same) < 2:
        return f"{told} One seed decides nothing: the program brings no other seeds of this network."
    mean, low, high = seed_mean(same), min(same.values()), max(same.values())
    margin = f" {format_margin(mean)} (half the 95 % interval, chance of the seed)" if mean.is_interval else ""
    return (
        f"{told} The {len(same)} shipped seeds of the same network have {percent(low, 1)} to {percent(high, 1)}, mean"
        f" {percent(mean.value, 1)}{margin}.{_count_higher(run, own)} One seed decides nothing: the seed alone changes"
        f" this network by up to {points(high - low)}."
    )


def _count_higher(run: Run, own: float) -> str:
    """' Higher than yours: 1 of 5 shipped seeds of L2 0.00001, 5 of 5 of dropout 0.1.'; "" without any."""
    parts = []
    for experiment in rivals(run.experiment):
        found = _accuracies(shipped_runs(experiment, run.record.fingerprint))
        if found:
            higher = sum(value > own for value in found.values())
            parts.append(f"{higher} of {len(found)} with {experiment.regularizer_title}")
    return f" Higher than yours, of the shipped seeds: {', '.join(parts)}." if parts else ""


def rivals(experiment: Experiment) -> list[Experiment]:
    """The networks that a training is compared with: those with a regularizer, of a regularized one the plain one."""
    found = other_regularizers(experiment)
    return found if experiment.regularizer == "none" else [model for model in found if model.regularizer == "none"]


def other_regularizers(experiment: Experiment) -> list[Experiment]:
    """The report's networks, on this data set, that differ from this one in the regularizer only."""
    own = series_experiment(experiment)
    models = [model.experiment for model in models_on(own.dataset).values()] if own.dataset in DATASETS else []
    return [
        model
        for model in models
        if model.regularizer != own.regularizer
        and replace(model, regularizer=own.regularizer, strength=own.strength) == own
    ]


def seeds(run: Run) -> str:
    """How often one's own training and another seed of the same network give the same class."""
    same = shipped_runs(run.experiment, run.record.fingerprint)
    number = next((seed for seed in sorted(same) if seed != run.experiment.seed), None)
    if number is None:
        return "the program brings no other seed of this network: train it once more with another seed to compare."
    found = agreement(run.predictions()["validation"], same[number].predictions()["validation"])
    accuracies = " and ".join(percent(_last_accuracy(trained), 1) for trained in (run, same[number]))
    return (
        f"it and the shipped seed {number} of the same network have validation accuracies of {accuracies}. They give"
        f" the same class for {percent(found.value, 1)} of {found.n[0]:,} validation images (95 % interval"
        f" {percent(found.low, 1)} to {percent(found.high, 1)})."
    )


def jumps(run: Run) -> str:
    """How far the validation accuracy moves from epoch to epoch, beside networks with batch normalization.

    For one with batch normalization, by both of its measures.
    """
    own = run.experiment
    told = f"its validation accuracy changes by {points(mean_step(run))} from one epoch to the next, the mean over the"
    told += f" last {LAST_EPOCHS} epochs"
    if own.regularizer == BATCHNORM:
        anew = run.reestimated_history()
        values = anew[f"val_accuracy{REESTIMATED}"][-LAST_EPOCHS - 1 :]
        if len(values) <= LAST_EPOCHS or anew["epoch"][-1] - anew["epoch"][-LAST_EPOCHS - 1] != LAST_EPOCHS:
            return f"{told}, with the moving averages (one seed)."
        step = float(np.abs(np.diff(values)).mean())
        return f"{told} with the moving averages, and by {points(step)} with re-estimated mean and variance (one seed)."
    normalized = [model for model in other_regularizers(own) if model.regularizer == BATCHNORM]
    found = [
        mean_step(shipped) for model in normalized for shipped in shipped_runs(model, run.record.fingerprint).values()
    ]
    if not found:
        return f"{told} (one seed; no batch normalization)."
    return (
        f"{told} (one seed; no batch normalization). In the {pluralize(len(found), 'shipped seed')} with batch"
        f" normalization it is {100 * min(found):.1f} to {points(max(found))}."
    )


def mean_step(run: Run) -> float:
    """The mean absolute change of the validation accuracy between epochs, over the last LAST_EPOCHS; a fraction."""
    return float(np.abs(np.diff(run.history()["val_accuracy"][-LAST_EPOCHS - 1 :])).mean())


def shipped_runs(experiment: Experiment, fingerprint: str | None) -> Mapping[int, Run]:
    """The finished runs of this experiment that came with the program, on this data, by seed."""
    wanted = series_experiment(experiment)
    known = [
        run
        for run in (*runs.list_runs(), *runs.shipped_seeds())
        if run.is_pretrained and series_experiment(run.experiment) == wanted
    ]
    return next((series.runs for series in group_into_series(known) if series.fingerprint == fingerprint), {})


def _last_accuracy(run: Run) -> float:
    return float(run.history()["val_accuracy"][-1])


def _accuracies(found: Mapping[int, Run]) -> dict[int, float]:
    return {seed: _last_accuracy(run) for seed, run in found.items()}
