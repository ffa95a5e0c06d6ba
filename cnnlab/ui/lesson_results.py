"""What the lesson panel shows after an answer: the result laid over the prediction, the evidence, the explanation."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from cnnlab.explanations.lesson_evidence import NOT_CHOSEN, NOT_READABLE, Evidence, evidence, is_own, run_curve
from cnnlab.formatting import keep_figures_whole
from cnnlab.lessons import learners, own_training
from cnnlab.lessons.prediction_verdict import describe_distance, describe_prediction
from cnnlab.lessons.sheet import Step
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.settings import home
from cnnlab.storage.runs import Run, UnknownRun, open_run
from cnnlab.ui import app_shell, cache, lesson_charts, lesson_store
from cnnlab.ui.lesson_store import OpenLesson

EVIDENCE_SECONDS = 60.0
EVIDENCE_IN_SIGHT = 3  # sentences of a step; the others are folded


def computed(specification: str, own: Run | None = None) -> Evidence:
    """The evidence of a specification, computed at most once a minute; of one's own training once for everybody."""
    if not is_own(specification):
        return _computed(str(home()), specification)
    if own is None:
        return Evidence(NOT_CHOSEN)
    return _computed_own(specification, cache.modified_times(own.path / name for name in cache.RESULT_FILES), own)


@st.cache_resource(ttl=EVIDENCE_SECONDS, max_entries=128, show_spinner="Computing the evidence")
def _computed(place: str, specification: str) -> Evidence:
    return evidence(specification, cache.report_rows())


@st.cache_data(max_entries=256, show_spinner="Computing from your training")
def _computed_own(specification: str, moments: str, _run: Run) -> Evidence:
    return evidence(specification, (), _run)


def draw_result(lesson: OpenLesson) -> None:
    """The prediction beside the result, the computed sentences, the explanation."""
    step, answer = lesson.step, lesson.answer
    if answer is None:
        return
    if step.kind == "sketch":
        curve = computed(step.result).curve if step.result else ()
        key = f"lesson_result_{lesson.sheet.name}_{step.id}_{answer.round}"
        lesson_charts.sketch_chart(step, answer.content, curve, key=key)
    if step.kind == "run":
        draw_own_run(lesson, answer.content["run"])
    show_verdict(step, answer.content)
    draw_evidence(lesson)
    if step.explanation:
        st.markdown(step.explanation)


def draw_evidence(lesson: OpenLesson) -> None:
    """The computed sentences of the step, the first few in sight; what is missing of one's own training, said once."""
    shown = own_training.shown_evidence(lesson.sheet, lesson.step, lesson.answers)
    own = own_training.open_chosen(lesson.chosen_run)
    present = [specification for specification in shown if own is not None or not is_own(specification)]
    evidence_sentences(present, own)
    if len(present) < len(shown):
        choose_own_training(lesson, NOT_READABLE if lesson.chosen_run else NOT_CHOSEN)


def evidence_sentences(specifications: Sequence[str], own: Run | None) -> None:
    """The computed sentences, the first EVIDENCE_IN_SIGHT in sight and the others folded."""
    for specification in specifications[:EVIDENCE_IN_SIGHT]:
        evidence_sentence(specification, own)
    if further := specifications[EVIDENCE_IN_SIGHT:]:
        with st.expander(f"More figures ({len(further)})"):
            for specification in further:
                evidence_sentence(specification, own)


def evidence_sentence(specification: str, own: Run | None) -> None:
    """One computed sentence, with a sign that tells one's own training from the runs of everybody."""
    icon = ":material/person:" if is_own(specification) else ":material/analytics:"
    st.markdown(keep_figures_whole(f"{icon} {computed(specification, own).sentence}"))


def choose_own_training(lesson: OpenLesson, reason: str) -> None:
    """Why no figures of one's own training stand here, and the way to the step that chooses it, or to Train."""
    st.caption(f":material/person: {reason} Its figures appear here.")
    choosing = own_training.choosing_step(lesson.sheet, lesson.step)
    if choosing is None or not lesson.leads_itself:
        app_shell.page_link("train", "Train a small network", {"dataset": "shapes"}, icon=":material/open_in_new:")
        return
    st.button(
        f"Choose it at step {lesson.sheet.index(choosing.id) + 1}",
        key=f"lesson_choose_own_{lesson.step.id}",
        icon=":material/arrow_back:",
        on_click=partial(learners.move, lesson_store.lesson_file(), lesson.learner, choosing.id),
    )


def draw_own_run(lesson: OpenLesson, name: str) -> None:
    """The validation accuracy of one's own run over the curve that was sketched before it, where there is one."""
    sketched = own_training.sketch_before(lesson.sheet, lesson.step, lesson.answers)
    if sketched is None:
        return
    step, sketch = sketched[0], list(sketched[1].content)
    try:
        own = run_curve(open_run(name), "val_accuracy")
    except (UnknownRun, IndexError, ValueError):  # it was removed, or left no epoch
        return
    lesson_charts.sketch_chart(step, sketch, own.curve, key=f"lesson_own_{lesson.sheet.name}_{step.id}")
    st.markdown(describe_distance(step, sketch, own.curve))
    st.markdown(f":material/analytics: {own.sentence}")


def show_verdict(step: Step, content: object) -> None:
    """How the prediction compares with the result, where there is something to compare with."""
    result = computed(step.result) if step.result else None
    agrees, words = describe_prediction(step, content, result, escape_markdown)
    icon = {True: ":material/check_circle: ", False: ":material/cancel: ", None: ""}[agrees]
    if words:
        st.markdown(icon + words)
