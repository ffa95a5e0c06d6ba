"""`LessonReport`: what a report contains, gathered from a sheet, its answers and the runs, before it is written."""

import platform
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from cnnlab.analysis.batched_activations import ProgressCallback
from cnnlab.experiment import NUMERIC_FIELDS, Experiment, ExperimentError
from cnnlab.explanations import lesson_evidence
from cnnlab.explanations.lesson_evidence import Evidence
from cnnlab.formatting import format_date
from cnnlab.lesson_report.figures import Figure, run_figure, sketch_figure
from cnnlab.lesson_report.pinned_figures import pinned_figures
from cnnlab.lessons import own_training
from cnnlab.lessons.answers import Answer
from cnnlab.lessons.prediction_verdict import describe_prediction
from cnnlab.lessons.sheet import Sheet, Step, describe_pin
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.report import ReportRow
from cnnlab.storage import runs
from cnnlab.storage.run import Run, UnknownRun

MAX_RUNS = 6  # chosen experiments whose models, histories and scripts are exported
COVERED = "Your teacher has not shown the result of this step yet."
VERSIONS = ("cnnlab", "numpy", "streamlit", "keras", "tensorflow")

ComputeEvidence = Callable[[str, Run | None], Evidence]  # of a specification and of the learner's own training


@dataclass(frozen=True)
class Entry:
    """One step in the report: Markdown of the question, the answers in words, the computed sentences, the figures.

    The first of the sentences says how the last prediction compares with the result, where there is one.
    """

    heading: str
    question: str
    answers: tuple[str, ...]
    evidence: tuple[str, ...]
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class LessonReport:
    """A report; `runs` are the chosen experiments, `versions` the programs that made it.

    `progress` is how many steps are answered; `run_figures` are of the runs whose curves no entry has.
    """

    title: str
    author: str
    date: str
    progress: str
    entries: tuple[Entry, ...]
    runs: tuple[Run, ...]
    run_figures: tuple[Figure, ...]
    versions: Mapping[str, str]


def make_report(
    sheet: Sheet,
    answers: Mapping[str, Sequence[Answer]],
    author: str,
    table: Sequence[ReportRow],
    compute: ComputeEvidence | None = None,
    progress: ProgressCallback = lambda done, total: None,
    covered: Collection[str] = (),
) -> LessonReport:
    """The report of one learner; steps without an answer are left out.

    compute: gives the evidence of a specification and of the learner's own training, without it from `table`.
    progress(done, total) is called after each answered step and each figure of a chosen run. covered: the ids of steps
    whose results the teacher has not shown yet; their entries have none.
    """
    steps = [step for step in sheet.steps if answers.get(step.id)]
    chosen = chosen_runs([answer for step in steps for answer in answers[step.id]])
    get_evidence = compute or (lambda specification, own: lesson_evidence.evidence(specification, table, own))
    entries, run_figures = [], []
    for step in steps:
        is_covered = step.id in covered
        entries.append(
            covered_entry(sheet, step, answers) if is_covered else entry(sheet, step, answers, table, get_evidence)
        )
        progress(len(entries), len(steps) + len(chosen))
    shown = {figure.name for one in entries for figure in one.figures}
    for run in chosen:
        figure = run_figure(run)
        run_figures += [] if figure.name in shown else [figure]
        progress(len(steps) + chosen.index(run) + 1, len(steps) + len(chosen))
    return LessonReport(
        title=sheet.title,
        author=author or "without a name",
        date=format_date(datetime.now(UTC).isoformat()),
        progress=f"{len(steps)} of {len(sheet.steps)} steps answered",
        entries=tuple(entries),
        runs=tuple(chosen),
        run_figures=tuple(run_figures),
        versions=versions(),
    )


def entry(
    sheet: Sheet,
    step: Step,
    answers: Mapping[str, Sequence[Answer]],
    table: Sequence[ReportRow],
    compute: ComputeEvidence,
) -> Entry:
    """The entry of an answered step."""
    own = own_training.open_chosen(own_training.chosen_run(sheet, step, answers))
    named = filter(None, dict.fromkeys((*own_training.shown_evidence(sheet, step, answers), step.result)))
    shown = [specification for specification in named if own is not None or not lesson_evidence.is_own(specification)]
    result = compute(step.result, own) if step.result else None
    _, verdict = describe_prediction(step, answers[step.id][-1].content, result, escape_markdown)
    return Entry(
        heading=sheet.chapter_of(step).title,
        question=step.question.strip(),
        answers=tuple(describe_answer(step, answer) for answer in answers[step.id]),
        evidence=(*filter(None, [verdict]), *(compute(specification, own).sentence for specification in shown)),
        figures=(
            *(figure for answer in answers[step.id] for figure in answer_figures(step, answer, table, result)),
            *(own_figures(sheet, step, answers, own) if own else ()),
        ),
    )


def covered_entry(sheet: Sheet, step: Step, answers: Mapping[str, Sequence[Answer]]) -> Entry:
    """The entry of a prediction whose result is covered."""
    return Entry(
        heading=sheet.chapter_of(step).title,
        question=step.question.strip(),
        answers=tuple(describe_answer(step, answer) for answer in answers[step.id]),
        evidence=(COVERED,),
        figures=tuple(filter(None, (sketch_figure(step, answer, ()) for answer in answers[step.id]))),
    )


def own_figures(sheet: Sheet, step: Step, answers: Mapping[str, Sequence[Answer]], own: Run) -> list[Figure]:
    """At a step of the kind run, the curve of the chosen training over the one that was sketched before it.

    None where nothing was sketched, or where the training left no epoch that can be read.
    """
    sketched = own_training.sketch_before(sheet, step, answers) if step.kind == "run" else None
    if sketched is None:
        return []
    try:
        curve = lesson_evidence.run_curve(own, "val_accuracy").curve
    except (UnknownRun, IndexError, ValueError):
        return []
    figure = sketch_figure(*sketched, curve, f"sketch-{step.id}")
    return [figure] if figure else []


def answer_figures(step: Step, answer: Answer, table: Sequence[ReportRow], result: Evidence | None) -> list[Figure]:
    """The figures of an answer: what was pinned, or the sketched curve with the measured one of the result."""
    if step.kind == "pin" and answer.content.get("page") == "train":
        run = named_run(answer.content)
        return [run_figure(run)] if run else []
    if step.kind == "pin":
        return list(pinned_figures(answer.content, table))
    curve = result.curve if result else ()
    figure = sketch_figure(step, answer, curve)
    return [figure] if figure else []


def describe_answer(step: Step, answer: Answer) -> str:
    """An answer in words."""
    content = answer.content
    label = "Prediction" if step.is_prediction else "Answer"
    label += f", round {answer.round + 1}" if answer.round else ""
    if step.kind == "order":
        content = ", ".join(f"{place}. {option}" for place, option in enumerate(content, start=1))
    elif step.kind == "sketch" and step.sketch:
        content = ", ".join(f"{x:g}: {y:g}" for x, y in zip(step.sketch.x, content, strict=False))
        content = f"{step.sketch.y_label} by {step.sketch.x_label}: {content}"
    elif step.kind == "run":
        content = f"{content.get('title', content['run'])}: {', '.join(content.get('terms', []))}"
    elif step.kind == "pin":
        content = f"{content['caption']} (pinned: {describe_pin(content)})"
    return f"{label}: {content}"


def chosen_runs(answers: Sequence[Answer]) -> list[Run]:
    """The runs that the answers name, each once, at most MAX_RUNS."""
    found: dict[str, Run] = {}
    for answer in answers:
        run = named_run(answer.content) if isinstance(answer.content, dict) else None
        if run is not None:
            found.setdefault(run.key, run)
    return list(found.values())[:MAX_RUNS]


def named_run(content: Mapping[str, Any]) -> Run | None:
    """The run of a run step or of a pinned page; None where it names none, or one that is gone."""
    params = content.get("params", {})
    reference = content.get("run") or params.get("run")
    try:
        if reference:
            return runs.open_run(str(reference))
        return runs.find_run(experiment_of(params)) if content.get("page") == "train" else None
    except (UnknownRun, ExperimentError, ValueError, OverflowError):
        return None


def experiment_of(params: Mapping[str, str]) -> Experiment:
    """The experiment that the parameters of the page Train describe. Raises ExperimentError, ValueError."""
    values: dict[str, Any] = {}
    for name in {field.name for field in fields(Experiment)} & params.keys():
        number = NUMERIC_FIELDS.get(name)
        values[name] = number(float(params[name])) if number else params[name]
    return Experiment(**values)


def versions() -> dict[str, str]:
    """The versions of the programs, of those that are installed."""
    found = {"Python": platform.python_version()}
    for name in VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
