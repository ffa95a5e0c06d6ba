"""The training that a learner has chosen at a step of the kind run, and the evidence that may be shown of it."""

from collections.abc import Mapping, Sequence

from cnnlab.explanations import lesson_evidence
from cnnlab.lessons.answers import Answer
from cnnlab.lessons.sheet import TEST_RESULTS, Sheet, Step
from cnnlab.storage.runs import Run, UnknownRun, open_run


def choosing_step(sheet: Sheet, step: Step) -> Step | None:
    """The last step of the kind run up to this step, at which a training is chosen; None without one."""
    until = sheet.steps[: sheet.index(step.id) + 1]
    return next((earlier for earlier in reversed(until) if earlier.kind == "run"), None)


def chosen_run(sheet: Sheet, step: Step, answers: Mapping[str, Sequence[Answer]]) -> str:
    """The name of the run that was chosen for this step; "" where none is."""
    choosing = choosing_step(sheet, step)
    given = answers.get(choosing.id, ()) if choosing else ()
    return str(given[-1].content["run"]) if given else ""


def open_chosen(name: str) -> Run | None:
    """The run of this name; None where it was removed or cannot be read, and for ""."""
    try:
        return open_run(name) if name else None
    except UnknownRun:
        return None


def sketch_before(sheet: Sheet, step: Step, answers: Mapping[str, Sequence[Answer]]) -> tuple[Step, Answer] | None:
    """The last sketch without a result of its own before this step, in its chapter, with the last answer to it."""
    steps = sheet.chapter_of(step).steps
    for earlier in reversed(steps[: steps.index(step)]):
        given = answers.get(earlier.id)
        if earlier.kind == "sketch" and not earlier.result and given:
            return earlier, given[-1]
    return None


def shown_evidence(sheet: Sheet, step: Step, answers: Mapping[str, Sequence[Answer]]) -> list[str]:
    """The step's specifications of evidence, without one's own test accuracy while the sheet covers test results."""
    answered = {name for name, given in answers.items() if given}
    is_covered = TEST_RESULTS in sheet.hidden_parts(step.id, answered)
    return [
        specification
        for specification in step.evidence
        if not (is_covered and lesson_evidence.is_own_test(specification))
    ]
