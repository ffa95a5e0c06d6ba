"""The weights of a `.keras` file, read without Keras.

A `.keras` file is a zip archive: `config.json` describes the layers, `model.weights.h5` is an HDF5 file of arrays.
Keras names the HDF5 groups after the layers' classes, in the order of the model: conv2d, conv2d_1, dense, ...
(https://keras.io/guides/serialization_and_saving/).
"""

import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnnlab.array_types import Weights

VARIABLE_NAMES = {  # of each class of layer, in the order in which Keras stores them
    "Conv2D": ("kernel", "bias"),
    "Dense": ("kernel", "bias"),
    "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),
}


def read_weights(path: Path) -> Weights:
    """The weights by "layer/variable" ("conv1/kernel", "bn1/gamma", ...), float32.

    Classes of layers that hold no weights are passed over. Raises OSError, KeyError or zipfile.BadZipFile where the
    file is not what Keras writes.
    """
    import h5py

    counts: dict[str, int] = {}
    weights: dict[str, NDArray[np.float32]] = {}
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as file:
        for layer in json.loads(archive.read("config.json"))["config"]["layers"]:
            names = VARIABLE_NAMES.get(layer["class_name"], ())
            group = _group_name(layer["class_name"], counts)
            for index, name in enumerate(names):
                values = file["layers"][group]["vars"][str(index)]
                weights[f"{layer['config']['name']}/{name}"] = np.asarray(values, np.float32)
    return weights


def _group_name(class_name: str, counts: dict[str, int]) -> str:
    """The HDF5 group of the next layer of this class: 'conv2d' for the first Conv2D, 'conv2d_1' for the second."""
    base = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name).lower() if class_name != "Conv2D" else "conv2d"
    counts[base] = counts.get(base, -1) + 1
    return f"{base}_{counts[base]}" if counts[base] else base
