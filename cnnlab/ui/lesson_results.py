"""What the lesson panel shows after an answer: the result laid over the prediction, the evidence, the explanation."""

from collections.abc import Sequence

import streamlit as st

from cnnlab.explanations.lesson_evidence import Evidence, evidence, run_curve
from cnnlab.lessons.sheet import Step
from cnnlab.lessons.tally import agreeing_pairs, sketch_distance
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.settings import home
from cnnlab.storage.runs import UnknownRun, open_run
from cnnlab.ui import cache, lesson_charts
from cnnlab.ui.lesson_store import OpenLesson

EVIDENCE_SECONDS = 60.0


def computed(specification: str) -> Evidence:
    """The evidence of a specification, computed at most once a minute for all sessions."""
    return _computed(str(home()), specification)


@st.cache_resource(ttl=EVIDENCE_SECONDS, max_entries=128, show_spinner="Computing the evidence")
def _computed(place: str, specification: str) -> Evidence:
    return evidence(specification, cache.report_rows())


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
    if verdict := describe_prediction(step, answer.content):
        st.markdown(verdict)
    for specification in step.evidence:
        st.markdown(f":material/analytics: {computed(specification).sentence}")
    if step.explanation:
        st.markdown(step.explanation)


def draw_own_run(lesson: OpenLesson, name: str) -> None:
    """The validation accuracy of one's own run over the curve that was sketched before it, where there is one."""
    sketched = lesson.sketch_before(lesson.step)
    if sketched is None:
        return
    step, sketch = sketched
    try:
        own = run_curve(open_run(name), "val_accuracy")
    except (UnknownRun, IndexError, ValueError):  # it was removed, or left no epoch
        return
    lesson_charts.sketch_chart(step, sketch, own.curve, key=f"lesson_own_{lesson.sheet.name}_{step.id}")
    st.markdown(describe_distance(step, sketch, own.curve))
    st.markdown(f":material/analytics: {own.sentence}")


def describe_distance(step: Step, sketch: Sequence[float], curve: Sequence[tuple[float, float]]) -> str:
    """How far a sketch is from a measured curve on average, with its unit; "" where they have no x in common."""
    distance = sketch_distance(step, sketch, curve)
    unit = " points" if step.sketch and "%" in step.sketch.y_label else ""
    return "" if distance is None else f"Your curve is {distance:.1f}{unit} away from the measured one on average."


def describe_prediction(step: Step, content: object) -> str:
    """How a prediction compares with the result, in Markdown; "" where there is nothing to compare with."""
    result = computed(step.result) if step.result else None
    expected = step.answer or (result.answer if result else "")
    if step.kind == "choice" and expected:
        same = content == expected
        icon = ":material/check_circle:" if same else ":material/cancel:"
        words = "Your prediction agrees with the evidence" if same else "The evidence supports another option"
        return f"{icon} {words}: **{escape_markdown(expected)}**"
    if step.kind == "order" and result and result.ranking and isinstance(content, list):
        same_pairs, pairs = agreeing_pairs(content, result.ranking, result.undecided)
        chance = "; ".join(escape_markdown(" and ".join(pair)) for pair in result.undecided)
        left_out = f" Not counted, since chance may exchange them: {chance}." if chance else ""
        measured = ", ".join(map(escape_markdown, result.ranking))
        return f"Measured order: **{measured}**. In your order, {same_pairs} of {pairs} pairs agree with it.{left_out}"
    if step.kind == "sketch" and result and isinstance(content, list):
        return describe_distance(step, content, result.curve)
    return ""
