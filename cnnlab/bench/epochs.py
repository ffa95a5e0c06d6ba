"""Benchmark of an epoch of each of the report's eight networks under equal conditions.

One process with one thread on one core measures the networks in turn, round by round. What is counted is processor time
of that process: work beside it lengthens the wall time, and the processor time little. A few batches are timed and
scaled to the 625 of an epoch; the evaluation after an epoch is left out.
"""

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnlab.bench.options import BenchOptions
from cnnlab.bench.training import measure_alternately
from cnnlab.experiment import Experiment
from cnnlab.operating_system.machine import load_average
from cnnlab.report_models import REPORT
from cnnlab.storage.epoch_times import EpochTimes, measured_path, write_epoch_times

WARM_UP_BATCHES = 5  # of each call of `fit`: one call from Keras into TensorFlow


def bench_epochs(options: BenchOptions) -> None:
    """Print and keep the processor seconds of an epoch of each network, the median of `options.rounds`."""
    from cnnlab.training.process_setup import prepare_process

    prepare_process(threads=1, core=options.core)
    names = [name for name, model in REPORT.items() if model.experiment.split == "validation"]
    loads: list[float] = []
    measures = epoch_measures(names, options.batches, loads)
    seconds = measure_alternately(measures, options.rounds)
    times = describe_measurement(seconds, options, max(loads))
    write_epoch_times(measured_path(), times)
    print(
        f"processor seconds of one epoch, one thread on one of {times.cores} cores, n={times.rounds},"
        f" {times.batches} of {times.epoch_batches} batches each, load up to {times.load:.1f}, {times.machine}"
    )
    for name, values in times.seconds.items():
        print(f"{name:16} {statistics.median(values):6.1f} s    ({' '.join(f'{value:.1f}' for value in values)})")
    print(f"written to {measured_path()}")


def epoch_measures(names: list[str], batches: int, loads: list[float]) -> dict[str, Callable[[], float]]:
    """A function for each network that measures it once; all read the same images. The load is added to `loads`."""
    from cnnlab import data
    from cnnlab.training.input_pipeline import InputPipeline

    split = data.split_dataset(data.load_dataset("cifar10"), Experiment())
    images = InputPipeline(split.x_train, split.y_train)
    return {name: epoch_measure(REPORT[name].experiment, images, batches, loads) for name in names}


def epoch_measure(experiment: Experiment, images: Any, batches: int, loads: list[float]) -> Callable[[], float]:
    """A function that trains `batches` batches of a network and returns the processor seconds of an epoch of such."""
    import keras

    from cnnlab.training.compilation import batches_per_epoch, compile_model

    model = compile_model(experiment)
    order = np.random.default_rng(experiment.seed).permutation(len(images))
    order = order[: (WARM_UP_BATCHES + batches) * experiment.batch]

    def measure() -> float:
        clock: dict[int, float] = {}
        timer = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: clock.update({batch + 1: time.process_time()})
        )
        model.fit(images.batches(order, experiment.batch), shuffle=False, verbose=0, callbacks=[timer])
        loads.append(load_average() or 0.0)
        first, last = min(clock), max(clock)
        return (clock[last] - clock[first]) / (last - first) * batches_per_epoch(experiment)

    return measure


def describe_measurement(seconds: dict[str, list[float]], options: BenchOptions, load: float) -> EpochTimes:
    """The seconds with the machine, the versions and the time."""
    from cnnlab.training.compilation import batches_per_epoch
    from cnnlab.training.provenance import device_name, package_versions, utc_now

    return EpochTimes(
        machine=device_name(),
        cores=os.cpu_count() or 1,
        threads=1,
        batches=options.batches,
        epoch_batches=batches_per_epoch(Experiment()),
        load=round(load, 2),
        finished=utc_now(),
        versions=package_versions(),
        seconds={name: tuple(round(value, 2) for value in values) for name, values in seconds.items()},
    )
