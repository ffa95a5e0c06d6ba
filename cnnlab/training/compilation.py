"""The compiled Keras model of an experiment: optimizer, loss and metrics as in the report; the file for download."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from cnnlab.array_types import Weights
from cnnlab.experiment import Experiment
from cnnlab.models.architecture import LayerOrder
from cnnlab.operating_system import file_operations
from cnnlab.regularizers import REGULARIZERS, check_implemented
from cnnlab.training import keras_model
from cnnlab.training.provenance import has_gpu

REGULARIZER_LOSSES: dict[str, Callable[[Experiment], Any]] = {}  # of those that replace the cross-entropy
check_implemented("loss", REGULARIZER_LOSSES)


def compile_model(experiment: Experiment, layer_order: LayerOrder | None = None) -> keras.Model:
    """The compiled network: the experiment's optimizer, cross-entropy on logits, accuracy.

    Where the regularizer changes the loss, a metric "cross_entropy" is the loss without that change.
    """
    model = keras_model.build_model(experiment, layer_order=layer_order)
    metrics: list[Any] = ["accuracy"]
    if REGULARIZERS[experiment.regularizer].changes_loss:
        metrics.append(keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="cross_entropy"))
    optimizers = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD, "rmsprop": keras.optimizers.RMSprop}
    model.compile(
        optimizer=optimizers[experiment.optimizer](learning_rate=experiment.learning_rate),
        loss=REGULARIZER_LOSSES.get(experiment.regularizer, cross_entropy_loss)(experiment),
        metrics=metrics,
        steps_per_execution=steps_per_execution(batches_per_epoch(experiment)),
    )
    model.optimizer.build(model.trainable_variables)
    return model


def cross_entropy_loss(experiment: Experiment) -> Any:
    """The mean cross-entropy of integer labels and logits."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def build_float32_model(experiment: Experiment, layer_order: LayerOrder | None = None) -> keras.Model:
    """The network of the experiment in float32, not compiled."""
    same = Experiment.from_dict(experiment.to_dict() | {"precision": "float32"})
    return keras_model.build_model(same, layer_order=layer_order)


def batches_per_epoch(experiment: Experiment) -> int:
    """How many batches an epoch has; the last one may be smaller."""
    return -(-(experiment.train_images or 0) // experiment.batch)


def steps_per_execution(batches: int) -> int:
    """How many batches run between two callbacks: at most 5 on a CPU, 25 on a GPU; a divisor of `batches`."""
    limit = 25 if has_gpu() else 5
    return max(size for size in range(1, limit + 1) if batches % size == 0)


def save_keras_file(experiment: Experiment, weights: Weights, path: Path) -> None:
    """Save a float32 model made of Keras's own layers only, so that `keras.models.load_model` opens it anywhere."""
    model = keras_model.build_model(experiment, plain=True)
    keras_model.set_weights(model, weights)
    part = path.with_name(".model.part.keras")
    model.save(part, include_optimizer=False)
    file_operations.replace(part, path)
