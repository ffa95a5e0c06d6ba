"""Where do dropout and batch normalization stand? The report does not say; this comparison does.

Each plausible place is trained like the report's model 7 (3-conv, dropout) or 8 (3-conv, batch norm), and its training
and validation accuracy are set beside the report's. The place that comes closest is the one `architecture` uses.
"""

import subprocess
import sys
from pathlib import Path

from cnnlab import runs, settings
from cnnlab.architecture import BATCHNORM_PLACES, DROPOUT_PLACES, Placement
from cnnlab.experiment import REPORT, Experiment
from cnnlab.reproduction import figures, percent, points
from cnnlab.runs import Run

CASES = [("3conv-dropout", Placement(dropout=place)) for place in DROPOUT_PLACES]
CASES += [("3conv-batchnorm", Placement(batchnorm=place)) for place in BATCHNORM_PLACES]


def experiment_of(name: str, epochs: int, precision: str) -> Experiment:
    """The report's model, trained for so many epochs at this precision."""
    fields = REPORT[name].experiment.to_dict()
    return Experiment.from_dict(fields | {"epochs": epochs, "precision": precision})


def place_of(name: str, placement: Placement) -> str:
    """The place in one word of `architecture`: after_pool, before_relu, ..."""
    return placement.dropout if "dropout" in name else placement.batchnorm


def folder(name: str, placement: Placement, epochs: int, precision: str) -> Path:
    """Where this case is trained; the place that the project uses is an ordinary run."""
    experiment = experiment_of(name, epochs, precision)
    if placement == Placement():
        return settings.runs_dir() / experiment.key
    return settings.home() / "placements" / f"{experiment.key}-{place_of(name, placement).replace('_', '-')}"


def run_of(name: str, placement: Placement, epochs: int, precision: str) -> Run | None:
    """The finished run of this case, shipped or trained here, or None."""
    if placement == Placement() and (run := runs.find(experiment_of(name, epochs, precision))):
        return run if run.state == "done" else None
    path = folder(name, placement, epochs, precision)
    return runs.read_run(path) if runs.read_json(path / "record.json").get("state") == "done" else None


def train_missing(epochs: int, precision: str) -> None:
    """Train every case that is not there yet, one after the other, each in a process of its own."""
    for number, (name, placement) in enumerate(CASES):
        if run_of(name, placement, epochs, precision) is None:
            print(f"training {name}, {place_of(name, placement)}", flush=True)
            program = f"from cnnlab import placements; placements.train_case({number}, {epochs}, {precision!r})"
            subprocess.run([sys.executable, "-c", program], env=settings.python_environment(), check=True)


def train_case(number: int, epochs: int, precision: str) -> str:
    """Train one of CASES, in the worker process that this is called in."""
    from cnnlab.training import train

    name, placement = CASES[number]
    path = folder(name, placement, epochs, precision)
    return train(experiment_of(name, epochs, precision), path, placement=placement)


def table(epochs: int, precision: str) -> str:
    """The comparison in Markdown: each place's accuracies, and how far from the report's two figures they are."""
    lines = ["| network | place | training | validation | away from the report |", "| --- | --- | --- | --- | --- |"]
    for name, placement in CASES:
        place, report = place_of(name, placement).replace("_", " "), REPORT[name]
        run = run_of(name, placement, epochs, precision)
        if run is None:
            lines.append(f"| {name} | {place} | not trained yet | | |")
            continue
        ours = figures(run)
        away = abs(ours.train - report.train_accuracy) + abs(ours.validation - report.validation_accuracy)
        lines.append(f"| {name} | {place} | {percent(ours.train)} | {percent(ours.validation)} | {points(away)} |")
    return "\n".join(lines) + "\n"
