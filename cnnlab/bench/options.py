"""The options of the benchmarks, and their progress messages."""

import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """What is measured.

    images: how many "training" trains on. depth, regularizer: of the network of "training", "probe" and "top-images".
    rounds: repetitions of each measurement.
    batches, core: how many batches "epochs" times in each round, and on which processor core it runs (None: any).
    """

    images: int = 40_000
    rounds: int = 3
    depth: int = 3
    regularizer: str = "none"
    batches: int = 25
    core: int | None = None


def print_progress(message: str) -> None:
    """Print a message with the local time to the standard error stream."""
    print(time.strftime("%H:%M:%S"), message, file=sys.stderr, flush=True)
