"""Benchmark of the start of a training: seconds from the request to the first numbers, with and without a standby."""

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from cnnlab import data
from cnnlab.bench.options import BenchOptions, print_progress
from cnnlab.experiment import Experiment
from cnnlab.jobs import standby
from cnnlab.jobs.queue import Queue
from cnnlab.operating_system.machine import load_average
from cnnlab.settings import runs_dir
from cnnlab.storage import files
from cnnlab.storage.background_process import cnnlab_command

TIMEOUT_SECONDS = 300.0
POLL_SECONDS = 0.01


def bench_start(options: BenchOptions) -> None:
    """Print the seconds from a request on Shapes to the first validation accuracy and to the first batch's accuracy."""
    for name, workers in (("without a standby worker", "0"), ("with a standby worker", "1")):
        seconds = []
        with temporary_home(workers), dispatcher():
            for number in range(options.rounds):
                seconds.append(time_start(options, number, use_standby=workers == "1"))
                print_progress(
                    f"{name}, {number + 1} of {options.rounds}: {seconds[-1][0]:.2f} s, {seconds[-1][1]:.2f} s"
                )
        first, moving = (statistics.median(values) for values in zip(*seconds, strict=True))
        load = load_average() or 0.0
        print(f"{name}: first validation accuracy after {first:.2f} s, first batch's after {moving:.2f} s")
        print(f"    medians of n={options.rounds}; load average {load:.1f} on {os.cpu_count()} cores")


@contextmanager
def temporary_home(standby_workers: str) -> Iterator[None]:
    """A home with the Shapes data set and nothing else, for this process and those that it starts."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        variables = {"CNNLAB_HOME": folder, "CNNLAB_STANDBY_WORKERS": standby_workers}
        with patch.dict(os.environ, variables):
            data.load_dataset("shapes")
            yield


@contextmanager
def dispatcher() -> Iterator[None]:
    """A dispatcher of the current home, stopped at the end."""
    process = subprocess.Popen(cnnlab_command("dispatch"), stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def time_start(options: BenchOptions, number: int, use_standby: bool) -> tuple[float, float]:
    """Seconds from a request to the first row of the history, and to the first progress within an epoch."""
    if use_standby:
        wait_for(lambda: ready_count() > number)
    experiment = Experiment(dataset="shapes", depth=options.depth, regularizer=options.regularizer, seed=number)
    queue, path = Queue(), runs_dir() / experiment.key
    started = time.perf_counter()
    job = queue.submit(experiment, "bench")
    first = wait_for((path / "history.csv").exists) - started
    moving = wait_for(lambda: "batch" in files.read_json(path / "progress.json")) - started
    queue.cancel(job, "bench")
    wait_for(lambda: queue.get(job.id).is_finished)
    return first, moving


def ready_count() -> int:
    """How many standby workers have become ready in this home."""
    log = Path(standby.log_path())
    return log.read_text(encoding="utf-8").count(standby.READY) if log.exists() else 0


def wait_for(condition: Callable[[], object]) -> float:
    """The time (`time.perf_counter`) at which the condition became true. Raises TimeoutError."""
    deadline = time.perf_counter() + TIMEOUT_SECONDS
    while not condition():
        if time.perf_counter() > deadline:
            raise TimeoutError(f"The training did not start within {TIMEOUT_SECONDS:.0f} s.")
        time.sleep(POLL_SECONDS)
    return time.perf_counter()
