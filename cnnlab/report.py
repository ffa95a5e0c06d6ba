"""The ten models of the report: its figures, ours from the runs, both as ModelResults in a ReportRow."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cnnlab.array_types import History
from cnnlab.experiment import REPORT, Experiment, ReportModel
from cnnlab.storage import runs
from cnnlab.storage.runs import REESTIMATED, Run

LAST_EPOCHS = 10


@dataclass(frozen=True)
class ModelResults:
    """Accuracies (fractions) and seconds of one model, from the report or from a run of ours.

    `train` is the training accuracy as Keras reports it, after the last epoch; `validation` is after the last epoch
    too, on the test images for the final models; the `best_` ones are the highest of any epoch. `train_eval` is the
    training accuracy in inference mode, and `recent_range` how far apart the highest and the lowest validation accuracy
    of the last LAST_EPOCHS epochs are; `correct` says which validation images are classified correctly, bool (n,);
    `recent_epochs` are the accuracies after each of those last epochs. The report has none of these.
    `reestimated_train` and `reestimated_validation` are the accuracies in inference mode with batch normalization's
    mean and variance estimated anew from training images; None without that measurement.
    """

    train: float
    best_train: float
    validation: float
    best_validation: float
    seconds: float
    test: float | None = None
    train_eval: float | None = None
    recent_range: float | None = None
    reestimated_train: float | None = None
    reestimated_validation: float | None = None
    correct: NDArray[np.bool_] | None = field(default=None, compare=False, repr=False)
    recent_epochs: "tuple[ModelResults, ...]" = field(default=(), compare=False, repr=False)

    @property
    def is_reestimated(self) -> bool:
        """Whether the accuracies with re-estimated batch normalization are known."""
        return self.reestimated_train is not None and self.reestimated_validation is not None

    def reestimated(self) -> "ModelResults":
        """The same with the re-estimated accuracies in the place of Keras's; itself where there are none."""
        if self.reestimated_train is None or self.reestimated_validation is None:
            return self
        return replace(
            self,
            train_eval=self.reestimated_train,
            validation=self.reestimated_validation,
            correct=None,
            recent_epochs=(),
        )

    @property
    def gap(self) -> float:
        """Training minus validation accuracy after the last epoch, both as the report reads them."""
        return self.train - self.validation

    @property
    def inference_gap(self) -> float:
        """The same with training measured like validation, which the report did not do; then as the report reads it."""
        return self.gap if self.train_eval is None else self.train_eval - self.validation


@dataclass(frozen=True)
class ReportRow:
    """A model of the report: the report's figures and ours, which are None while it is not trained.

    `ours` is the run with the report's seed, 0; `by_seed` has every finished run of the model, that one included.
    """

    model: ReportModel
    report: ModelResults
    ours: ModelResults | None
    further_seeds: Mapping[int, ModelResults] = field(default_factory=dict)

    @property
    def by_seed(self) -> dict[int, ModelResults]:
        """Our results by seed; empty while the model is not trained."""
        ours = {self.model.experiment.seed: self.ours} if self.ours else {}
        return {**ours, **self.further_seeds}

    @property
    def title(self) -> str:
        return f"{self.model.experiment.depth}-conv, {self.model.experiment.regularizer_title}"


def run_results(run: Run) -> ModelResults:
    """The figures of a finished run."""
    history, record, reestimated = run.history(), run.record, reestimated_accuracies(run)
    epochs = [_epoch_results(history, -back) for back in range(min(LAST_EPOCHS, len(history["epoch"])), 0, -1)]
    return replace(
        epochs[-1],
        best_train=float(np.nanmax(history["accuracy"])),
        best_validation=float(np.nanmax(history["val_accuracy"])),
        seconds=record.seconds,
        test=record.test_accuracy,
        recent_range=float(np.ptp(history["val_accuracy"][-LAST_EPOCHS:])),
        correct=correct_predictions(run),
        recent_epochs=tuple(epochs),
        reestimated_train=reestimated.get("train_eval_accuracy"),
        reestimated_validation=reestimated.get("val_accuracy"),
    )


def reestimated_accuracies(run: Run) -> dict[str, float]:
    """The accuracies after the last epoch with re-estimated batch normalization, by history column; {} if unknown."""
    figures = run.reestimated_history()
    here = np.flatnonzero(figures["epoch"] == run.experiment.epochs)
    names = ("train_eval_accuracy", "val_accuracy")
    return {name: float(figures[name + REESTIMATED][here[0]]) for name in names} if len(here) else {}


def _epoch_results(history: History, row: int) -> ModelResults:
    """The accuracies after one epoch, the row of the history."""
    train, validation = float(history["accuracy"][row]), float(history["val_accuracy"][row])
    train_eval = float(history["train_eval_accuracy"][row])
    return ModelResults(train, train, validation, validation, 0.0, train_eval=train_eval)


def correct_predictions(run: Run) -> NDArray[np.bool_] | None:
    """Which images of its validation set (or test set) the run classifies correctly, bool (n,); None if unknown."""
    stored = run.predictions()
    if run.experiment.split not in stored:
        return None
    return np.asarray(stored[run.experiment.split].argmax(axis=1) == stored[f"{run.experiment.split}_labels"])


def report_results(model: ReportModel) -> ModelResults:
    """The report's figures in the same form; it prints one training and one validation accuracy."""
    train, validation = model.train_accuracy, model.validation_accuracy
    return ModelResults(train, train, validation, validation, model.seconds)


def report_rows() -> list[ReportRow]:
    """The ten models in the report's order, with every seed of theirs that is trained here."""
    by_experiment = {run.experiment: run for run in [*runs.shipped_seeds(), *runs.list_runs()] if run.state == "done"}
    return [
        ReportRow(
            model,
            report_results(model),
            run_results(run) if (run := finished_run(model.experiment)) else None,
            {other.experiment.seed: run_results(other) for other in further_seeds(model, by_experiment.values())},
        )
        for model in REPORT.values()
    ]


def finished_run(experiment: Experiment) -> Run | None:
    """The run of this experiment where it has finished."""
    run = runs.find_run(experiment)
    return run if run is not None and run.state == "done" else None


def further_seeds(model: ReportModel, known: Iterable[Run]) -> list[Run]:
    """The runs of this model with another seed than the report's."""
    first = model.experiment
    return [
        run for run in known if run.experiment.seed != first.seed and replace(run.experiment, seed=first.seed) == first
    ]
