"""Compares the positions of the dropout and batch normalization layers, which the report leaves open.

Each plausible position is trained like the report's model 7 (3-conv, dropout) or 8 (3-conv, batch norm), and its
training and validation accuracy are compared with the report's. The position that comes closest is the default of
`LayerOrder` (`cnnlab.models.architecture`).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.formatting import percent, points
from cnnlab.jobs.foreground import TrainingTask, train_tasks
from cnnlab.models.architecture import BATCHNORM_POSITIONS, DROPOUT_POSITIONS, LayerOrder
from cnnlab.report import run_results
from cnnlab.report_models import REPORT
from cnnlab.storage import runs
from cnnlab.storage.background_process import cnnlab_command
from cnnlab.storage.run_record import read_record
from cnnlab.storage.runs import Run

STUDY_CASES = [("3conv-dropout", LayerOrder(dropout=position)) for position in DROPOUT_POSITIONS]
STUDY_CASES += [("3conv-batchnorm", LayerOrder(batchnorm=position)) for position in BATCHNORM_POSITIONS]
STUDY_FOLDER = "placements"  # below the home; an earlier name of the study


def case_experiment(name: str, epochs: int, precision: str) -> Experiment:
    """The report's model, with this number of epochs and precision."""
    fields = REPORT[name].experiment.to_dict()
    return Experiment.from_dict(fields | {"epochs": epochs, "precision": precision})


def layer_position(name: str, layer_order: LayerOrder) -> str:
    """The position that the case varies, as `LayerOrder` names it: "after_pool", "before_relu", ..."""
    return layer_order.dropout if "dropout" in name else layer_order.batchnorm


def case_directory(name: str, layer_order: LayerOrder, epochs: int, precision: str) -> Path:
    """The directory in which this case is trained; that of the default position is an ordinary run directory."""
    experiment = case_experiment(name, epochs, precision)
    if layer_order == LayerOrder():
        return settings.runs_dir() / experiment.key
    return settings.home() / STUDY_FOLDER / f"{experiment.key}-{layer_position(name, layer_order).replace('_', '-')}"


def find_case_run(name: str, layer_order: LayerOrder, epochs: int, precision: str) -> Run | None:
    """The finished run of this case, shipped or trained here, or None."""
    if layer_order == LayerOrder() and (run := runs.find_run(case_experiment(name, epochs, precision))):
        return run if run.state == "done" else None
    run = Run(case_directory(name, layer_order, epochs, precision), case_experiment(name, epochs, precision))
    return run if run.state == "done" else None


def train_missing(epochs: int, precision: str) -> list[str]:
    """Train every case without a finished run, one process a core; returns the names of those that failed."""
    missing = [number for number, case in enumerate(STUDY_CASES) if find_case_run(*case, epochs, precision) is None]
    return train_tasks([case_task(number, epochs, precision) for number in missing])


def case_task(number: int, epochs: int, precision: str) -> TrainingTask:
    """The training of one of STUDY_CASES; its worker calls `train_case`."""
    name, layer_order = STUDY_CASES[number]
    options = ("--case", str(number), "--epochs", str(epochs), "--precision", precision)
    return TrainingTask(
        f"{name}, {layer_position(name, layer_order)}",
        case_experiment(name, epochs, precision),
        case_directory(name, layer_order, epochs, precision),
        cnnlab_command("layer-order", *options),
    )


def train_case(
    number: int, epochs: int, precision: str, core: int | None, report: Callable[[dict[str, Any]], None]
) -> str:
    """Train one of STUDY_CASES in this process, with one thread (a resumed run keeps its own number).

    Returns "done", "stopped" or "failed". Raises SettingsError where there is no such core, RunLocked.
    """
    from cnnlab.training.process_setup import prepare_process

    task = case_task(number, epochs, precision)
    prepare_process(read_record(task.directory).threads or 1, core)
    from cnnlab.training.trainer import train

    return train(task.experiment, task.directory, report, STUDY_CASES[number][1])


def comparison_table(epochs: int, precision: str) -> str:
    """The comparison in Markdown: the accuracies of each position, and the sum of their distances from the report's."""
    lines = ["| network | place | training | validation | both differences |", "| --- | --- | ---: | ---: | ---: |"]
    for name, layer_order in STUDY_CASES:
        position, report = layer_position(name, layer_order).replace("_", " "), REPORT[name]
        run = find_case_run(name, layer_order, epochs, precision)
        if run is None:
            lines.append(f"| {name} | {position} | not trained yet | | |")
            continue
        ours = run_results(run)
        distance = abs(ours.train - report.train_accuracy) + abs(ours.validation - report.validation_accuracy)
        row = [name, position, percent(ours.train, 2), percent(ours.validation, 2), points(distance)]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"
