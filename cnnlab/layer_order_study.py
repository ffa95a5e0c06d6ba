"""Where do dropout and batch normalization stand? The report does not say; this comparison does.

Each plausible place is trained like the report's model 7 (3-conv, dropout) or 8 (3-conv, batch norm), and its training
and validation accuracy are set beside the report's. The place that comes closest is the one `architecture` uses.
"""

import subprocess
import sys
from pathlib import Path

from cnnlab import settings
from cnnlab.experiment import REPORT, Experiment
from cnnlab.models.architecture import BATCHNORM_POSITIONS, DROPOUT_POSITIONS, LayerOrder
from cnnlab.report import percent, points, run_results
from cnnlab.storage import files, runs
from cnnlab.storage.runs import Run

STUDY_CASES = [("3conv-dropout", LayerOrder(dropout=place)) for place in DROPOUT_POSITIONS]
STUDY_CASES += [("3conv-batchnorm", LayerOrder(batchnorm=place)) for place in BATCHNORM_POSITIONS]


def case_experiment(name: str, epochs: int, precision: str) -> Experiment:
    """The report's model, trained for so many epochs at this precision."""
    fields = REPORT[name].experiment.to_dict()
    return Experiment.from_dict(fields | {"epochs": epochs, "precision": precision})


def layer_position(name: str, placement: LayerOrder) -> str:
    """The place in one word of `architecture`: after_pool, before_relu, ..."""
    return placement.dropout if "dropout" in name else placement.batchnorm


def case_directory(name: str, layer_order: LayerOrder, epochs: int, precision: str) -> Path:
    """Where this case is trained; the place that the project uses is an ordinary run."""
    experiment = case_experiment(name, epochs, precision)
    if layer_order == LayerOrder():
        return settings.runs_dir() / experiment.key
    return settings.home() / "placements" / f"{experiment.key}-{layer_position(name, layer_order).replace('_', '-')}"


def find_case_run(name: str, layer_order: LayerOrder, epochs: int, precision: str) -> Run | None:
    """The finished run of this case, shipped or trained here, or None."""
    if layer_order == LayerOrder() and (run := runs.find_run(case_experiment(name, epochs, precision))):
        return run if run.state == "done" else None
    path = case_directory(name, layer_order, epochs, precision)
    return runs.read_run(path) if files.read_json(path / "record.json").get("state") == "done" else None


def train_missing(epochs: int, precision: str) -> None:
    """Train every case that is not there yet, one after the other, each in a process of its own."""
    for number, (name, placement) in enumerate(STUDY_CASES):
        if find_case_run(name, placement, epochs, precision) is None:
            print(f"training {name}, {layer_position(name, placement)}", flush=True)
            program = (
                f"from cnnlab import layer_order_study; layer_order_study.train_case({number}, {epochs}, {precision!r})"
            )
            subprocess.run([sys.executable, "-c", program], env=settings.subprocess_environment(), check=True)


def train_case(number: int, epochs: int, precision: str) -> str:
    """Train one of CASES, in the worker process that this is called in."""
    from cnnlab.training.trainer import train

    name, placement = STUDY_CASES[number]
    path = case_directory(name, placement, epochs, precision)
    return train(case_experiment(name, epochs, precision), path, layer_order=placement)


def comparison_table(epochs: int, precision: str) -> str:
    """The comparison in Markdown: each place's accuracies, and how far from the report's two figures they are."""
    lines = ["| network | place | training | validation | away from the report |", "| --- | --- | --- | --- | --- |"]
    for name, placement in STUDY_CASES:
        place, report = layer_position(name, placement).replace("_", " "), REPORT[name]
        run = find_case_run(name, placement, epochs, precision)
        if run is None:
            lines.append(f"| {name} | {place} | not trained yet | | |")
            continue
        ours = run_results(run)
        away = abs(ours.train - report.train_accuracy) + abs(ours.validation - report.validation_accuracy)
        lines.append(f"| {name} | {place} | {percent(ours.train)} | {percent(ours.validation)} | {points(away)} |")
    return "\n".join(lines) + "\n"
