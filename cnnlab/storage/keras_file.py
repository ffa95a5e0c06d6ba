"""The weights of a `.keras` file, read without Keras.

A `.keras` file is a zip archive: `config.json` describes the layers, `model.weights.h5` is an HDF5 file of arrays.
Keras names the HDF5 groups after the layers' classes, in the order of the model: conv2d, conv2d_1, dense, ...
(https://keras.io/guides/serialization_and_saving/).
"""

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.array_types import Weights
from cnnlab.storage import bounded_files
from cnnlab.storage.bounded_files import DamagedFile

VARIABLE_NAMES = {  # of each class of layer, in the order in which Keras stores them
    "Conv2D": ("kernel", "bias"),
    "Dense": ("kernel", "bias"),
    "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),
}
OPTIONAL_VARIABLES = {"bias": "use_bias", "gamma": "scale", "beta": "center"}  # and the field that leaves each out
CONFIG, WEIGHTS = "config.json", "model.weights.h5"  # members of the archive
MAX_CONFIG_NESTING = 64
NOT_KERAS = "is not what Keras writes"


def read_weights(path: Path, shapes: Mapping[str, tuple[int, ...]], max_bytes: int) -> Weights:
    """The weights by "layer/variable" ("conv1/kernel", "bn1/gamma", ...), float32, of exactly these shapes.

    The archive expands to at most `max_bytes`. Raises FileNotFoundError; DamagedFile where the file has another
    structure than Keras writes, or the weights of another network.
    """
    members = bounded_files.read_archive(path, max_bytes)
    try:
        config = bounded_files.parse_json_object(members[CONFIG], max_nesting=MAX_CONFIG_NESTING)
        return read_datasets(members[WEIGHTS], dataset_paths(config["config"]["layers"]), shapes)
    except DamagedFile:
        raise
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        raise DamagedFile(NOT_KERAS) from None


def read_datasets(content: bytes, paths: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]) -> Weights:
    """The datasets of an HDF5 file at these paths, float32 by name, of exactly these shapes. Raises DamagedFile.

    A link to another file, or a dataset whose numbers lie in another file, is not followed.
    """
    import h5py

    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            found = {name: _own_dataset(file, place) for name, place in paths.items()}
            check_shapes({name: dataset.shape for name, dataset in found.items()}, shapes)
            return {name: np.asarray(dataset, np.float32) for name, dataset in found.items()}
    except DamagedFile:
        raise
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, RuntimeError, OSError, MemoryError):
        raise DamagedFile(NOT_KERAS) from None


def _own_dataset(file: Any, place: str) -> Any:
    """The dataset of floating-point numbers at this path, reached by hard links and stored in the file itself."""
    import h5py

    parts = place.split("/")
    for depth in range(1, len(parts) + 1):
        if not isinstance(file.get("/".join(parts[:depth]), getlink=True), h5py.HardLink):
            raise DamagedFile(NOT_KERAS)
    dataset = file[place]
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual or dataset.dtype.kind != "f":
        raise DamagedFile(NOT_KERAS)
    return dataset


def check_shapes(found: Mapping[str, Any], expected: Mapping[str, tuple[int, ...]]) -> None:
    """Raises DamagedFile unless `found` has exactly these names and shapes."""
    if missing := sorted(set(expected) - set(found)):
        raise DamagedFile(f"lacks {missing[0]}")
    if unknown := sorted(set(found) - set(expected)):
        raise DamagedFile(f"holds {unknown[0]:.60}, which this network does not have")
    for name, shape in expected.items():
        if found[name] != shape:
            raise DamagedFile(f"is that of another network: {name} has the shape {found[name]}, expected {shape}")


def dataset_paths(layers: list[dict[str, Any]]) -> dict[str, str]:
    """The HDF5 path of each weight by "layer/variable"; classes of layers that hold no weights are passed over."""
    counts: dict[str, int] = {}
    paths: dict[str, str] = {}
    for layer in layers:
        group = _group_name(layer["class_name"], counts)
        for index, name in enumerate(variable_names(layer)):
            paths[f"{layer['config']['name']}/{name}"] = f"layers/{group}/vars/{index}"
    return paths


def variable_names(layer: Mapping[str, Any]) -> list[str]:
    """The variables that this layer of a config stores, in their order."""
    known = VARIABLE_NAMES.get(layer["class_name"], ())
    return [name for name in known if layer["config"].get(OPTIONAL_VARIABLES.get(name, ""), True)]


def _group_name(class_name: str, counts: dict[str, int]) -> str:
    """The HDF5 group of the next layer of this class: 'conv2d' for the first Conv2D, 'conv2d_1' for the second."""
    base = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name).lower() if class_name != "Conv2D" else "conv2d"
    counts[base] = counts.get(base, -1) + 1
    return f"{base}_{counts[base]}" if counts[base] else base
