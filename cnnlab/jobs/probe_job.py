"""The worker that fits a linear probe to each layer of a run, and the file of its results.

    python -m cnnlab probe RUN

Ten thousand forward passes, 5,000 images through the trained and the untrained network, take about ten seconds: too
long for a page to wait. So a page starts this worker (`COMPUTATION`), which writes `probes.json` into the run's
directory; for a shipped run, whose directory is never written, into `home()/probes/<key>/`. A shipped run brings its
own results. The images are test images, which the network was not trained on.
"""

import contextlib
from dataclasses import asdict, dataclass, replace

import numpy as np

from cnnlab import data
from cnnlab.analysis import linear_probe
from cnnlab.analysis.batched_activations import ProgressCallback
from cnnlab.data import Dataset
from cnnlab.jobs.run_computation import ComputationError, RunComputation
from cnnlab.models.architecture import network_layers
from cnnlab.storage import bounded_files, files
from cnnlab.storage.runs import Run, open_run

COMPUTATION = RunComputation(
    command="probe", folder="probes", status_name="probes_status.json", lock_name="probes.lock"
)
FILE = "probes.json"
MAX_FILE_BYTES = 100_000
IMAGES = 5_000


@dataclass(frozen=True)
class ProbeResults:
    """Accuracies of linear probes, 0 to 1, by layer.

    trained: on the activations at `epoch`; untrained: at epoch 0, empty where the run does not keep it; test_images:
    how many images the accuracies are measured on; train_images: how many the probes were fitted on.
    """

    trained: dict[str, float]
    untrained: dict[str, float]
    epoch: int
    train_images: int
    test_images: int


def load(run: Run) -> ProbeResults | None:
    """The results for the run's last weights; None where they have to be computed."""
    for folder in dict.fromkeys((COMPUTATION.directory(run), run.path)):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            content = bounded_files.read_file(folder / FILE, MAX_FILE_BYTES)
            found = _from_json(bounded_files.parse_json_object(content), run)
            if found.epoch == run.snapshot_epochs()[-1]:
                return found
    return None


def _from_json(value: dict[str, object], run: Run) -> ProbeResults:
    """Raises KeyError, TypeError, ValueError where the value is no result for the run's network."""
    found = ProbeResults(**value)  # type: ignore[arg-type]
    names = linear_probe.probed_layers(network_layers(run.experiment))
    for accuracies in (found.trained, found.untrained or found.trained):
        if set(accuracies) != set(names) or not all(0 <= float(accuracy) <= 1 for accuracy in accuracies.values()):
            raise ValueError(f"Expected an accuracy for each of {', '.join(names)}. Received: {accuracies}")
    if not all(isinstance(count, int) and count >= 0 for count in (found.epoch, found.train_images, found.test_images)):
        raise ValueError(f"Expected whole numbers of images. Received: {found}")
    trained, untrained = (
        {name: accuracies[name] for name in names if accuracies} for accuracies in (found.trained, found.untrained)
    )
    return replace(found, trained=trained, untrained=untrained)


def run_job(run: Run | str) -> ProbeResults:
    """Fit the probes of a run (or the run of this name), write the results, and return them; the body of the worker.

    Raises UnknownRun, or ComputationError, one sentence, where another worker computes for this run or too many wait,
    the data set is missing, the weights are not numbers, or the disk is full.
    """
    run = open_run(run) if isinstance(run, str) else run
    return COMPUTATION.work(run, lambda progress: _compute_and_save(run, progress))


def _compute_and_save(run: Run, progress: ProgressCallback) -> ProbeResults:
    found = compute(run, data.load_dataset(run.dataset), progress)
    files.write_json(COMPUTATION.directory(run) / FILE, asdict(found))
    return found


def compute(run: Run, dataset: Dataset, progress: ProgressCallback | None = None, images: int = IMAGES) -> ProbeResults:
    """The results for the run's last weights and for its first ones, on the first `images` test images.

    Raises ComputationError where the run has no weights yet, ValueError.
    """
    layers, epochs = network_layers(run.experiment), run.snapshot_epochs()
    if not epochs:
        raise ComputationError("This run has no weights yet: wait for its first epoch.")
    pixels, labels = dataset.x_test[:images], np.asarray(dataset.y_test[:images])
    names, used = linear_probe.probed_layers(layers), list(dict.fromkeys((epochs[-1], *epochs[:1])))
    used = [epoch for epoch in used if epoch in (0, epochs[-1])]
    found = {}
    for place, epoch in enumerate(used):

        def report(done: int, total: int, place: int = place) -> None:
            if progress is not None:
                progress(place * total + done, len(used) * total)

        features = linear_probe.layer_features(layers, run.weights(epoch), pixels, names, report)
        found[epoch] = {name: round(linear_probe.probe_accuracy(features[name], labels), 4) for name in names}
    train = int(linear_probe.TRAIN_SHARE * len(pixels))
    return ProbeResults(
        trained=found[epochs[-1]],
        untrained=found.get(0, {}) if epochs[-1] != 0 else {},
        epoch=epochs[-1],
        train_images=train,
        test_images=len(pixels) - train,
    )
