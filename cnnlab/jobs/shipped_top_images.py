"""The file `top_images.npz` of a shipped run: indices of the test images that activate each filter most.

It holds indices and positions, no images, and a small part of what `top_activations_file` holds. A page reads it until
the whole file has been computed on this machine.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnlab.analysis.top_activations import SelectedImages
from cnnlab.array_types import Array
from cnnlab.jobs.top_activations_file import TopActivations, last_epoch
from cnnlab.storage.bounded_files import read_npz
from cnnlab.storage.files import write_npz
from cnnlab.storage.imported_networks import StoredNetwork

FILE = "top_images.npz"
MAX_FILE_BYTES = 1_000_000
DTYPES = {"images": np.uint16, "values": np.float16, "rows": np.uint8, "columns": np.uint8}


@dataclass(frozen=True, eq=False)
class TopImages:
    """The images that activate each filter most.

    examples: by ReLU layer, for each filter the indices of its images, strongest first; dead: by ReLU layer, bool (f,);
    images: the number of images they were chosen from.
    """

    examples: dict[str, SelectedImages]
    dead: dict[str, Array]
    images: int


def from_top_activations(found: TopActivations) -> TopImages:
    """The part of the full results that this file holds."""
    examples = {name: layer_examples.top for name, layer_examples in found.examples.items()}
    return TopImages(
        examples, {name: layer_examples.dead for name, layer_examples in found.examples.items()}, found.images
    )


def save(found: TopActivations, folder: Path) -> None:
    """Write the file into the directory of a run that is to be shipped. Raises OSError."""
    arrays: dict[str, Array] = {"epoch": np.array(found.epoch), "images": np.array(found.images)}
    arrays["fingerprint"] = np.array(found.fingerprint)
    for name, layer_examples in found.examples.items():
        arrays |= {f"{name}/{field}": getattr(layer_examples.top, field).astype(kind) for field, kind in DTYPES.items()}
        arrays[f"{name}/dead"] = layer_examples.dead
    write_npz(folder / FILE, arrays, compress=True)


def load(run: StoredNetwork, fingerprint: str) -> TopImages | None:
    """The content of the file; None where it is missing, damaged, of another epoch, or of images of another data set.

    fingerprint: that of the data set whose test images are meant.
    """
    shapes = {layer.name: layer.output_shape for layer in run.layers if layer.kind == "relu" and layer.has_feature_maps}
    try:
        arrays = read_npz(run.path / FILE, MAX_FILE_BYTES)
        found = _from_arrays(arrays, shapes)
        stored = int(arrays["epoch"].item()), str(arrays["fingerprint"].item())
    except (OSError, ValueError, KeyError):
        return None
    return found if stored == (last_epoch(run), fingerprint) else None


def _from_arrays(arrays: dict[str, Array], shapes: dict[str, tuple[int, ...]]) -> TopImages:
    """Raises KeyError, ValueError where the arrays do not fit feature maps of these shapes."""
    images = int(arrays["images"].item())
    examples = {}
    for name, (height, width, filters) in shapes.items():
        fields = {field: arrays[f"{name}/{field}"] for field in DTYPES}
        ends = {"images": images, "rows": height, "columns": width}
        for field, values in fields.items():
            if (
                values.dtype != DTYPES[field]
                or values.ndim != 2
                or values.shape != (filters, fields["images"].shape[1])
            ):
                raise ValueError(f"Expected {field} by filter. Received: {values.dtype}, {values.shape}")
            if field in ends and values.max(initial=0) >= ends[field]:
                raise ValueError(f"Expected {field} below {ends[field]}. Received: {values.max()}")
        if arrays[f"{name}/dead"].shape != (filters,) or not np.isfinite(fields["values"]).all():
            raise ValueError(f"Expected finite values of {filters} filters.")
        examples[name] = SelectedImages(**fields)
    return TopImages(examples, {name: arrays[f"{name}/dead"] for name in shapes}, images)
