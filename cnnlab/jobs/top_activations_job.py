"""The worker that finds the test images that excite each filter of a run most.

    python -m cnnlab top-images RUN

Ten thousand forward passes take about ten seconds: too long for a page to wait, too short for the queue. So a page
starts this worker (`COMPUTATION`), which writes the file of `top_activations_file`: for each filter the images with its
highest activations and from the middle of its range, whether it is zero on all images, and its selectivity for each
class.

Two threads each take a slice of the images at a time; NumPy releases the interpreter lock while it computes.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cnnlab import data
from cnnlab.analysis import activation_stats, top_activations
from cnnlab.analysis.batched_activations import ProgressCallback
from cnnlab.analysis.top_activations import MaxActivations
from cnnlab.array_types import Array
from cnnlab.data import Dataset
from cnnlab.jobs import top_activations_file
from cnnlab.jobs.top_activations_file import COMPUTATION, TopActivations, last_epoch
from cnnlab.storage.imported_networks import StoredNetwork, open_network

THREADS = 2
SLICE_IMAGES = 250  # images between two progress reports


def run_job(run: StoredNetwork | str, progress: ProgressCallback | None = None) -> TopActivations:
    """Compute the results for a run (or the run of this name), write them, and return them; the body of the worker.

    Raises UnknownRun, or ComputationError, one sentence, where another worker computes them, the data set is missing,
    or the disk is full.
    """
    run = open_network(run) if isinstance(run, str) else run
    return COMPUTATION.work(run, lambda report: _compute_and_save(run, report), progress)


def _compute_and_save(run: StoredNetwork, progress: ProgressCallback) -> TopActivations:
    found = compute(run, data.load_dataset(run.dataset), progress)
    top_activations_file.save(found, run)
    return found


def compute(run: StoredNetwork, dataset: Dataset, progress: ProgressCallback | None = None) -> TopActivations:
    """The results for the run's last weights on all test images. `progress(done, of)` is called for each slice."""
    epoch = last_epoch(run)
    weights, count = run.weights(epoch), len(dataset.x_test)
    firsts = range(0, count, SLICE_IMAGES)
    done = _Counter(count, progress)

    def slice_of(first: int) -> dict[str, MaxActivations]:
        images = dataset.x_test[first : first + SLICE_IMAGES]
        found = top_activations.max_activations(run.layers, weights, images)
        done.add(len(images))
        return found

    with ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(slice_of, firsts))
    labels = np.asarray(dataset.y_test)
    whole = {layer: top_activations.concatenate([part[layer] for part in parts]) for layer in parts[0]}
    return TopActivations(
        examples={layer: top_activations.select_examples(found) for layer, found in whole.items()},
        selectivity={layer: _selectivity(found.values, labels, len(dataset.classes)) for layer, found in whole.items()},
        images=count,
        epoch=epoch,
        fingerprint=dataset.fingerprint,
    )


def _selectivity(values: Array, labels: Array, classes: int) -> Array:
    """By class and filter; 0, no preference, for a class that none of the images shows."""
    found = np.zeros((classes, values.shape[1]), np.float32)
    for target in np.unique(labels):
        found[target] = activation_stats.class_selectivity(values, labels, int(target))
    return found


class _Counter:
    """Adds up what several threads have done."""

    def __init__(self, of: int, progress: ProgressCallback | None) -> None:
        self.done, self.of, self.progress = 0, of, progress
        self.lock = threading.Lock()

    def add(self, count: int) -> None:
        with self.lock:
            self.done += count
            if self.progress is not None:
                self.progress(self.done, self.of)
