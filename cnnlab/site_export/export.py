"""Writes the folder of static files."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.analysis.receptive_field import receptive_field_centers
from cnnlab.array_types import PixelArray
from cnnlab.data import cifar10, photo_preprocessing, samples
from cnnlab.models.architecture import Layer, network_layers
from cnnlab.photo_decoding.decoder import PhotoError
from cnnlab.storage import files
from cnnlab.storage.runs import Run

STATIC = Path(__file__).parent / "static"
DATA_FILE, IMAGES_FILE = "site.json", "images.bin"
LAYER_FIELDS = ("name", "kind", "inputs", "output_shape", "block", "kernel", "padding", "activation")


class SiteError(ValueError):
    """A site that cannot be written. The message is one sentence."""


def export_site(folder: Path, runs: Sequence[Run], pictures: Sequence[Path] = ()) -> int:
    """Write the site of these finished runs on CIFAR-10 into `folder`, and return its size in bytes.

    The images are the pictures, reduced to 32x32 pixels as a photo in the app, and the twenty samples. Files of the
    same names are replaced, others are left alone. Raises SiteError, OSError, and UnknownRun or DamagedRun for weights
    that are not there.
    """
    if not runs:
        raise SiteError("Choose at least one run for the site. Received: none")
    for run in runs:
        if run.state != "done" or run.experiment.dataset != "cifar10":
            raise SiteError(f"Choose finished runs on CIFAR-10. Received: {run.name} ({run.experiment.title})")
    chosen = [_read_picture(path) for path in pictures]
    images, labels = samples.sample_images()
    told = [{"name": path.name, "label": None} for path in pictures]
    told += [{"name": f"test image {number}", "label": label} for number, label in enumerate(labels.tolist())]
    networks = [_write_network(folder, run) for run in runs]
    files.write_bytes(folder / IMAGES_FILE, b"".join(array.tobytes() for array in (*chosen, *images)))
    for source in sorted(STATIC.iterdir()):
        files.write_bytes(folder / source.name, source.read_bytes())
    content = {"classes": list(cifar10.CLASSES), "images": told, "networks": networks}
    files.write_json(folder / DATA_FILE, content)
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def _read_picture(path: Path) -> PixelArray:
    """A picture as uint8 (32, 32, 3). Raises SiteError for a file that is none, OSError for one that is not there."""
    try:
        return photo_preprocessing.prepare_photo(path.read_bytes()).pixels
    except PhotoError as error:
        raise SiteError(f"{path.name}: {error}") from None


def _write_network(folder: Path, run: Run) -> dict[str, Any]:
    """Write the last weights of a run as one file of little-endian float32, and describe it for network.js."""
    layers, weights = network_layers(run.experiment), run.weights(run.record.epochs_done)
    arrays, offset, chunks = {}, 0, []
    for name in [name for layer in layers for name in layer.weight_names]:
        values = np.ascontiguousarray(weights[name], "<f4")
        arrays[name] = {"offset": offset, "shape": list(values.shape)}
        offset += values.size
        chunks.append(values.tobytes())
    files.write_bytes(folder / f"{run.name}.bin", b"".join(chunks))
    history = run.history()
    return {
        "name": run.name,
        "title": run.title,
        "accuracy": float(history["val_accuracy"][-1]),
        "accuracy_of": run.experiment.split,
        "layers": [_describe(layer) for layer in layers],
        "weights": arrays,
        "centers": {layer.name: _centers(layers, layer) for layer in layers if layer.has_feature_maps},
    }


def _describe(layer: Layer) -> dict[str, Any]:
    """What network.js needs to know of a layer."""
    values = asdict(layer)
    return {name: values[name] for name in LAYER_FIELDS}


def _centers(layers: Sequence[Layer], layer: Layer) -> list[float]:
    """The image coordinates of the centers of a map's pixels; maps are square."""
    return receptive_field_centers(layers, layer.name, layer.output_shape[0])
