"""What a network said about the test pictures, as it was written down when its training ended."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab import metrics
from cnnlab.metrics import Answers
from cnnlab.pages import cached, shelf
from cnnlab.pages.shelf import Shelf
from cnnlab.runs import Run

ONLY_SAMPLES = (
    "Only twenty of the test pictures are on this machine, and those among them are shown; the figures count all of "
    "them. The page Train offers the download of CIFAR-10, or a teacher brings it: `python -m cnnlab data import PATH`."
)
OTHER_ORDER = (
    "No picture is shown: the data set on this machine has its pictures in another order than the one that this "
    "network was tested on. The figures are right all the same."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Exam:
    """A network's logits (n, 10) on the test pictures, their labels (n,), and the answers that they make."""

    run: Run
    logits: NDArray[Any]
    labels: NDArray[Any]
    answers: Answers

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes by label."""
        return shelf.CLASSES[self.run.experiment.dataset]

    @property
    def table(self) -> NDArray[np.int64]:
        """The confusion matrix, truth in rows."""
        return metrics.confusion(self.logits, self.labels, len(self.classes))


def read(run: Run) -> Exam | None:
    """The exam of a run; None where its predictions are not there."""
    kept = cached.predictions(run)
    if "test" not in kept:
        return None
    logits, labels = kept["test"], kept["test_labels"]
    return Exam(run=run, logits=logits, labels=labels, answers=metrics.answers(logits, labels))


def pictures(exam: Exam) -> tuple[Shelf | None, str]:
    """The pictures that the answers are about, as far as they are here, and a sentence where some are not."""
    here = shelf.shelf(exam.run.experiment.dataset)
    if not np.array_equal(here.labels, exam.labels[: len(here.labels)]):
        return None, OTHER_ORDER
    return here, "" if here.whole else ONLY_SAMPLES
