"""`REPORT`: the ten experiments of the lab report by name, with the results that the report states."""

from dataclasses import dataclass, replace

from cnnlab.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class ReportModel:
    """One row of the report's tables: an experiment and its results.

    `validation_accuracy` is on the 10,000 validation images for models 1 to 8 and on the 10,000 test images for the
    final two; accuracies are fractions 0..1, `seconds` is the report's training time on a Colab GPU.
    """

    number: str
    name: str
    experiment: Experiment
    train_accuracy: float
    validation_accuracy: float
    seconds: int

    @property
    def gap(self) -> float:
        """The generalization gap: training minus validation accuracy, as printed in the report."""
        return self.train_accuracy - self.validation_accuracy

    @property
    def is_in_report(self) -> bool:
        """Whether the results are those of this experiment: not where it is trained on another data set."""
        return self.experiment.dataset == REPORT[self.name].experiment.dataset


def _report_model(
    number: str, depth: int, regularizer: str, train: float, validation: float, seconds: int
) -> ReportModel:
    """The model of one row; `number` is "1" to "8", or "final 1" and "final 2", which are tested on the test set."""
    final = number.startswith("final")
    return ReportModel(
        number=number,
        name=f"{'final-' if final else ''}{depth}conv-{regularizer}",
        experiment=Experiment(depth=depth, regularizer=regularizer, split="test" if final else "validation"),
        train_accuracy=train,
        validation_accuracy=validation,
        seconds=seconds,
    )


REPORT: dict[str, ReportModel] = {
    row.name: row
    for row in (
        _report_model("1", 2, "none", 0.9464, 0.6447, 142),
        _report_model("2", 2, "l2", 0.9482, 0.6312, 101),
        _report_model("3", 2, "dropout", 0.8207, 0.6845, 142),
        _report_model("4", 2, "batchnorm", 0.9818, 0.7038, 143),
        _report_model("5", 3, "none", 0.8686, 0.6691, 142),
        _report_model("6", 3, "l2", 0.9028, 0.6880, 118),
        _report_model("7", 3, "dropout", 0.7393, 0.7161, 105),
        _report_model("8", 3, "batchnorm", 0.9502, 0.7302, 108),
        _report_model("final 1", 3, "dropout", 0.7431, 0.7361, 135),
        _report_model("final 2", 3, "batchnorm", 0.9466, 0.7353, 175),
    )
}


def models_on(dataset: str) -> dict[str, ReportModel]:
    """The report's models by name, trained on this data set: on another than CIFAR-10 the eight with a validation set.

    With all training images of that data set; the results stay those of the report, on CIFAR-10.
    """
    if dataset == Experiment().dataset:
        return REPORT
    return {
        name: replace(model, experiment=replace(model.experiment, dataset=dataset, train_images=None))
        for name, model in REPORT.items()
        if model.experiment.split == "validation"
    }


def shipped_name(experiment: Experiment) -> str | None:
    """The report's name of this experiment, under which its run is shipped, or None."""
    return {model.experiment.key: name for name, model in REPORT.items()}.get(experiment.key)
