"""A short Keras program that trains an experiment again: it needs Keras and the data, not this package."""

from typing import Any

from cnnlab.experiment import Experiment
from cnnlab.lesson_report import drawing_program
from cnnlab.models.architecture import INPUT, Layer, network_layers, parameter_count
from cnnlab.models.keras_calls import KerasCall, keras_call
from cnnlab.regularizers import check_implemented

LOSS = "keras.losses.SparseCategoricalCrossentropy(from_logits=True)"
REGULARIZER_LOSSES: dict[str, str] = {}  # of those that replace the cross-entropy: an expression of {strength}
check_implemented("loss", REGULARIZER_LOSSES)

DATA = {
    "cifar10": """(images, labels), (test_images, test_labels) = keras.datasets.cifar10.load_data()
labels, test_labels = labels[:, 0], test_labels[:, 0]""",
    "shapes": drawing_program.READ,
}
ARCHIVE = """data = np.load(Path(__file__).with_name("{dataset}.npz"))
images, labels, test_images, test_labels = (data[name] for name in ("x_train", "y_train", "x_test", "y_test"))"""
TEMPLATE = '''"""{title}: trained as in CNN Lab. Run: python {file} [--epochs N]"""

import argparse
from pathlib import Path

import keras
import numpy as np

SEED, EPOCHS, BATCH = {seed}, {epochs}, {batch}
keras.utils.set_random_seed(SEED)

{data}
train, train_labels = images[:{train_images}], labels[:{train_images}]
validation, validation_labels = {validation}

image = keras.Input((32, 32, 3), dtype="uint8")
{layers}
model = keras.Model(image, {output})
model.compile(
    optimizer=keras.optimizers.{optimizer}(learning_rate={learning_rate}),
    loss={loss},
    metrics=["accuracy"],
)


def batches(epoch):
    """The training images of an epoch in its order."""
    order = np.random.default_rng({order_seed}).permutation(len(train))
    return train[order], train_labels[order]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    print("parameters:", model.count_params(), flush=True)  # {parameters:,} in CNN Lab
    for epoch in range(1, parser.parse_args().epochs + 1):
        history = model.fit(*batches(epoch), batch_size=BATCH, shuffle=False, verbose=0)
        _, accuracy = model.evaluate(validation, validation_labels, batch_size=1000, verbose=0)
        training = history.history["accuracy"][0]
        print(f"epoch {{epoch}}: training {{training:.4f}}, {split} {{accuracy:.4f}}", flush=True)
'''


def keras_script(experiment: Experiment, file: str) -> str:
    """The program of an experiment, to be saved under the name `file`."""
    layers = network_layers(experiment)
    info = experiment.dataset_info
    held_out = f"images[{info.train_images}:], labels[{info.train_images}:]"
    return TEMPLATE.format(
        title=experiment.title,
        file=file,
        seed=experiment.seed,
        epochs=experiment.epochs,
        batch=experiment.batch,
        data=DATA.get(info.name, ARCHIVE.format(dataset=info.name)),
        train_images=experiment.train_images,
        split=experiment.split,
        validation="test_images, test_labels" if experiment.split == "test" else held_out,
        layers="\n".join(layer_code(layer, experiment) for layer in layers),
        output=layers[-1].name,
        loss=REGULARIZER_LOSSES.get(experiment.regularizer, LOSS).format(strength=experiment.strength),
        optimizer={"adam": "Adam", "sgd": "SGD", "rmsprop": "RMSprop"}[experiment.optimizer],
        learning_rate=experiment.learning_rate,
        order_seed="[SEED, epoch]",
        parameters=parameter_count(layers),
    )


def layer_code(layer: Layer, experiment: Experiment) -> str:
    """One layer as a line of the program: a variable of its name, called with those that it reads."""
    inputs = ["image" if name == INPUT else name for name in layer.inputs]
    read = inputs[0] if len(inputs) == 1 else f"[{', '.join(inputs)}]"
    return f"{layer.name} = {call_code(keras_call(layer, experiment), name=layer.name)}({read})"


def call_code(call: KerasCall, **common: Any) -> str:
    """A call of Keras as an expression."""
    arguments = ", ".join(f"{name}={value_code(value)}" for name, value in {**call.arguments, **common}.items())
    return f"keras.{call.module}.{call.class_name}({arguments})"


def value_code(value: Any) -> str:
    """An argument as an expression, strings in double quotes."""
    if isinstance(value, KerasCall):
        return call_code(value)
    if value == 1 / 255:
        return "1 / 255"
    return f'"{value}"' if isinstance(value, str) else repr(value)
