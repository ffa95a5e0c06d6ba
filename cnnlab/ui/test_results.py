"""The predictions of a network on the test images, as stored at the end of its training."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnlab.analysis import metrics
from cnnlab.analysis.metrics import Predictions
from cnnlab.analysis.statistics import expected_calibration_error
from cnnlab.array_types import Float64Array
from cnnlab.datasets import is_own_dataset
from cnnlab.storage.imported_networks import StoredNetwork
from cnnlab.storage.runs import Run
from cnnlab.ui import cache, image_source
from cnnlab.ui.image_source import ImageSet

ONLY_SAMPLES = (
    "Only twenty of the test images are on this machine, so only these can be shown; the figures count all "
    "test images. "
    "To see the others, download CIFAR-10 on the page Train, or import it: `python -m cnnlab data import PATH`."
)
OTHER_ORDER = (
    "No image is shown: the data set on this machine has its images in another order than the one that this "
    "network was tested on. The figures are correct."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class TestResults:
    """A network's logits (n, classes) on the test images, their labels (n,), and its predictions.

    One object for all sessions: what it computes of the arrays is computed once. Do not change them.
    """

    run: StoredNetwork
    logits: NDArray[Any]
    labels: NDArray[Any]
    predictions: Predictions

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes by label."""
        return image_source.network_classes(self.run)

    @property
    def regularizer(self) -> str:
        """The regularizer that gives the network its color; "none" for one from elsewhere."""
        return self.run.experiment.regularizer if isinstance(self.run, Run) else "none"

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """The confusion matrix, int64 (classes, classes), true classes in rows."""
        return metrics.confusion_matrix(self.logits, self.labels, len(self.classes))

    @cached_property
    def calibration(self) -> tuple[Float64Array, Float64Array, NDArray[np.int64]]:
        """Mean confidence, accuracy and count in bins of confidence, as `metrics.calibration`."""
        return metrics.calibration(self.logits, self.labels)

    @cached_property
    def calibration_error(self) -> float:
        """The expected calibration error, 0..1."""
        return expected_calibration_error(self.logits, self.labels)


def load_test_results(run: StoredNetwork) -> TestResults | None:
    """The test results of a run; None where its predictions are missing. Raises DamagedRun."""
    return _load_test_results(str(run.path), cache.modified_ns(run.path / "predictions.npz"), run)


@st.cache_resource(max_entries=20, show_spinner=False)
def _load_test_results(path: str, moment: int, _run: StoredNetwork) -> TestResults | None:
    kept = cache.predictions(_run)
    if "test" not in kept:
        return None
    logits, labels = kept["test"], kept["test_labels"]
    return TestResults(run=_run, logits=logits, labels=labels, predictions=metrics.classify(logits, labels))


def available_images(results: TestResults) -> tuple[ImageSet | None, str]:
    """The test images on this machine, and a sentence where some are missing; None where the order differs."""
    if is_own_dataset(results.run.dataset) and (missing := image_source.missing_images(results.run)):
        return None, f"No image is shown. {missing} The figures are correct."
    here = image_source.load_image_set(results.run.dataset)
    if not np.array_equal(here.labels, results.labels[: len(here.labels)]):
        return None, OTHER_ORDER
    return here, "" if here.complete else ONLY_SAMPLES
