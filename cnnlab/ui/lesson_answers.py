"""The forms of the lesson panel: one for each kind of step."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from cnnlab.lessons import answers, run_conditions
from cnnlab.lessons.lesson_schema import LessonError
from cnnlab.lessons.sheet import MAX_ANSWER_CHARACTERS, MAX_PARAM_CHARACTERS, MAX_PARAMS, Step
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage.run import UnknownRun
from cnnlab.ui import cache, lesson_charts, lesson_store, presence
from cnnlab.ui.lesson_store import OpenLesson
from cnnlab.ui.selection import SESSION_NETWORK

LOCKED = "Your prediction is saved and stays as it is."
SAVED = "Saved. You can change it and save it again."


def answer_form(lesson: OpenLesson) -> bool:
    """Draw the form of the step; whether an answer was saved just now."""
    step, given = lesson.step, lesson.answer
    if given is not None and step.is_prediction:
        show_prediction(step, given.content)
        return False
    if given is not None:
        st.caption(f":material/check: {SAVED}")
    content = FORMS[step.kind](lesson, f"lesson_answer_{lesson.sheet.name}_{step.id}_{lesson.vote.round}")
    if content is None:
        return False
    try:
        answers.submit(lesson_store.lesson_file(), lesson.learner, step, content, lesson.vote.round)
    except LessonError as error:
        st.error(escape_markdown(error))
        return False
    return True


def show_prediction(step: Step, content: Any) -> None:
    """A prediction that is given, and that it is locked."""
    if step.kind == "order":
        st.markdown("\n".join(f"{place}. {escape_markdown(one)}" for place, one in enumerate(content, start=1)))
    elif step.kind == "choice":
        st.markdown(f"Your prediction: **{escape_markdown(content)}**")
    st.caption(f":material/lock: {LOCKED}")


def save_button(lesson: OpenLesson, key: str, label: str, *, disabled: bool = False) -> bool:
    """The button that saves an answer; out of use while the class is frozen."""
    return bool(st.button(label, key=f"{key}_save", type="primary", disabled=disabled or lesson.is_frozen))


def text_form(lesson: OpenLesson, key: str) -> str | None:
    """A text of one's own, which can be changed."""
    before = lesson.answer.content if lesson.answer else ""
    with st.form(f"{key}_form", border=False):
        text = st.text_area("Your answer", value=before, key=key, max_chars=MAX_ANSWER_CHARACTERS, height=140)
        if st.form_submit_button("Save", type="primary", disabled=lesson.is_frozen):
            return str(text)
    return None


def choice_form(lesson: OpenLesson, key: str) -> str | None:
    """One of the options."""
    chosen = st.radio("Your prediction", lesson.step.options, index=None, key=key, format_func=escape_markdown)
    saved = save_button(lesson, key, "Predict: this locks", disabled=chosen is None)
    return str(chosen) if saved and chosen is not None else None


def order_form(lesson: OpenLesson, key: str) -> list[str] | None:
    """The options in the order in which they are chosen."""
    options = lesson.step.options
    chosen = st.multiselect(
        "Choose all, in your order",
        options,
        key=key,
        placeholder="Choose the first",
        help="Remove one to change it.",
    )
    saved = save_button(lesson, key, "Predict: this locks", disabled=len(chosen) < len(options))
    return list(chosen) if saved else None


def sketch_form(lesson: OpenLesson, key: str) -> list[float] | None:
    """A value for each point of a curve, by slider, with the curve above."""
    axes = lesson.step.sketch
    if axes is None:
        return None
    middle = (axes.low + axes.high) / 2
    keys = [f"{key}_{index}" for index in range(len(axes.x))]
    values = [float(st.session_state.get(one, middle)) for one in keys]
    lesson_charts.sketch_chart(lesson.step, values, (), key=f"{key}_chart")
    step = (axes.high - axes.low) / 100
    for x, one in zip(axes.x, keys, strict=True):
        st.slider(f"{axes.x_label or 'x'} {x:g}", axes.low, axes.high, middle, step, key=one, format="%g")
    return values if save_button(lesson, key, "Predict: this locks") else None


def run_form(lesson: OpenLesson, key: str) -> dict[str, Any] | None:
    """A finished run of this machine that meets the condition."""
    known = {run.name: run for run in cache.list_runs() if not run.is_pretrained and run.state == "done"}
    if lesson.answer:
        st.success(f"Met by {escape_markdown(lesson.answer.content.get('title', ''))}.", icon=":material/check:")
    if not known:
        st.caption("No training has finished on this machine yet: start one on the page Train.")
        return None
    name = st.selectbox("Your run", list(known), key=key, format_func=lambda one: known[one].title)
    if not save_button(lesson, key, "Check this run"):
        return None
    try:
        results = run_conditions.check_terms(lesson.step.condition, run_conditions.run_figures(known[name]))
    except UnknownRun as error:
        st.error(escape_markdown(error))
        return None
    for words, holds in results:
        st.markdown(f"{':material/check:' if holds else ':material/close:'} {escape_markdown(words)}")
    if not all(holds for _, holds in results):
        st.warning("This run does not meet the condition: choose or train another one.")
        return None
    return {"run": name, "title": known[name].title, "terms": [words for words, _ in results]}


def pin_form(lesson: OpenLesson, key: str) -> dict[str, Any] | None:
    """The page that is open, with its parameters and a caption."""
    before = lesson.answer.content if lesson.answer else {}
    if before:
        st.caption(f"Pinned: {escape_markdown(before['page'].replace('_', ' '))}")
    with st.form(f"{key}_form", border=False):
        caption = st.text_area("What does the figure show?", value=before.get("caption", ""), key=key, max_chars=1000)
        if st.form_submit_button("Pin what the page shows", type="primary", disabled=lesson.is_frozen):
            return {"page": st.session_state[presence.SESSION_PAGE], "params": shown_params(), "caption": str(caption)}
    return None


def shown_params() -> dict[str, str]:
    """The parameters of what the page shows: those of the URL, on Train those of the network without any."""
    params = {name: str(value)[:MAX_PARAM_CHARACTERS] for name, value in list(st.query_params.items())[:MAX_PARAMS]}
    if params or st.session_state.get(presence.SESSION_PAGE) != "train":
        return params
    return dict(st.session_state.get(SESSION_NETWORK, {}))


FORMS: dict[str, Callable[[OpenLesson, str], Any]] = {
    "text": text_form,
    "choice": choice_form,
    "order": order_form,
    "sketch": sketch_form,
    "run": run_form,
    "pin": pin_form,
}
