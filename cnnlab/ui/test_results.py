"""A network's predictions on the test images, as stored when its training ended."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab.analysis import metrics
from cnnlab.analysis.metrics import Predictions
from cnnlab.storage.runs import Run
from cnnlab.ui import cache, image_source
from cnnlab.ui.image_source import ImageSet

ONLY_SAMPLES = (
    "Only twenty of the test pictures are on this machine, and those among them are shown; the figures count all of "
    "them. The page Train offers the download of CIFAR-10, or a teacher brings it: `python -m cnnlab data import PATH`."
)
OTHER_ORDER = (
    "No picture is shown: the data set on this machine has its pictures in another order than the one that this "
    "network was tested on. The figures are right all the same."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class TestResults:
    """A network's logits (n, 10) on the test pictures, their labels (n,), and the answers that they make."""

    run: Run
    logits: NDArray[Any]
    labels: NDArray[Any]
    predictions: Predictions

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes by label."""
        return image_source.CLASSES[self.run.experiment.dataset]

    @property
    def confusion(self) -> NDArray[np.int64]:
        """The confusion matrix, true classes in rows."""
        return metrics.confusion_matrix(self.logits, self.labels, len(self.classes))


def load_test_results(run: Run) -> TestResults | None:
    """The stored predictions of a run; None where there are none."""
    kept = cache.predictions(run)
    if "test" not in kept:
        return None
    logits, labels = kept["test"], kept["test_labels"]
    return TestResults(run=run, logits=logits, labels=labels, predictions=metrics.classify(logits, labels))


def available_images(results: TestResults) -> tuple[ImageSet | None, str]:
    """The images of these predictions, as far as they are on this machine, and a sentence where some are missing."""
    here = image_source.load_image_set(results.run.experiment.dataset)
    if not np.array_equal(here.labels, results.labels[: len(here.labels)]):
        return None, OTHER_ORDER
    return here, "" if here.complete else ONLY_SAMPLES
