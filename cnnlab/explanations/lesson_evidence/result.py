"""`Evidence`: what is computed of one specification, and where its runs come from."""

from collections.abc import Sequence
from dataclasses import dataclass

from cnnlab.report import ReportRow
from cnnlab.report_models import REPORT
from cnnlab.storage import runs
from cnnlab.storage.runs import Run

NOT_TRAINED = "A network of this evidence is not trained on this machine, so it cannot be computed yet."
NOT_CHOSEN = "Your own training is not chosen yet."
NOT_READABLE = "This cannot be computed from your training: it was removed, or a file of it cannot be used."
NO_VALIDATION = (
    "Your training was measured on the test images: choose one with validation images to see its figures here."
)

Table = Sequence[ReportRow]


@dataclass(frozen=True)
class Evidence:
    """What is computed of a specification.

    `ranking` are labels of networks, the first has the highest accuracy, the smallest gap or the lowest cost; `curve`
    are (epoch, value), accuracies in per cent; `answer` is the option that the figures support; `undecided` are the
    neighbours in the ranking that differ by no more than chance.
    """

    sentence: str
    ranking: tuple[str, ...] = ()
    curve: tuple[tuple[float, float], ...] = ()
    answer: str = ""
    undecided: tuple[tuple[str, str], ...] = ()


def find(model: str) -> Run:
    """The run of one of the report's models. Raises UnknownRun."""
    run = runs.find_run(REPORT[model].experiment)
    if run is None:
        raise runs.UnknownRun(model)
    return run
