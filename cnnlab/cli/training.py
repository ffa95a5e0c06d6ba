"""The commands that train: train, reproduce, layer-order."""

import copy
import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import click

from cnnlab import settings, training_packages
from cnnlab.cli.output import MESSAGE_FORMAT, configure_logging, print_error, print_event
from cnnlab.data import dataset_fields
from cnnlab.experiment import (
    CHOICES,
    INTEGER_RANGES,
    LABEL_NOISE_RANGE,
    LEARNING_RATE_RANGE,
    NUMERIC_FIELDS,
    Experiment,
    ExperimentError,
    format_decimal,
)
from cnnlab.formatting import pluralize
from cnnlab.jobs import thread_measurement
from cnnlab.jobs.precision import slow_precision
from cnnlab.report_models import REPORT
from cnnlab.storage.run_record import read_record

FIELD_HELP = {  # of each field of an experiment, in the help of its option
    "dataset": "cifar10, shapes, or the name of your own pictures",
    "split": "images that measure it; test: trained on the validation images too",
    "regularizer": "against overfitting",
    "optimizer": "Keras's, with its defaults",
    "precision": "of the arithmetic in training",
    "augment": "random changes of the training images",
    "depth": "convolution layers",
    "filters": "filters of each convolution",
    "kernel": "side of the kernels in pixels, odd",
    "dense": "units of each hidden dense layer",
    "epochs": "passes over the training images",
    "batch": "images of one step",
    "seed": "decides first weights, order of the images and dropout",
    "train_images": "the first so many of them (default: all of the split)",
    "strength": "of the regularizer (default: that of the report)",
    "learning_rate": "of the optimizer",
    "label_noise": "share of the training labels replaced at random",
}
FIELD_RANGES = {**INTEGER_RANGES, "learning_rate": LEARNING_RATE_RANGE, "label_noise": LABEL_NOISE_RANGE}
EXIT_CODES = {"done": 0, "failed": 1, "stopped": 3}

Command = Callable[..., Any]


def flag(name: str) -> str:
    """The flag of an experiment's field: 'train_images' -> '--train-images'."""
    return f"--{name.replace('_', '-')}"


def field_help(name: str) -> str:
    """What a field is, its range and its default: 'convolution layers (1 to 4, default 2)'."""
    default: Any = {entry.name: entry.default for entry in dataclasses.fields(Experiment)}[name]
    limits = FIELD_RANGES.get(name)
    parts = [f"{format_decimal(limits[0])} to {format_decimal(limits[1])}"] if limits else []
    parts += [f"default {format_decimal(default) if limits else default}"] if default is not None else []
    return f"{FIELD_HELP[name]} ({', '.join(parts)})" if parts else FIELD_HELP[name]


def experiment_options(command: Command) -> Command:
    """Add one option for each field of an experiment, and --json for all of them."""
    for name, kind in reversed(NUMERIC_FIELDS.items()):
        command = click.option(flag(name), type=kind, help=field_help(name))(command)
    for name, allowed in reversed(CHOICES.items()):
        choice = None if name == "dataset" else click.Choice(allowed)  # one's own pictures are data sets too
        command = click.option(flag(name), type=choice, help=field_help(name))(command)
    return click.option("--json", "json_text", metavar="EXPERIMENT", help="the whole experiment as JSON")(command)


def chosen_experiment(json_text: str | None, fields: dict[str, Any]) -> Experiment:
    """The experiment that the options describe. Raises ExperimentError, DatasetMissing."""
    given = {name: value for name, value in fields.items() if value is not None}
    if json_text is None:
        if "dataset" in given and given["dataset"] not in CHOICES["dataset"]:
            given |= dataset_fields(given["dataset"])
        return Experiment.from_dict(given)
    if given:
        raise ExperimentError(f"--json is the whole experiment: leave out {', '.join(map(flag, given))}.")
    return Experiment.from_json(json_text)


@click.command()
@experiment_options
@click.option("--threads", type=int, help="threads for one operation (a resumed run keeps its own number)")
@click.option("--core", type=int, help="run on this processor core only")
def train(json_text: str | None, threads: int | None, core: int | None, **fields: Any) -> int:
    """Train one experiment into its run directory, or resume it."""
    from cnnlab.training.process_setup import prepare_process

    configure_logging(MESSAGE_FORMAT)  # a worker's last line is shown as the reason of a failure
    experiment = chosen_experiment(json_text, fields)
    if hint := training_packages.install_hint():
        return print_error(hint, 2)
    recorded = read_record(settings.runs_dir() / experiment.key).threads
    if hint := slow_precision(experiment):
        click.echo(hint, err=True)
    prepare_process(recorded or threads, core)
    return run_training(experiment)


def run_training(experiment: Experiment) -> int:
    """Train in this process, which is prepared for it, and print how it ended; returns the exit code."""
    from cnnlab.training.failures import RunLocked
    from cnnlab.training.trainer import train as train_experiment

    try:
        state = train_experiment(experiment, report=partial(print_event, split=experiment.split))
    except RunLocked as error:
        return print_error(str(error), 1)
    if state != "failed":  # a failure has printed its reason already
        click.echo(f"{state}: {experiment.title}, run {experiment.key}.")
    return EXIT_CODES[state]


@click.command(hidden=True)
@click.option("--socket", "descriptor", type=int, required=True)
def standby(descriptor: int) -> int:
    """Load TensorFlow, wait for a job of the dispatcher, train it: a standby worker."""
    from cnnlab.jobs.standby import READY
    from cnnlab.training.standby import wait_for_job

    configure_logging(MESSAGE_FORMAT)
    return run_training(wait_for_job(descriptor, lambda: click.echo(READY)))


@click.command("measure-threads", hidden=True)
@click.option("--threads", type=int, help="measure this number of threads in this process")
def measure_threads(threads: int | None) -> None:
    """Measure with how many threads a training is fastest on this machine, and remember it."""
    if threads is None:
        for count, rate in thread_measurement.measure().items():
            click.echo(f"{pluralize(count, 'thread')}: {rate:.1f} steps a second")
        return
    from cnnlab.training.process_setup import prepare_process

    prepare_process(threads, None)
    from cnnlab.training.step_rate import steps_per_second

    click.echo(f"{steps_per_second():.2f}")


@click.command()
@click.option("--tables", is_flag=True, help="print the tables only, train nothing")
@click.option("--only", multiple=True, type=click.Choice(list(REPORT)), metavar="NAME", help="this model; repeatable")
@click.argument("more", nargs=-1, type=click.Choice(list(REPORT)), metavar="[NAME]...")
@click.option("--slots", type=int, help="processes at a time, each on a core of its own (default: all cores)")
@click.option("--publish", is_flag=True, help="put finished runs under pretrained/")
@click.option("--seeds", type=click.IntRange(min=1), default=1, help="train the eight models with the seeds 0 to N-1")
@click.option("--dataset", type=click.Choice(CHOICES["dataset"]), default="cifar10", help="for --seeds")
def reproduce(
    tables: bool,
    only: tuple[str, ...],
    more: tuple[str, ...],
    slots: int | None,
    publish: bool,
    seeds: int,
    dataset: str,
) -> int:
    """Train what is missing of the report, and print its tables.

    All ten models, or these. With --dataset shapes its eight models on Shapes instead, and what their seeds say.
    """
    from cnnlab import report
    from cnnlab import reproduce as reproduction
    from cnnlab.explanations.report_tables import format_report, format_series_report

    names = [*only, *more] or list(REPORT)
    ten = reproduction.missing_models(names) if dataset == "cifar10" else []
    failed = [] if tables else reproduction.train_missing(ten, slots)
    series = reproduction.series_experiments(names, seeds, dataset) if seeds > 1 or dataset != "cifar10" else []
    if not tables:
        failed += reproduction.train_experiments(reproduction.missing_experiments(series), slots)
    if publish:
        for experiment in reproduction.publishable_experiments(series):
            click.echo(f"published {reproduction.publish_results(experiment).name}", err=True)
        for name in reproduction.publishable_models(names):
            click.echo(f"published {reproduction.publish(name).name}", err=True)
    rows = report.report_rows(dataset)
    click.echo(format_report(rows) if rows[0].model.is_in_report else format_series_report(rows), nl=False)
    return 1 if failed else 0


@click.command("layer-order")
@click.option("--epochs", type=int, default=30, show_default=True, help="passes over the training images")
@click.option(
    "--precision",
    type=click.Choice(CHOICES["precision"]),
    default="float32",
    show_default=True,
    help=FIELD_HELP["precision"],
)
@click.option("--tables", is_flag=True, help="print what is there, train nothing")
@click.option("--case", type=int, hidden=True, help="train this case in this process: a worker's command line")
@click.option("--core", type=int, hidden=True, help="with --case: run on this processor core only")
def layer_order(epochs: int, precision: str, tables: bool, case: int | None, core: int | None) -> int:
    """Compare the positions of dropout and batch normalization."""
    from cnnlab import layer_order_study

    if case is not None:
        configure_logging(MESSAGE_FORMAT)
        return EXIT_CODES[layer_order_study.train_case(case, epochs, precision, core, print_event)]
    failed = [] if tables else layer_order_study.train_missing(epochs, precision)
    click.echo(layer_order_study.comparison_table(epochs, precision), nl=False)
    return 1 if failed else 0


old_layer_order = copy.copy(layer_order)  # its name until version 0.1
old_layer_order.hidden = True
old_layer_order.name = "placements"
COMMANDS = (train, standby, measure_threads, reproduce, layer_order, old_layer_order)
