"""Evidence of a lab sheet: sentences, rankings and curves computed from the runs, named in the sheet's file.

A specification is a name and its arguments, `ranking: gap, 3`; `parse` checks it, `evidence` computes it. The figures
are those of the report's models (`report.ReportRow`), so they are the same on every machine until somebody trains
further seeds. Those of `own: ...` are of the training that the learner has chosen at a step of the kind run.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cnnlab.claims import CLAIMS
from cnnlab.explanations.lesson_evidence import curves, data, layers, own_training, rankings, regularizers
from cnnlab.explanations.lesson_evidence.curves import run_curve
from cnnlab.explanations.lesson_evidence.own_training import own_evidence
from cnnlab.explanations.lesson_evidence.result import NOT_CHOSEN, NOT_READABLE, NOT_TRAINED, Evidence, Table
from cnnlab.report_models import REPORT
from cnnlab.storage.runs import Run, UnknownRun

__all__ = [
    "NOT_CHOSEN",
    "NOT_READABLE",
    "Evidence",
    "EvidenceError",
    "Table",
    "evidence",
    "is_own",
    "is_own_test",
    "parse",
    "run_curve",
]

OWN = "own"  # the kind that is computed from one's own training

DEPTHS = ("2", "3")
COMPARED = tuple(dict.fromkeys(model.experiment.regularizer for model in REPORT.values()))[1:]  # with the plain network
MODELS = tuple(REPORT)


class EvidenceError(ValueError):
    """Not a specification of evidence. The message is one sentence."""


@dataclass(frozen=True)
class Kind:
    """A kind of evidence: the allowed values of each argument, and the function that computes it."""

    arguments: tuple[tuple[str, ...], ...]
    compute: Callable[..., Evidence]


def parse(specification: str) -> tuple[Kind, tuple[str, ...]]:
    """The kind and the arguments of a specification. Raises EvidenceError."""
    name, _, rest = specification.partition(":")
    kind = KINDS.get(name.strip())
    if kind is None:
        raise EvidenceError(f"Choose evidence from {', '.join(KINDS)}. Received: {specification[:40]!r}")
    arguments = tuple(part.strip() for part in rest.split(",")) if rest.strip() else ()
    if len(arguments) != len(kind.arguments):
        raise EvidenceError(
            f"The evidence {name} takes {len(kind.arguments)} arguments after a colon. Received: {specification[:40]!r}"
        )
    for argument, allowed in zip(arguments, kind.arguments, strict=True):
        if argument not in allowed:
            raise EvidenceError(f"Expected one of {', '.join(allowed)}. Received: {argument[:40]!r}")
    return kind, arguments


def is_own(specification: str) -> bool:
    """Whether this evidence is computed from the training that the learner has chosen."""
    return specification.partition(":")[0].strip() == OWN


def is_own_test(specification: str) -> bool:
    """Whether this evidence tells the test accuracy of one's own training."""
    return is_own(specification) and specification.partition(":")[2].strip() == "test"


def evidence(specification: str, table: Table, own: Run | None = None) -> Evidence:
    """The evidence computed from these rows; a sentence that says so where a run is missing. Raises EvidenceError.

    own: the training that the learner has chosen; None where there is none yet.
    """
    kind, arguments = parse(specification)
    if is_own(specification):
        return own_evidence(own, *arguments) if own else Evidence(NOT_CHOSEN)
    try:
        return kind.compute(table, *arguments)
    except (UnknownRun, KeyError, IndexError, StopIteration):
        return Evidence(NOT_TRAINED)


KINDS = {
    "differences": Kind((COMPARED,), regularizers.differences),
    "helping": Kind((DEPTHS,), regularizers.helping),
    "ranking": Kind((rankings.MEASURES, DEPTHS), rankings.ranking),
    "claim": Kind((tuple(str(number) for number in range(1, len(CLAIMS) + 2)),), regularizers.claim),
    "curve": Kind((MODELS, curves.CURVES), curves.curve),
    "loss_rises": Kind((MODELS,), curves.loss_rises),
    "penalty": Kind((MODELS,), curves.penalty),
    "batchnorm": Kind((MODELS,), curves.batchnorm),
    "seeds": Kind((MODELS,), data.seeds),
    "more_images": Kind((("dropout", "batchnorm"),), data.more_images),
    "time": Kind((), data.time),
    "layers": Kind((MODELS,), layers.layers),
    "filters": Kind((MODELS,), layers.filters),
    "probes": Kind((MODELS,), layers.probes),
    OWN: Kind((tuple(own_training.FIGURES),), own_evidence),
}
