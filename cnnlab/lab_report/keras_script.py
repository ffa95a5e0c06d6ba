"""A short Keras program that trains an experiment again: it needs Keras and the data, not this package."""

import zlib

from cnnlab.experiment import Experiment
from cnnlab.models.architecture import Layer, network_layers, parameter_count
from cnnlab.regularizers import REGULARIZERS

DATA = {
    "cifar10": """(images, labels), (test_images, test_labels) = keras.datasets.cifar10.load_data()
labels, test_labels = labels[:, 0], test_labels[:, 0]""",
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

model = keras.Sequential([
    keras.Input((32, 32, 3), dtype="uint8"),
{layers}
])
model.compile(
    optimizer=keras.optimizers.{optimizer}(learning_rate={learning_rate}),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
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
        layers="\n".join(f"    {layer_code(layer, experiment)}," for layer in layers),
        optimizer={"adam": "Adam", "sgd": "SGD", "rmsprop": "RMSprop"}[experiment.optimizer],
        learning_rate=experiment.learning_rate,
        order_seed="[SEED, epoch]",
        parameters=parameter_count(layers),
    )


def layer_code(layer: Layer, experiment: Experiment) -> str:
    """One layer as an expression of Keras."""
    penalized = REGULARIZERS[experiment.regularizer].penalizes_weights
    penalty = f", kernel_regularizer=keras.regularizers.L2({experiment.strength})" if penalized else ""
    name = f'name="{layer.name}"'
    match layer.kind:
        case "rescale":
            return f"keras.layers.Rescaling(1 / 255, {name})"
        case "conv":
            padding = f', padding="{layer.padding}"'
            return f"keras.layers.Conv2D({layer.filters}, {layer.kernel}{padding}{penalty}, {name})"
        case "bn":
            return f"keras.layers.BatchNormalization({name})"
        case "relu":
            return f"keras.layers.ReLU({name})"
        case "pool":
            return f"keras.layers.MaxPooling2D(2, {name})"
        case "dropout":
            seed = zlib.crc32(f"{experiment.seed}/{layer.name}".encode()) >> 1  # as in CNN Lab
            return f"keras.layers.Dropout({layer.rate}, seed={seed}, {name})"
        case "flatten":
            return f"keras.layers.Flatten({name})"
        case _:
            return f'keras.layers.Dense({layer.output_shape[0]}, activation="{layer.activation}"{penalty}, {name})'
