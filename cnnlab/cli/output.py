"""What the commands print: error messages, log records, the progress of a training."""

import logging
import sys
from typing import Any

import click

MESSAGE_FORMAT, TIMESTAMP_FORMAT = "%(message)s", "%(asctime)s %(message)s"


def print_error(message: str, status: int) -> int:
    """Print a message to the standard error stream and return the exit status `status`."""
    click.echo(message, err=True)
    return status


def configure_logging(line_format: str) -> None:
    """Write the package's log records, from INFO on, to the standard error stream.

    A record that cannot be written (a full disk, a closed terminal) is dropped: a service goes on without its log.
    """
    logging.raiseExceptions = False
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(line_format, datefmt="%Y-%m-%d %H:%M:%S"))
    logger = logging.getLogger("cnnlab")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)


def print_event(event: dict[str, Any], split: str = "validation") -> None:
    """Print a line for each epoch; on a terminal also the progress within an epoch.

    `split` is what the accuracy on new images is measured on: "validation" or "test".
    """
    left = event.get("seconds_left")
    remaining = "" if left is None else f", {left / 60:.0f} min left" if left > 90 else f", {left:.0f} s left"
    if "batch" in event:
        if sys.stdout.isatty():
            print(f"epoch {event['epoch']}, batch {event['batch']} of {event['batches']}{remaining}  ", end="\r")
        return
    batches = f", {event['batches']} batches" if event.get("batches") else ""
    training = f"accuracy {event['accuracy']:.4f}, " if "accuracy" in event else ""
    print(f"epoch {event['epoch']}{batches}: {training}{split} {event['val_accuracy']:.4f}{remaining}", flush=True)


def print_progress(line: str) -> None:
    """Print a line; one that begins with a carriage return only on a terminal, where the next overwrites it."""
    if not line.startswith("\r"):
        click.echo(line)
    elif sys.stdout.isatty():
        click.echo(f"{line:<60}", nl=False)
