"""The command line: python -m cnnlab COMMAND. Each command is a few lines over the module that does the work."""

import argparse
import os
import sys
from typing import Any

from cnnlab.experiment import CHOICES, Experiment, ExperimentError

EXIT_CODES = {"done": 0, "failed": 1, "stopped": 3}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status is 0 where it did what was asked."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except (ExperimentError, LookupError) as problem:
        print(problem.args[0], file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    top = argparse.ArgumentParser(prog="python -m cnnlab", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    train = commands.add_parser("train", help="train one experiment into its run directory, or go on with it")
    add_experiment(train)
    train.set_defaults(run=run_train)
    return top


def add_experiment(command: argparse.ArgumentParser) -> None:
    """One flag for each field of an experiment, or all of them as JSON."""
    numbers = {"depth": int, "strength": float, "filters": int, "kernel": int, "dense": int, "epochs": int}
    numbers |= {"batch": int, "learning_rate": float, "seed": int, "train_images": int}
    for name, allowed in CHOICES.items():
        command.add_argument(f"--{name}", choices=allowed)
    for name, kind in numbers.items():
        command.add_argument(f"--{name.replace('_', '-')}", type=kind)
    command.add_argument("--json", metavar="EXPERIMENT", help="the whole experiment as JSON")
    command.add_argument("--threads", type=int, help="threads for one operation (a resumed run keeps its own number)")
    command.set_defaults(fields=[*CHOICES, *numbers])


def chosen(options: argparse.Namespace) -> Experiment:
    """The experiment that the flags describe."""
    if options.json:
        return Experiment.from_json(options.json)
    given = {name: getattr(options, name) for name in options.fields}
    return Experiment.from_dict({name: value for name, value in given.items() if value is not None})


def run_train(options: argparse.Namespace) -> int:
    """Train, with a line on the terminal for each epoch."""
    from cnnlab import runs, settings

    experiment = chosen(options)
    recorded = runs.read_json(settings.runs_dir() / experiment.key / "record.json").get("threads")
    if threads := recorded or options.threads:  # read by TensorFlow at its import
        os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(threads)
    from cnnlab.training import train

    state = train(experiment, report=print_event)
    print(f"{state}: {experiment.title}, run {experiment.key}")
    return EXIT_CODES[state]


def print_event(event: dict[str, Any]) -> None:
    """A line an epoch; between them, on a terminal, how far the epoch has come."""
    left = event.get("seconds_left")
    remaining = "" if left is None else f", {left / 60:.0f} min left" if left > 90 else f", {left:.0f} s left"
    if "batch" in event:
        if sys.stdout.isatty():
            print(f"epoch {event['epoch']}, batch {event['batch']} of {event['batches']}{remaining}  ", end="\r")
        return
    training = f"accuracy {event['accuracy']:.4f}, " if "accuracy" in event else ""
    print(f"epoch {event['epoch']}: {training}validation {event['val_accuracy']:.4f}{remaining}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
