"""Runs on disk with random weights, made in milliseconds and without Keras: enough to look inside of."""

from pathlib import Path

import numpy as np

from cnnlab.experiment import Experiment
from cnnlab.models.architecture import network_layers
from cnnlab.storage import files, runs

EPOCHS = (0, 1, 2)


def some_weights(experiment: Experiment, seed: int) -> dict[str, np.ndarray]:
    """Weights of the size that training leaves, with biases and moments that are not their defaults."""
    rng, weights, incoming = np.random.default_rng(seed), {}, (32, 32, 3)
    for layer in network_layers(experiment):
        if layer.kind == "conv":
            shape = (layer.kernel, layer.kernel, incoming[-1], layer.filters)
        elif layer.kind == "dense":
            shape = (incoming[-1], layer.output_shape[-1])
        if layer.kind in ("conv", "dense"):
            spread = np.sqrt(2 / np.prod(shape[:-1]))
            weights[f"{layer.name}/kernel"] = rng.normal(0, spread, shape).astype(np.float32)
            weights[f"{layer.name}/bias"] = rng.normal(0, 0.05, shape[-1]).astype(np.float32)
        if layer.kind == "bn":
            for role in ("gamma", "beta", "moving_mean", "moving_variance"):
                weights[f"{layer.name}/{role}"] = rng.uniform(0.3, 1.2, incoming[-1]).astype(np.float32)
        incoming = layer.output_shape
    return weights


def write_run(folder: Path, experiment: Experiment, epochs: tuple[int, ...] = EPOCHS, **record: object) -> runs.Run:
    """A finished run in `folder`: experiment, record, history and the weights after these epochs."""
    files.write_bytes(folder / "experiment.json", experiment.to_json().encode())
    state = {"state": "done", "epochs_done": epochs[-1], "seconds": 1.0}
    files.write_json(folder / "record.json", state | record)
    rows = [
        dict.fromkeys(runs.HISTORY_COLUMNS, 0.1 + 0.05 * epoch)
        | {"epoch": epoch, "train_eval_accuracy": 0.1 + 0.07 * epoch}
        for epoch in range(epochs[-1] + 1)
    ]
    runs.write_history(folder / "history.csv", rows)
    for epoch in epochs:
        files.write_npz(folder / "weights" / f"{epoch:03}.npz", some_weights(experiment, seed=epoch))
    return runs.read_run(folder)


def write_home(home: Path) -> dict[str, runs.Run]:
    """One run for each regularizer, by regularizer."""
    made = {}
    for depth, regularizer in ((3, "dropout"), (2, "batchnorm"), (3, "l2"), (3, "none")):
        experiment = Experiment(depth=depth, regularizer=regularizer, epochs=2)
        made[regularizer] = write_run(home / "runs" / experiment.key, experiment)
    return made
