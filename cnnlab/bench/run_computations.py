"""Benchmarks of what a worker computes of one run: linear probes of its layers, top images of its filters."""

import statistics
import time
from collections.abc import Callable

from cnnlab import data
from cnnlab.bench.options import BenchOptions
from cnnlab.bench.training import measure_alternately
from cnnlab.data import Dataset
from cnnlab.jobs import probe_job, top_activations_job
from cnnlab.jobs.thread_measurement import machine_name
from cnnlab.storage import runs
from cnnlab.storage.runs import Run


def bench_probe(options: BenchOptions) -> None:
    """Print the seconds of the probes of every layer, trained and untrained."""
    print_seconds("probe", options, probe_job.compute, probe_job.IMAGES)


def bench_top_images(options: BenchOptions) -> None:
    """Print the seconds of the top images of every filter, on all test images."""
    print_seconds("top-images", options, top_activations_job.compute)


def print_seconds(
    name: str, options: BenchOptions, compute: Callable[[Run, Dataset], object], max_images: int | None = None
) -> None:
    """Print the median seconds of `compute` for the report's network of this depth and regularizer.

    Its images are the first `max_images` test images, None for all: those of CIFAR-10 where it is on this machine, else
    those of Shapes. The start of the worker's process, about a second, is not counted.
    """
    run = runs.open_run(f"{options.depth}conv-{options.regularizer}")
    dataset = data.load_dataset("cifar10" if data.is_dataset_available("cifar10") else "shapes")

    def measure() -> float:
        started = time.perf_counter()
        compute(run, dataset)
        return time.perf_counter() - started

    values = measure_alternately({name: measure}, options.rounds)[name]
    images = len(dataset.x_test[:max_images])
    print(f"{run.title}, {images:,} test images of {dataset.name}, n={options.rounds}, {machine_name()}")
    print(f"{name:16} {statistics.median(values):6.1f} s    ({' '.join(f'{value:.1f}' for value in values)})")
