"""The results of the report's ten models: the report's own and those of our runs, as ModelResults in a ReportRow."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cnnlab.array_types import History
from cnnlab.experiment import Experiment
from cnnlab.models.architecture import network_layers, parameter_count
from cnnlab.models.network_cost import multiply_adds
from cnnlab.report_models import REPORT, ReportModel, models_on
from cnnlab.storage import runs
from cnnlab.storage.epoch_times import EpochTimes
from cnnlab.storage.runs import REESTIMATED, DamagedRun, Run
from cnnlab.storage.series import Series, find_series

LAST_EPOCHS = 10


@dataclass(frozen=True)
class ImageCounts:
    """How many images accuracies are measured on; by default as for the report's eight.

    `training`: all that Keras's training accuracy averages over; `evaluated`: the training images that are evaluated in
    inference mode; `validation`: the validation images, or the test images of the split "test".
    """

    training: int = 40_000
    evaluated: int = 5_000
    validation: int = 10_000


@dataclass(frozen=True)
class ModelResults:
    """Accuracies (fractions) and seconds of one model, from the report or from a run of ours.

    `train` is the training accuracy as Keras reports it, `validation` that on the validation images (for the final
    models on the test images), both after the last epoch; `best_train` and `best_validation` are the highest of any
    epoch. The report has none of the others. `train_eval` is the training accuracy in inference mode; `recent_range`
    is the highest minus the lowest validation accuracy of the last LAST_EPOCHS epochs, `recent_epochs` the accuracies
    after each of them; `correct`, bool (n,), are the validation images that are classified correctly.
    `reestimated_train` and `reestimated_validation` are the accuracies in inference mode with batch normalization's
    mean and variance re-estimated from training images; None where not computed. `images` counts what they are
    measured on.
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
    images: ImageCounts = ImageCounts()
    correct: NDArray[np.bool_] | None = field(default=None, compare=False, repr=False)
    recent_epochs: "tuple[ModelResults, ...]" = field(default=(), compare=False, repr=False)

    @property
    def is_reestimated(self) -> bool:
        """Whether the accuracies with re-estimated batch normalization are known."""
        return self.reestimated_train is not None and self.reestimated_validation is not None

    def reestimated(self) -> "ModelResults":
        """These results with the re-estimated accuracies instead of Keras's; unchanged where there are none."""
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
        """Training accuracy as Keras reports it minus validation accuracy, after the last epoch."""
        return self.train - self.validation

    @property
    def inference_gap(self) -> float:
        """Training accuracy in inference mode minus validation accuracy; `gap` where the former is unknown."""
        return self.gap if self.train_eval is None else self.train_eval - self.validation


@dataclass(frozen=True)
class ReportRow:
    """A model of the report: the report's results and ours, None while the model is not trained.

    `ours` is the run with the report's seed, 0; `further_seeds` are those with other seeds, by seed.
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
        """'3-conv, dropout 0.1'."""
        return f"{self.model.experiment.depth}-conv, {self.model.experiment.regularizer_title}"


def image_counts(experiment: Experiment) -> ImageCounts:
    """How many images the accuracies of this experiment are measured on."""
    return ImageCounts(int(experiment.train_images or 0), experiment.train_eval_images, experiment.validation_images)


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
        images=image_counts(run.experiment),
    )


def reestimated_accuracies(run: Run) -> dict[str, float]:
    """The accuracies after the last epoch with re-estimated batch normalization, by history column; {} if unknown."""
    try:
        figures = run.reestimated_history()
    except DamagedRun:
        return {}
    here = np.flatnonzero(figures["epoch"] == run.experiment.epochs)
    names = ("train_eval_accuracy", "val_accuracy")
    return {name: float(figures[name + REESTIMATED][here[0]]) for name in names} if len(here) else {}


def _epoch_results(history: History, row: int) -> ModelResults:
    """The accuracies after the epoch in this row of the history."""
    train, validation = float(history["accuracy"][row]), float(history["val_accuracy"][row])
    train_eval = float(history["train_eval_accuracy"][row])
    return ModelResults(train, train, validation, validation, 0.0, train_eval=train_eval)


def correct_predictions(run: Run) -> NDArray[np.bool_] | None:
    """Which images of its validation set (or test set) the run classifies correctly, bool (n,); None if unknown."""
    try:
        stored = run.predictions()
    except DamagedRun:
        return None
    logits, labels = stored.get(run.experiment.split), stored.get(f"{run.experiment.split}_labels")
    if logits is None or labels is None or len(labels) != run.experiment.validation_images:
        return None
    return np.asarray(logits.argmax(axis=1) == labels)


def report_results(model: ReportModel) -> ModelResults:
    """The report's results; it states one training and one validation accuracy per model."""
    train, validation = model.train_accuracy, model.validation_accuracy
    images = image_counts(REPORT[model.name].experiment)
    return ModelResults(train, train, validation, validation, model.seconds, images=images)


def report_rows(dataset: str = "cifar10") -> list[ReportRow]:
    """The models in the report's order, with every seed of theirs that was trained on the same data.

    All ten on the report's CIFAR-10, the eight with a validation set on another data set.
    """
    known = [*runs.list_runs(), *runs.shipped_seeds()]
    return [report_row(model, find_series(model.experiment, known)) for model in models_on(dataset).values()]


def report_row(model: ReportModel, series: Series) -> ReportRow:
    """The row of a model whose finished runs are this series."""
    results = {seed: run_results(run) for seed, run in series.runs.items()}
    return ReportRow(model, report_results(model), results.pop(model.experiment.seed, None), results)


def network_costs(which: str, times: EpochTimes | None) -> dict[str, float]:
    """A cost of each of the report's models by name: "seconds" of an epoch, "multiply_adds" in millions, "parameters".

    Without the models that `times` has not measured.
    """
    if which == "seconds":
        return times.median_seconds if times else {}
    networks = {name: network_layers(model.experiment) for name, model in REPORT.items()}
    if which == "multiply_adds":
        return {name: multiply_adds(layers) / 1e6 for name, layers in networks.items()}
    return {name: float(parameter_count(layers)) for name, layers in networks.items()}
