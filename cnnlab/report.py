"""The ten models of the report: its figures, ours from the runs, both as ModelResults in a ReportRow."""

from dataclasses import dataclass

import numpy as np

from cnnlab.experiment import REPORT, ReportModel
from cnnlab.storage import runs
from cnnlab.storage.runs import Run

AGREEMENT_TOLERANCE = 0.02  # validation and test accuracy agree when they differ by at most two points
EVALUATION_IMAGES = 10_000  # that an accuracy is measured on, validation and test alike
LAST_EPOCHS = 10


@dataclass(frozen=True)
class ModelResults:
    """Accuracies (fractions) and seconds of one model, from the report or from a run of ours.

    `train` is the training accuracy as Keras reports it, after the last epoch; `validation` is after the last epoch
    too, on the test images for the final models; the `best_` ones are the highest of any epoch. `train_eval` is the
    training accuracy in inference mode, and `moved` how far apart the highest and the lowest validation accuracy of
    the last LAST_EPOCHS epochs are; the report has neither.
    """

    train: float
    best_train: float
    validation: float
    best_validation: float
    seconds: float
    test: float | None = None
    train_eval: float | None = None
    recent_range: float | None = None

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
    """A model of the report: the report's figures and ours, which are None while it is not trained."""

    model: ReportModel
    report: ModelResults
    ours: ModelResults | None

    @property
    def title(self) -> str:
        return f"{self.model.experiment.depth}-conv, {self.model.experiment.regularizer_title}"


def run_results(run: Run) -> ModelResults:
    """The figures of a finished run."""
    history = run.history()
    return ModelResults(
        train=float(history["accuracy"][-1]),
        best_train=float(np.nanmax(history["accuracy"])),
        validation=float(history["val_accuracy"][-1]),
        best_validation=float(np.nanmax(history["val_accuracy"])),
        seconds=float(run.record["seconds"]),
        test=run.record.get("test_accuracy"),
        train_eval=float(history["train_eval_accuracy"][-1]),
        recent_range=float(np.ptp(history["val_accuracy"][-LAST_EPOCHS:])),
    )


def report_results(model: ReportModel) -> ModelResults:
    """The report's figures in the same form; it prints one training and one validation accuracy."""
    train, validation = model.train_accuracy, model.validation_accuracy
    return ModelResults(train, train, validation, validation, model.seconds)


def report_rows() -> list[ReportRow]:
    """The ten models in the report's order."""
    found = []
    for model in REPORT.values():
        run = runs.find_run(model.experiment)
        done = run is not None and run.state == "done"
        found.append(ReportRow(model, report_results(model), run_results(run) if run and done else None))
    return found
