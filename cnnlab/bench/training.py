"""Benchmark of training: the duration of an epoch against plain Keras, and the peak memory of a worker."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cnnlab import settings
from cnnlab.bench.options import BenchOptions, print_progress
from cnnlab.experiment import Experiment
from cnnlab.jobs.precision import bfloat16_hint
from cnnlab.operating_system.machine import memory_kib

MEMORY_POLL_SECONDS = 0.05


def bench_training(options: BenchOptions) -> None:
    """Print the seconds per epoch of plain `fit` and of the trainer, and the peak memory; bfloat16 where offered."""
    from cnnlab.training.provenance import device_name

    with tempfile.TemporaryDirectory() as folder:
        measures = {"plain fit": plain_epoch(options)}
        if hint := bfloat16_hint():
            print_progress(f"bfloat16 is not measured: {hint}")
        for precision in ("float32",) if hint else ("float32", "bfloat16"):
            measures[f"ours, {precision}"] = our_epoch(options, precision, Path(folder) / precision)
        seconds = measure_alternately(measures, options.rounds)
    plain = statistics.median(seconds["plain fit"])
    print(
        f"{options.depth}-conv, {options.regularizer}, {options.images:,} images, n={options.rounds}, {device_name()}"
    )
    for name, values in seconds.items():
        median = statistics.median(values)
        listed = " ".join(f"{value:.1f}" for value in values)
        print(f"{name:16} {median:6.1f} s an epoch, {plain / median:4.2f} times plain fit    ({listed})")
    print(f"peak memory of one worker (float32): {worker_peak_gb(options):.2f} GB")


def measure_alternately(measures: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call the measures in turn, once as a warm-up and then `rounds` times; returns the seconds by name."""
    seconds: dict[str, list[float]] = {name: [] for name in measures}
    for round_number in range(rounds + 1):
        for name, measure in measures.items():
            duration = measure()
            label = f"round {round_number} of {rounds}" if round_number else "warm-up"
            print_progress(f"{label}: {name} {duration:.1f} s")
            if round_number:
                seconds[name].append(duration)
    return seconds


def bench_experiment(options: BenchOptions, precision: str = "float32") -> Experiment:
    """The experiment that the options describe."""
    return Experiment(
        depth=options.depth, regularizer=options.regularizer, train_images=options.images, precision=precision
    )


def plain_epoch(options: BenchOptions) -> Callable[[], float]:
    """A function that times one epoch of plain Keras: arrays as input, validation after each epoch, Keras's own layers.

    It trains two epochs in one call of `fit` and returns the seconds of the second, without the setup of the call.
    """
    import keras

    from cnnlab import data
    from cnnlab.training import keras_model

    experiment = bench_experiment(options)
    split = data.split_dataset(data.load_dataset("cifar10"), experiment)
    x, y, validation = np.asarray(split.x_train), np.asarray(split.y_train), (np.asarray(split.x_val), split.y_val)
    model = keras_model.build_model(experiment, plain=True)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])

    def measure() -> float:
        ends: list[float] = []
        timer = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()))
        model.fit(x, y, batch_size=64, epochs=2, validation_data=validation, verbose=0, callbacks=[timer])
        return ends[1] - ends[0]

    return measure


def our_epoch(options: BenchOptions, precision: str, path: Path) -> Callable[[], float]:
    """A function that times one epoch of the trainer, with both evaluations, snapshot, checkpoint, history, record."""
    from cnnlab.training.trainer import Trainer

    trainer = Trainer(bench_experiment(options, precision), path, lambda event: None)

    def measure() -> float:
        started = time.perf_counter()
        trainer.end_epoch(1, trainer.train_epoch(1), started)
        return time.perf_counter() - started

    return measure


def worker_peak_gb(options: BenchOptions) -> float:
    """Peak resident memory, in GB (1e9 bytes), of a real worker that trains one epoch.

    Read from VmHWM of the worker. `ru_maxrss` of a child process includes the memory of the process that it was forked
    from, this one, before `exec`.
    """
    peak = 0.0
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "data").symlink_to(settings.data_dir())
        experiment = Experiment.from_dict(bench_experiment(options).to_dict() | {"epochs": 1})
        command = [sys.executable, "-m", "cnnlab", "train", "--json", experiment.to_json()]
        environment = os.environ | {"CNNLAB_HOME": home}
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as worker:
            while worker.poll() is None:
                peak = peak_resident_gb(worker.pid) or peak  # VmHWM only grows
                time.sleep(MEMORY_POLL_SECONDS)
        if worker.returncode:
            raise subprocess.CalledProcessError(worker.returncode, command)
    return peak


def peak_resident_gb(process: int) -> float:
    """The peak resident memory of a process until now, in GB (1e9 bytes); 0 where the process has ended, or unknown."""
    return memory_kib(process).get("VmHWM", 0) * 1024 / 1e9
