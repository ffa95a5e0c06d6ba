"""The command `sweep`: trainings that differ in one setting, and their results."""

from collections.abc import Callable
from typing import Any

import click

from cnnlab.cli.output import print_error
from cnnlab.cli.training import chosen_experiment, experiment_options
from cnnlab.experiment import NUMERIC_FIELDS
from cnnlab.formatting import pluralize
from cnnlab.storage import runs, sweep_files
from cnnlab.sweeps import Sweep, SweepError, Value, create_sweep, sweep_name


@click.group()
def sweep() -> None:
    """Train a network with one setting varied; show the results."""


@sweep.command("list")
def list_sweeps() -> None:
    """List the shipped sweeps and those of this home."""
    for stored in sweep_files.list_sweeps():
        experiments = stored.experiments()
        done = sum(runs.find_results(experiment) is not None for experiment in experiments)
        click.echo(f"{sweep_name(stored)}  {done} of {len(experiments)} trained  {stored.title}")


@sweep.command()
@click.argument("name")
def show(name: str) -> None:
    """Print the results of a sweep, by name or key."""
    from cnnlab.explanations import sweeps as sentences
    from cnnlab.explanations.strengths import describe_strengths
    from cnnlab.sweep_results import PointResult, sweep_results

    chosen = sweep_files.open_sweep(name)
    results = sweep_results(chosen)
    describe: dict[str, Callable[[Sweep, list[PointResult]], list[str]]] = {
        "train_images": sentences.describe_sizes,
        "strength": describe_strengths,
        "label_noise": sentences.describe_noise_levels,
    }
    lines = [chosen.title, "", sentences.sweep_table(chosen, results), ""]
    lines += [sentence.replace("**", "") for sentence in (describe[chosen.kind](chosen, results) if results else [])]
    click.echo("\n".join([*lines, sentences.describe_intervals(chosen, results)]))


@sweep.command()
@click.argument("name")
@click.option("--slots", type=int, help="processes at a time, each on a core of its own (default: all cores)")
@click.option("--publish", is_flag=True, help="put the results of finished runs under pretrained/seeds/")
def run(name: str, slots: int | None, publish: bool) -> int:
    """Train what is missing of a sweep.

    Ctrl-C stops it, the same command goes on.
    """
    from cnnlab import reproduce

    experiments = sweep_files.open_sweep(name).experiments()
    missing = [experiment for experiment in experiments if runs.find_results(experiment) is None]
    failed = reproduce.train_experiments(missing, slots)
    if publish:
        for experiment in reproduce.publishable_experiments(experiments):
            click.echo(f"published {reproduce.publish_results(experiment).name}", err=True)
    return 1 if failed else 0


@sweep.command()
@experiment_options
@click.argument("axes", nargs=-1, required=True, metavar="FIELD=VALUE,VALUE...")
def define(json_text: str | None, axes: tuple[str, ...], **fields: Any) -> int:
    """Store a sweep of one field.

    The field is train_images, strength or label_noise; augment, depth and seed may vary beside it. The other options
    are those of the network that is trained.
    """
    try:
        chosen: Sweep = create_sweep(chosen_experiment(json_text, fields), dict(map(parse_axis, axes)))
    except SweepError as error:
        return print_error(str(error), 2)
    sweep_files.write_sweep(chosen)
    click.echo(f"{chosen.key}: {chosen.title}, {pluralize(len(chosen.experiments()), 'training')}")
    return 0


def parse_axis(text: str) -> tuple[str, list[Value]]:
    """'train_images=250,500' as a field and its values. Raises SweepError."""
    field, equals, words = text.partition("=")
    if not equals:
        raise SweepError(f"Expected FIELD=VALUE,VALUE, such as strength=0,0.1. Received: {text!r}")
    values = [word.strip() for word in words.split(",") if word.strip()]
    if field not in NUMERIC_FIELDS:
        return field, list(values)
    try:
        numbers: list[Value] = [float(word) for word in values]
    except ValueError:
        raise SweepError(f"The values of {field} are numbers with commas between them. Received: {text!r}") from None
    return field, numbers


COMMANDS = (sweep,)
