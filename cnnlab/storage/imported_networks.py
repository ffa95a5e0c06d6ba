"""Networks that were trained elsewhere and imported from a `.keras` file: opened, listed, removed.

`network_import` brings one in.

    home()/networks/own-<12 hex digits>/
        network.json     title, owner, class names, range of the pixels, and the config.json of the file
        weights.npz      float32 by "layer/role", as in a run
        predictions.npz  logits on the test images, where they could be computed (`jobs.network_uploads`)

Such a network has no experiment, history or epochs, so it is no run: Look inside and Mistakes show it, and no table of
runs counts it. The file itself is not kept.
"""

import re
import shutil
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab import settings
from cnnlab.array_types import Weights
from cnnlab.datasets import DATASETS, DatasetInfo
from cnnlab.formatting import quoted
from cnnlab.models.architecture import Layer, weight_shapes
from cnnlab.models.keras_config import (
    MAX_PARAMETERS,
    network_from_config,
)
from cnnlab.models.keras_layers import UnsupportedModel
from cnnlab.storage import bounded_files, keras_file, run_files
from cnnlab.storage.bounded_files import DamagedFile
from cnnlab.storage.process_lock import is_locked
from cnnlab.storage.run import DamagedRun, Run, UnknownRun
from cnnlab.storage.runs import open_run

NAME_PATTERN = re.compile(r"own-[0-9a-f]{12}")
NETWORK_FILE, WEIGHTS_FILE, PREDICTIONS_FILE = "network.json", "weights.npz", "predictions.npz"
EPOCH = 0  # the only one; the number stands for "as imported"
MAX_WEIGHTS_BYTES = 4 * MAX_PARAMETERS + 2_000_000
MAX_CONFIG_BYTES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class ImportedNetwork:
    """A network from elsewhere, under the names that a `Run` has, as far as it has them.

    classes: the names of its classes by output; dataset: the data set whose images it is shown; owner: the person who
    brought it in, "" for the command line; imported: a Unix time; pixels: one of PIXEL_RANGES.
    """

    path: Path
    title: str
    owner: str
    classes: tuple[str, ...]
    dataset: str
    pixels: str
    imported: float
    layers: tuple[Layer, ...]

    is_live = False
    is_pretrained = False

    @property
    def name(self) -> str:
        """The name of its directory, own-<12 hex digits>."""
        return self.path.name

    @property
    def key(self) -> str:
        """The same as `name`; a run has its experiment's key here."""
        return self.path.name

    @property
    def dataset_info(self) -> DatasetInfo:
        """What is known of the data set whose images it is shown."""
        return DATASETS[self.dataset]

    @property
    def is_being_tested(self) -> bool:
        """Whether its predictions on the test images are being computed."""
        return is_locked(self.path / "test.lock")

    def snapshot_epochs(self) -> list[int]:
        """The one state that it has."""
        return [EPOCH]

    def damages(self) -> dict[str, str]:
        """Empty: a damaged one is not opened."""
        return {}

    def weights(self, epoch: int = EPOCH) -> Weights:
        """The weights, float32 by "layer/role". Raises DamagedRun."""
        try:
            arrays = bounded_files.read_npz(self.path / WEIGHTS_FILE, MAX_WEIGHTS_BYTES)
            keras_file.check_shapes({name: array.shape for name, array in arrays.items()}, weight_shapes(self.layers))
            run_files.check_dtypes(arrays, "f")
        except (OSError, DamagedFile) as damage:
            raise DamagedRun(f"The network {self.title} is damaged: {WEIGHTS_FILE} {damage}.") from None
        return {name: values.astype(np.float32) for name, values in arrays.items()}

    def predictions(self) -> dict[str, NDArray[Any]]:
        """ "test" logits (n, classes) and "test_labels" (n,); empty where they were not computed. Raises DamagedRun."""
        try:
            return run_files.read_logits(self.path / PREDICTIONS_FILE, len(self.classes))
        except FileNotFoundError:
            return {}
        except (OSError, DamagedFile) as damage:
            raise DamagedRun(f"The network {self.title} is damaged: {PREDICTIONS_FILE} {damage}.") from None


StoredNetwork = Run | ImportedNetwork  # what Look inside and Mistakes show


def directory() -> Path:
    """The directory of the imported networks."""
    return settings.home() / "networks"


def is_imported(reference: str) -> bool:
    """Whether the name is one of an imported network, be it there or not."""
    return NAME_PATTERN.fullmatch(reference) is not None


def open_imported(reference: str) -> ImportedNetwork:
    """The imported network of this name. Raises UnknownRun, DamagedRun."""
    path = directory() / reference
    if not is_imported(reference) or not (path / NETWORK_FILE).is_file():
        raise _not_here(reference)
    try:
        return _read(path, run_files.file_signature(path / NETWORK_FILE))
    except (OSError, DamagedFile, UnsupportedModel, KeyError, TypeError, ValueError):
        raise DamagedRun(f"The network {reference} is damaged: {NETWORK_FILE} cannot be used.") from None


def _not_here(reference: str) -> UnknownRun:
    return UnknownRun(f"There is no imported network called {quoted(reference)} here: its owner may have removed it.")


def open_network(reference: str) -> StoredNetwork:
    """The run or the imported network of this name. Raises UnknownRun, DamagedRun."""
    return open_imported(reference) if is_imported(reference) else open_run(reference)


@lru_cache(maxsize=256)
def _read(path: Path, signature: tuple[int, ...]) -> ImportedNetwork:
    content = bounded_files.read_file(path / NETWORK_FILE, 2 * MAX_CONFIG_BYTES)
    value = bounded_files.parse_json_object(content, keras_file.MAX_CONFIG_NESTING + 1)
    network = network_from_config(value["config"], value["pixels"])
    return ImportedNetwork(
        path=path,
        title=str(value["title"]),
        owner=str(value["owner"]),
        classes=tuple(map(str, value["classes"])),
        dataset=str(value["dataset"]),
        pixels=str(value["pixels"]),
        imported=float(value["imported"]),
        layers=network.layers,
    )


def list_imported() -> list[ImportedNetwork]:
    """Every imported network, the newest first; damaged ones are left out."""
    found = []
    for path in directory().glob("own-*"):
        try:
            found.append(open_imported(path.name))
        except UnknownRun:
            continue
    return sorted(found, key=lambda network: -network.imported)


def remove_imported(name: str) -> None:
    """Remove the imported network of this name. Raises UnknownRun where there is none."""
    folder = directory() / name
    if not is_imported(name) or not folder.is_dir():
        raise _not_here(name)
    bin_ = directory() / f".removed-{name}-{time.time_ns()}"
    folder.rename(bin_)
    shutil.rmtree(bin_, ignore_errors=True)
