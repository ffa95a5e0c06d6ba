"""The forms of the lesson panel: one for each kind of step.

An answer is saved by the callback of its button, which runs before the panel is drawn: so it counts also where the
teacher went on to the next step a moment before.
"""

from collections.abc import Callable
from typing import Any

import streamlit as st

from cnnlab.lessons import answers, classes, run_conditions
from cnnlab.lessons.lesson_schema import LessonError
from cnnlab.lessons.sheet import (
    MAX_ANSWER_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_PARAM_CHARACTERS,
    MAX_PARAMS,
    Step,
    describe_pin,
)
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage.run import Run, UnknownRun
from cnnlab.ui import app_shell, cache, lesson_charts, lesson_store, presence
from cnnlab.ui.lesson_store import OpenLesson
from cnnlab.ui.selection import SESSION_NETWORK
from cnnlab.ui.state import session_key

LOCKED = "Your prediction is saved and stays as it is."
SAVED = "Saved. You can change it and save it again."
SAVED_BEFORE = "Your answer to the step before was saved."
SESSION_SAVED = session_key("lesson_answers.saved")  # the step whose answer was saved since the panel was drawn
SESSION_REFUSED = session_key("lesson_answers.refused")  # why the last answer was not saved
SESSION_TERMS = session_key("lesson_answers.terms")  # the terms of a condition, each with whether it holds


def answer_form(lesson: OpenLesson) -> bool:
    """Draw the form of the step; whether an answer to it was saved just now."""
    step, given = lesson.step, lesson.answer
    if problem := st.session_state.pop(SESSION_REFUSED, ""):
        st.error(escape_markdown(problem))
    saved = st.session_state.pop(SESSION_SAVED, "")
    if saved and saved != step.id:
        st.caption(f":material/check: {SAVED_BEFORE}")
    if given is not None and step.is_prediction:
        show_prediction(step, given.content)
    else:
        if given is not None:
            st.caption(f":material/check: {SAVED}")
        FORMS[step.kind](lesson, f"lesson_answer_{lesson.sheet.name}_{step.id}_{lesson.vote.round}")
    return bool(saved == step.id)


def on_save(lesson: OpenLesson, read: Callable[[], Any]) -> None:
    """Save an answer to the step that the form was drawn for, although the class may have gone on since.

    read: gives the content of the answer, from the fields as they are now.
    """
    file = lesson_store.lesson_file()
    try:
        now = classes.find_class(file, lesson.lesson_class.code) if lesson.lesson_class else None
        if now is not None and now.frozen:
            raise LessonError("Your teacher takes no answers at the moment.")
        answers.submit(file, lesson.learner, lesson.step, read(), lesson.vote.round)
    except LessonError as error:
        st.session_state[SESSION_REFUSED] = str(error)
    else:
        st.session_state[SESSION_SAVED] = lesson.step.id


def show_prediction(step: Step, content: Any) -> None:
    """A prediction that is given, and that it is locked."""
    if step.kind == "order":
        st.markdown("\n".join(f"{place}. {escape_markdown(option)}" for place, option in enumerate(content, start=1)))
    elif step.kind == "choice":
        st.markdown(f"Your prediction: **{escape_markdown(content)}**")
    st.caption(f":material/lock: {LOCKED}")


def predict_button(lesson: OpenLesson, key: str, read: Callable[[], Any], *, disabled: bool = False) -> None:
    """The button that saves a prediction; out of use while the class is frozen."""
    st.button(
        "Predict: this locks", key=f"{key}_save", type="primary", disabled=disabled or lesson.is_frozen,
        on_click=on_save, args=(lesson, read),
    )  # fmt: skip


def form_button(lesson: OpenLesson, label: str, read: Callable[[], Any]) -> None:
    """The button of a form that saves an answer which can be changed."""
    st.form_submit_button(label, type="primary", disabled=lesson.is_frozen, on_click=on_save, args=(lesson, read))


def text_form(lesson: OpenLesson, key: str) -> None:
    """A text of one's own, which can be changed."""
    before = lesson.answer.content if lesson.answer else ""
    with st.form(f"{key}_form", border=False):
        st.text_area("Your answer", value=before, key=key, max_chars=MAX_ANSWER_CHARACTERS, height=140)
        form_button(lesson, "Save", lambda: str(st.session_state[key]))


def choice_form(lesson: OpenLesson, key: str) -> None:
    """One of the options."""
    chosen = st.radio("Your prediction", lesson.step.options, index=None, key=key, format_func=escape_markdown)
    predict_button(lesson, key, lambda: st.session_state[key], disabled=chosen is None)


def order_form(lesson: OpenLesson, key: str) -> None:
    """The options in the order in which they are chosen."""
    options = lesson.step.options
    chosen = st.multiselect(
        "Choose all, in your order",
        options,
        key=key,
        placeholder="Choose the first",
        help="Remove one to change it.",
    )
    predict_button(lesson, key, lambda: list(st.session_state[key]), disabled=len(chosen) < len(options))


def sketch_form(lesson: OpenLesson, key: str) -> None:
    """A value for each point of a curve, by slider, with the curve above."""
    axes = lesson.step.sketch
    if axes is None:
        return
    middle = (axes.low + axes.high) / 2
    keys = [f"{key}_{index}" for index in range(len(axes.x))]
    values = [float(st.session_state.get(slider_key, middle)) for slider_key in keys]
    lesson_charts.sketch_chart(lesson.step, values, (), key=f"{key}_chart")
    step = (axes.high - axes.low) / 100
    for x, slider_key in zip(axes.x, keys, strict=True):
        st.slider(f"{axes.x_label or 'x'} {x:g}", axes.low, axes.high, middle, step, key=slider_key, format="%g")
    predict_button(lesson, key, lambda: [float(st.session_state[slider_key]) for slider_key in keys])


def run_form(lesson: OpenLesson, key: str) -> None:
    """A finished run of this machine that meets the condition."""
    known = finished_trainings()
    if lesson.answer:
        st.success(f"Met by {escape_markdown(lesson.answer.content.get('title', ''))}.", icon=":material/check:")
    if not known:
        st.caption("No training has finished on this machine yet: start one on the page Train.")
        return
    st.selectbox("Your run", list(known), key=key, format_func=lambda name: known[name].title)
    st.button(
        "Check this run", key=f"{key}_save", type="primary", disabled=lesson.is_frozen,
        on_click=on_check_run, args=(lesson, known, key),
    )  # fmt: skip
    for words, holds in st.session_state.pop(SESSION_TERMS, ()):
        st.markdown(f"{':material/check:' if holds else ':material/close:'} {escape_markdown(words)}")


def finished_trainings() -> dict[str, Run]:
    """The finished runs of this machine by name, those that this person has asked for first."""
    known = {run.name: run for run in cache.list_runs() if not run.is_pretrained and run.state == "done"}
    own = [job.experiment.key for job in cache.open_queue().jobs_for(app_shell.current_person()) if job.is_readable]
    return {name: known[name] for name in dict.fromkeys((*own, *known)) if name in known}


def on_check_run(lesson: OpenLesson, known: dict[str, Run], key: str) -> None:
    """Save the chosen run where it meets the condition; keep the terms, each with whether it holds."""
    run = known[st.session_state[key]]
    try:
        terms = run_conditions.check_terms(lesson.step.condition, run_conditions.run_figures(run))
    except UnknownRun as error:
        st.session_state[SESSION_REFUSED] = str(error)
        return
    st.session_state[SESSION_TERMS] = terms
    if all(holds for _, holds in terms):
        on_save(lesson, lambda: {"run": run.name, "title": run.title, "terms": [words for words, _ in terms]})
    else:
        st.session_state[SESSION_REFUSED] = "This run does not meet the condition: choose or train another one."


def pin_form(lesson: OpenLesson, key: str) -> None:
    """The page that is open, with its parameters and a caption."""
    before = lesson.answer.content if lesson.answer else {}
    if before:
        st.caption(f"Pinned: {escape_markdown(describe_pin(before))}")
    with st.form(f"{key}_form", border=False):
        st.text_area("What does the figure show?", value=before.get("caption", ""), key=key, max_chars=1000)
        form_button(lesson, "Pin what the page shows", lambda: shown_figure(str(st.session_state[key])))


def shown_figure(caption: str) -> dict[str, Any]:
    """What the page shows, as the answer to a step that asks for a figure."""
    return {"page": st.session_state[presence.SESSION_PAGE], "params": shown_params(), "caption": caption}


def shown_params() -> dict[str, str]:
    """The parameters of what the page shows: those of the URL, on Train those of the network without any."""
    named = [(name, value) for name, value in st.query_params.items() if len(name) <= MAX_NAME_CHARACTERS]
    params = {name: str(value)[:MAX_PARAM_CHARACTERS] for name, value in named[:MAX_PARAMS]}
    if params or st.session_state.get(presence.SESSION_PAGE) != "train":
        return params
    return dict(st.session_state.get(SESSION_NETWORK, {}))


FORMS: dict[str, Callable[[OpenLesson, str], None]] = {
    "text": text_form,
    "choice": choice_form,
    "order": order_form,
    "sketch": sketch_form,
    "run": run_form,
    "pin": pin_form,
}
