"""The Python API for a course: `import cnnlab; run = cnnlab.load("3conv-dropout")`.

Functions around the objects that the app uses: a run directory, its experiment, its weights, the forward pass in
NumPy. Nothing here imports TensorFlow; `train` starts a process that does. Images are uint8 (32, 32, 3) or
(n, 32, 32, 3), 0..255, RGB. Results are NumPy arrays and `Estimate`s (a figure with its 95 % interval).

Each error is one sentence: a LookupError where a network or a data set is not here (UnknownRun, DamagedRun,
DatasetMissing), a ValueError for a wrong value, a RuntimeError (TrainingError) for a training that failed, or OSError.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab import data, training_packages
from cnnlab.analysis import metrics
from cnnlab.analysis.statistics import Estimate, paired_difference, seed_difference
from cnnlab.api.network import Network as Network
from cnnlab.array_types import PixelArray
from cnnlab.data import photo_preprocessing, samples
from cnnlab.experiment import Experiment
from cnnlab.jobs import network_uploads
from cnnlab.storage import imported_networks, runs, series


class TrainingError(RuntimeError):
    """A training that could not be started or did not finish. The message is one sentence."""


def networks() -> list[str]:
    """The names of the finished networks on this machine: the ten of the report, those trained here, the imported ones.

    >>> import cnnlab
    >>> cnnlab.networks()[:2]
    ['2conv-none', '2conv-l2']
    """
    finished = [run.name for run in runs.list_runs() if run.state == "done"]
    return finished + [network.name for network in imported_networks.list_imported()]


def load(name: str) -> Network:
    """The network of this name or key.

    >>> import cnnlab
    >>> cnnlab.load("3conv-dropout").experiment.title
    '3-conv, dropout 0.1'

    Raises UnknownRun where there is none, DamagedRun.
    """
    return Network(imported_networks.open_network(str(name)))


def import_network(path: str | Path, *, classes: str = "", pixels: str = "0-1") -> Network:
    """A `.keras` file of yours as a network, which the app shows too; nothing in the file is run.

    classes: the names of its classes in their order, separated by commas ("": those of CIFAR-10). pixels: the range of
    its input, "0-1", "0-255" or "-1-1".

    >>> import cnnlab
    >>> images, labels = cnnlab.sample_images()
    >>> shipped = cnnlab.load("3conv-dropout")
    >>> own = cnnlab.import_network(shipped.run.path / "model.keras")
    >>> bool(abs(own.predict(images) - shipped.predict(images)).max() < 1e-5)
    True

    Raises NetworkImportError, a sentence that names the layer where one is not known, and OSError.
    """
    return Network(network_uploads.import_file(Path(path), class_names=classes, pixels=pixels))


def load_seeds(name: str) -> dict[int, Network]:
    """The networks that differ from `name` in nothing but the seed, by seed; those from a file have no weights.

    >>> import cnnlab
    >>> {0, 1} <= set(cnnlab.load_seeds("3conv-dropout"))
    True

    Raises UnknownRun, DamagedRun.
    """
    known = [*runs.list_runs(), *runs.shipped_seeds()]
    found = series.find_series(runs.open_run(name).experiment, known)
    return {seed: Network(run) for seed, run in found.runs.items()}


def sample_images() -> tuple[PixelArray, PixelArray]:
    """The twenty CIFAR-10 test images that come along, uint8 (20, 32, 32, 3), and their labels, uint8 (20,).

    >>> import cnnlab
    >>> images, labels = cnnlab.sample_images()
    >>> images.shape, labels[:4].tolist()
    ((20, 32, 32, 3), [3, 8, 8, 0])
    """
    return samples.sample_images()


def read_image(path: str | Path) -> PixelArray:
    """An image file as the app prepares an upload: a square from the center, reduced to uint8 (32, 32, 3).

    >>> import cnnlab
    >>> cnnlab.read_image(cnnlab.api.samples.SAMPLE_DIRECTORY / "cifar10_00_3.png").shape
    (32, 32, 3)

    Raises OSError, PhotoError (a ValueError) for what is no image.
    """
    return photo_preprocessing.prepare_photo(Path(path).read_bytes()).pixels


def compare(first: Network | Mapping[int, Network], second: Network | Mapping[int, Network]) -> Estimate:
    """The validation accuracy of `first` minus that of `second`, with a 95 % interval (for final networks the test's).

    Two networks: over the same images, from their stored predictions (`paired_difference`); chance is which images
    were drawn. Two results of `load_seeds`: over the seeds in common (`seed_difference`); chance is the seed, and fewer
    than three seeds give a range.

    >>> import cnnlab
    >>> difference = cnnlab.compare(cnnlab.load("3conv-dropout"), cnnlab.load("3conv-none"))
    >>> f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f}), n = {difference.n[0]:,}"
    '+0.054 (+0.045 to +0.063), n = 10,000'

    Raises ValueError where the two were validated on different images, InsufficientData without a common seed.
    """
    if isinstance(first, Network) and isinstance(second, Network):
        outcomes, other_outcomes = _outcomes(first), _outcomes(second)
        if not np.array_equal(outcomes.true_class, other_outcomes.true_class):
            raise ValueError("Expected two networks that were validated on the same images; these were not.")
        return paired_difference(outcomes.correct, other_outcomes.correct)
    if not (isinstance(first, Mapping) and isinstance(second, Mapping)):
        kinds = f"{type(first).__name__} and {type(second).__name__}"
        raise ValueError(f"Expected two networks, or two results of load_seeds. Received: {kinds}")
    return seed_difference(_final_accuracies(first), _final_accuracies(second))


def train(**fields: Any) -> Network:
    """Train an experiment in a process of its own, and wait for it; the progress is logged. Needs `cnnlab[train]`.

    `fields` are those of `Experiment`: depth, regularizer, strength, dataset, epochs, seed, ...; what is left out is as
    in the report. `dataset` may be the name of your own pictures. A finished run is returned at once; an interrupted
    one is continued.

    >>> import cnnlab
    >>> network = cnnlab.train(dataset="shapes", depth=2, train_images=64, epochs=1)
    >>> len(network.history["val_accuracy"])
    2

    Raises ExperimentError for a field or value that no experiment has, DatasetMissing, TrainingError.
    """
    from cnnlab import reproduce

    if "dataset" in fields:
        fields |= data.dataset_fields(str(fields["dataset"])) if "class_names" not in fields else {}
    experiment = Experiment.from_dict(fields)
    found = runs.find_run(experiment)
    if found is None or found.state != "done":
        if hint := training_packages.install_hint():
            raise TrainingError(hint)
        if reproduce.train_experiments([experiment]):
            raise TrainingError(f"{experiment.title} was not trained: {_reason(experiment)}")
        found = runs.find_run(experiment)
    if found is None:
        raise TrainingError(f"{experiment.title} left no run.")
    return Network(found)


def _reason(experiment: Experiment) -> str:
    run = runs.find_run(experiment)
    return run.record.reason or "its log says why." if run else "its process did not start."


def _final_accuracies(by_seed: Mapping[int, Network]) -> dict[int, float]:
    return {seed: float(network.history["val_accuracy"][-1]) for seed, network in by_seed.items()}


def _outcomes(network: Network) -> metrics.Predictions:
    """The stored predictions of the images that the network was validated on."""
    split, predictions = network.experiment.split, network.run.predictions()
    return metrics.classify(predictions[split], predictions[f"{split}_labels"])
