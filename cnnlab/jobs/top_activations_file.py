"""The file `top.npz`: for each filter of a run, the test images that excite it most, and how it prefers each class.

It lies in the run's directory; for a shipped run, whose directory is never written, in `home()/top/<key>/`. It names
its epoch and its data set: after further training, or with another data set, `load` returns None and
`top_activations_job` computes it again.
"""

from dataclasses import dataclass

import numpy as np

from cnnlab import data
from cnnlab.analysis.top_activations import FilterExamples, SelectedImages
from cnnlab.array_types import Array
from cnnlab.data import DatasetMissing
from cnnlab.jobs.run_computation import ComputationError, RunComputation
from cnnlab.storage.bounded_files import read_npz
from cnnlab.storage.files import write_npz
from cnnlab.storage.imported_networks import StoredNetwork

COMPUTATION = RunComputation(command="top-images", folder="top", status_name="top.json", lock_name="top.lock")
FILE = "top.npz"
FORMAT = 2
MAX_FILE_BYTES = 16_000_000  # of top.npz; four layers of 256 filters take 400,000
SELECTED_DTYPES = {"images": np.uint16, "values": np.float32, "rows": np.uint8, "columns": np.uint8}
RANGE_FIELDS = {"low": "minimum", "high": "maximum", "dead": "dead"}  # name in the file: field of FilterExamples


@dataclass(frozen=True, eq=False)
class TopActivations:
    """The results for a run.

    examples: by ReLU layer, the images (numbers in the test set) to show for each filter; selectivity: by ReLU layer,
    float32 (classes, f), how much higher each filter's maxima are on images of that class, -1 to 1; images: the number
    of test images; epoch: that of the weights; fingerprint: of the data set.
    """

    examples: dict[str, FilterExamples]
    selectivity: dict[str, Array]
    images: int
    epoch: int
    fingerprint: str


def load(run: StoredNetwork) -> TopActivations | None:
    """The results for the run's last weights on the data set of this machine, or None where they have to be computed.

    Without a data set on this machine nothing can be computed again, so the stored results count.
    """
    try:
        found = _from_arrays(read_npz(COMPUTATION.directory(run) / FILE, MAX_FILE_BYTES), run)
    except (OSError, ValueError, KeyError):  # missing, or damaged
        return None
    if found.epoch != last_epoch(run) or not _matches_local_data(run.dataset, found.fingerprint):
        return None
    return found


def _matches_local_data(name: str, fingerprint: str) -> bool:
    """Whether the data set on this machine has this fingerprint, or there is none on this machine."""
    try:
        return data.load_dataset(name).fingerprint == fingerprint
    except DatasetMissing:
        return True


def save(found: TopActivations, run: StoredNetwork) -> None:
    """Write the results of the run. Raises OSError."""
    write_npz(COMPUTATION.directory(run) / FILE, _to_arrays(found))


def last_epoch(run: StoredNetwork) -> int:
    """The newest epoch whose weights the run keeps. Raises ComputationError where it keeps none yet."""
    epochs = run.snapshot_epochs()
    if not epochs:
        raise ComputationError("This run has no weights yet: wait for its first epoch.")
    return epochs[-1]


def _to_arrays(found: TopActivations) -> dict[str, Array]:
    arrays: dict[str, Array] = {
        "format": np.array(FORMAT),
        "epoch": np.array(found.epoch),
        "images": np.array(found.images),
        "fingerprint": np.array(found.fingerprint),
    }
    for layer, found_examples in found.examples.items():
        for kind, selected in (("top", found_examples.top), ("middle", found_examples.middle)):
            for name, type_ in SELECTED_DTYPES.items():
                arrays[f"{layer}/{kind}/{name}"] = getattr(selected, name).astype(type_)
        arrays |= {f"{layer}/{name}": getattr(found_examples, field) for name, field in RANGE_FIELDS.items()}
        arrays[f"{layer}/selectivity"] = found.selectivity[layer]
    return arrays


def _from_arrays(arrays: dict[str, Array], run: StoredNetwork) -> TopActivations:
    """What `_to_arrays` wrote for the run's network. Raises KeyError, ValueError where that is something else."""
    layers = run.layers
    shapes = {layer.name: layer.output_shape for layer in layers if layer.kind == "relu" and layer.has_feature_maps}
    if arrays["format"].item() != FORMAT:
        raise ValueError(f"Expected format {FORMAT}. Received: {arrays['format']}")
    found = TopActivations(
        examples={layer: _read_examples(arrays, layer) for layer in shapes},
        selectivity={layer: arrays[f"{layer}/selectivity"] for layer in shapes},
        images=int(arrays["images"].item()),
        epoch=int(arrays["epoch"].item()),
        fingerprint=str(arrays["fingerprint"].item()),
    )
    for layer, shape in shapes.items():
        _check_examples(found.examples[layer], found.images, shape)
        _check_selectivity(found.selectivity[layer], run.dataset_info.class_count, shape[-1])
    return found


def _check_examples(examples: FilterExamples, images: int, shape: tuple[int, ...]) -> None:
    """Raises ValueError unless the arrays fit feature maps of `shape`, and name pictures among `images`."""
    height, width, filters = shape
    for selected in (examples.top, examples.middle):
        for name, type_ in SELECTED_DTYPES.items():
            values = getattr(selected, name)
            if values.dtype != type_ or values.ndim != 2 or values.shape != (filters, selected.images.shape[-1]):
                raise ValueError(f"Expected {name} by filter. Received: {values.dtype}, {values.shape}")
        ends = {"images": images, "rows": height, "columns": width}
        if any(getattr(selected, name).max(initial=0) >= end for name, end in ends.items()):
            raise ValueError(f"Expected images, rows and columns below {ends}.")
        if not np.isfinite(selected.values).all():
            raise ValueError("Expected finite values.")
    ranges = [getattr(examples, field) for field in RANGE_FIELDS.values()]
    if any(values.shape != (filters,) or not np.isfinite(values).all() for values in ranges):
        raise ValueError(f"Expected a finite range of {filters} filters.")


def _check_selectivity(selectivity: Array, classes: int, filters: int) -> None:
    """Raises ValueError unless it is finite, by class and filter."""
    if selectivity.shape != (classes, filters) or not np.isfinite(selectivity).all():
        raise ValueError(f"Expected selectivity ({classes}, {filters}). Received: {selectivity.shape}")


def _read_examples(arrays: dict[str, Array], layer: str) -> FilterExamples:
    top, middle = (
        SelectedImages(*(arrays[f"{layer}/{kind}/{name}"] for name in SELECTED_DTYPES)) for kind in ("top", "middle")
    )
    return FilterExamples(top, middle, *(arrays[f"{layer}/{name}"] for name in RANGE_FIELDS))
