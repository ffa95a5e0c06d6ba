"""The report, reproduced: train what is missing of the ten, and set our figures beside the report's.

Every sentence here is computed. The report prints one validation figure a model, which reads like the accuracy after
the last epoch rather than the best one, so both of ours are shown.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
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


Judge = Callable[[dict[str, ModelResults]], tuple[bool, str]]


@dataclass(frozen=True)
class ReportRow:
    """A model of the report: the report's figures and ours, which are None while it is not trained."""

    model: ReportModel
    report: ModelResults
    ours: ModelResults | None

    @property
    def title(self) -> str:
        return f"{self.model.experiment.depth}-conv, {self.model.experiment.regularizer_title}"


@dataclass(frozen=True)
class Conclusion:
    """One thing the report concludes: do its own figures and ours say so? `ours` is None while runs are missing."""

    claim: str
    report: bool
    ours: bool | None
    evidence: str


def run_results(run: Run) -> ModelResults:
    """The figures of a finished run."""
    history = run.history()
    return ModelResults(
        train=float(history["accuracy"][-1]),
        best_train=float(np.nanmax(history["accuracy"])),
        validation=float(history["val_accuracy"][-1]),
        best_validation=float(np.nanmax(history["val_accuracy"])),
        seconds=run.record.seconds,
        test=run.record.test_accuracy,
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


def check_conclusions(table: Sequence[ReportRow], inference_mode: bool = False) -> list[Conclusion]:
    """The report's four conclusions, each tested on the report's figures and on ours.

    `inference_mode`: take our training accuracies as they are measured like validation, and not as Keras reports them.
    """
    report = {row.model.name: row.report for row in table}
    ours = {row.model.name: row.ours for row in table if row.ours}
    eight = [name for name in REPORT if not name.startswith("final")]
    return [
        _check_conclusion(
            "dropout has the smallest gap at either depth",
            eight,
            report,
            ours,
            dropout_has_smallest_inference_gap if inference_mode else dropout_has_smallest_gap,
        ),
        _check_conclusion(
            "batch normalization has the highest validation accuracy at either depth",
            eight,
            report,
            ours,
            batchnorm_is_best,
        ),
        _check_conclusion("three layers beat two with every regularizer", eight, report, ours, three_beat_two),
        _check_conclusion(
            "validation and test agree for model 7 (3-conv, dropout)",
            ["3conv-dropout", "final-3conv-dropout"],
            report,
            ours,
            validation_agrees_with_test,
        ),
    ]


def _check_conclusion(
    claim: str, needed: Sequence[str], report: dict[str, ModelResults], ours: dict[str, ModelResults], judge: Judge
) -> Conclusion:
    """Ask one question of the report's figures and, where all are there, of ours."""
    holds, _ = judge(report)
    if absent := [name for name in needed if name not in ours]:
        return Conclusion(claim, holds, None, f"waits for {', '.join(absent)}")
    mine, evidence = judge(ours)
    return Conclusion(claim, holds, mine, evidence)


def dropout_has_smallest_gap(table: dict[str, ModelResults]) -> tuple[bool, str]:
    """Whether dropout has the smallest training minus validation accuracy among the four models of each depth.

    Keras counts right answers while it trains, with dropout on, which makes dropout's gap look smaller than that of a
    network as it is used. So the other measure is told where there is one.
    """
    holds, said = _smallest_gaps(table, {name: one.gap for name, one in table.items()})
    fair, told = _smallest_gaps(table, {name: one.inference_gap for name, one in table.items()})
    if told == said:
        return holds, said
    return (
        holds,
        f"{said}; measured like validation, with dropout off, it {'holds too' if fair else 'does not'}: {told}",
    )


def dropout_has_smallest_inference_gap(table: dict[str, ModelResults]) -> tuple[bool, str]:
    """The same with training accuracy measured like validation, where there is such a figure."""
    return _smallest_gaps(table, {name: one.inference_gap for name, one in table.items()})


def _smallest_gaps(table: dict[str, ModelResults], gaps: Mapping[str, float]) -> tuple[bool, str]:
    winners = [min(_names_at_depth(table, depth), key=gaps.__getitem__) for depth in (2, 3)]
    said = ", ".join(
        f"smallest gap at {name[0]} layers: {_model_label(name)}, {points(gaps[name])}" for name in winners
    )
    return all("dropout" in name for name in winners), said


def batchnorm_is_best(table: dict[str, ModelResults]) -> tuple[bool, str]:
    """Whether batch normalization has the highest validation accuracy after the last epoch at each depth."""
    winners = [max(_names_at_depth(table, depth), key=lambda name: table[name].validation) for depth in (2, 3)]
    said = ", ".join(
        f"highest at {name[0]} layers: {_model_label(name)}, {percent(table[name].validation)}" for name in winners
    )
    return all("batchnorm" in name for name in winners), said


def three_beat_two(table: dict[str, ModelResults]) -> tuple[bool, str]:
    """Whether the 3-conv network has the higher validation accuracy after the last epoch with each regularizer."""
    pairs = [(name, "2" + name[1:]) for name in _names_at_depth(table, 3)]
    ahead = [table[deep].validation - table[shallow].validation for deep, shallow in pairs]
    said = ", ".join(
        f"{_model_label(deep)[7:]} {points(gain, sign=True)}" for (deep, _), gain in zip(pairs, ahead, strict=True)
    )
    return all(gain > 0 for gain in ahead), said


def validation_agrees_with_test(table: dict[str, ModelResults]) -> tuple[bool, str]:
    """Whether model 7's validation and test accuracy differ by at most AGREEMENT_TOLERANCE.

    The report tested only the network that it trained again on 10,000 more images, which alone makes it better. Ours
    tested the same weights too, so they are what is judged; the other figure stands beside them.
    """
    seven, final = table["3conv-dropout"], table["final-3conv-dropout"].validation
    test = final if seven.test is None else seven.test
    said = f"validation {percent(seven.validation)}"
    said += f", test {percent(seven.test)}" if seven.test is not None else ""
    said += f", test after training on all 50,000 images {percent(final)}"
    return abs(seven.validation - test) <= AGREEMENT_TOLERANCE + 1e-9, said


def describe_uncertainty(table: Sequence[ReportRow]) -> str:
    """How much a figure of ours may be off: by the count of images, and by the epoch at which training ends."""
    ours = [
        (row.title, row.ours, row.ours.recent_range) for row in table if row.ours and row.ours.recent_range is not None
    ]
    if not ours:
        return ""
    middle = float(np.median([found.validation for _, found, _ in ours]))
    error = 2 * math.sqrt(middle * (1 - middle) / EVALUATION_IMAGES)  # two standard errors of a share (binomial)
    steady, restless = (choose(ours, key=lambda one: one[2]) for choose in (min, max))
    return (
        f"How sure is a figure? {EVALUATION_IMAGES:,} images give it to about {points(error)}. And it is that of one"
        f" epoch: over the last {LAST_EPOCHS} epochs {restless[0]} moved most, by {points(restless[2])}, and"
        f" {steady[0]} least, by {points(steady[2])}."
    )


def _names_at_depth(table: dict[str, ModelResults], depth: int) -> list[str]:
    return [name for name in table if name.startswith(f"{depth}conv")]


def _model_label(name: str) -> str:
    experiment = REPORT[name].experiment
    return f"{experiment.depth}-conv {experiment.regularizer_title}"


def percent(share: float) -> str:
    """0.7361 as '73.61 %'."""
    return f"{100 * share:.2f} %"


def points(difference: float, sign: bool = False) -> str:
    """0.0232 as '2.3 points'."""
    return f"{100 * difference:{'+' if sign else ''}.1f} points"


def duration(seconds: float) -> str:
    """142 as '2 min 22 s'."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def format_report(table: Sequence[ReportRow]) -> str:
    """Both tables in Markdown, ours beside the report's, and the conclusions."""
    first = [row for row in table if row.model.experiment.split == "validation"]
    final = [row for row in table if row.model.experiment.split == "test"]
    parts = [
        "Table 1: trained on 40,000 images, validated on 10,000.",
        markdown_table(first, "validation"),
        "Table 2: trained on 50,000 images, tested on the 10,000 test images.",
        markdown_table(final, "test"),
        "What the report concludes, and what these runs say:",
        "\n".join(_format_conclusion(conclusion) for conclusion in check_conclusions(table)),
        describe_uncertainty(table),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def markdown_table(table: Iterable[ReportRow], measured: str) -> str:
    """One table. 'ours' is after the last epoch, 'best' the highest of any epoch, both on the same images."""
    heads = ["#", "model", "training: report", "ours", "best", f"{measured}: report", "ours", "best", "difference"]
    heads += ["time: report", "ours"]
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join(["---"] * len(heads)) + " |"]
    for row in table:
        report, ours = row.report, row.ours
        cells = [row.model.number, row.title, percent(report.train)]
        cells += [percent(ours.train), percent(ours.best_train)] if ours else ["not trained yet", ""]
        cells.append(percent(report.validation))
        if ours:
            difference = points(ours.validation - report.validation, sign=True)
            cells += [percent(ours.validation), percent(ours.best_validation), difference]
        else:
            cells += ["", "", ""]
        cells += [duration(report.seconds), duration(ours.seconds) if ours else ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _format_conclusion(conclusion: Conclusion) -> str:
    said = {True: "holds", False: "does not hold", None: "cannot be said yet"}
    report = "" if conclusion.report else " (nor in the report's own figures)"
    return f"- {conclusion.claim}: {said[conclusion.ours]} in our runs{report} ({conclusion.evidence})."
