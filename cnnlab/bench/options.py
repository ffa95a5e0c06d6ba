"""The options of the benchmarks, and their progress messages."""

import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """What is measured.

    images, depth, regularizer: of the network that "training" trains. rounds: repetitions of each measurement.
    """

    images: int = 40_000
    rounds: int = 3
    depth: int = 3
    regularizer: str = "none"


def print_progress(message: str) -> None:
    """Print a message with the local time to the standard error stream."""
    print(time.strftime("%H:%M:%S"), message, file=sys.stderr, flush=True)
