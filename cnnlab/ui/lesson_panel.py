"""The panel beside the app in which a person works on a lab sheet: one step at a time, foldable, on every page.

`run_beside` draws it and runs the page. In a window of up to 768 pixels it is a strip at the lower edge. Without a
sheet nothing is drawn. A page that the sheet covers is not run at all, so neither a mouse nor a keyboard reaches it.
"""

from typing import NoReturn

import streamlit as st

from cnnlab.formatting import keep_figures_whole
from cnnlab.lessons import learners
from cnnlab.lessons.lesson_schema import LessonError
from cnnlab.lessons.sheet import PAGES, Step
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.ui import (
    app_shell,
    control_locks,
    lesson_answers,
    lesson_results,
    lesson_store,
    page_address,
    presence,
)
from cnnlab.ui.lesson_panel_style import ANSWERED, COVER_STYLES, FOLDED, FOLDED_STYLE, PANEL, PANEL_STYLE, STEP_BUTTONS
from cnnlab.ui.lesson_store import OpenLesson
from cnnlab.ui.script_component import script_component
from cnnlab.ui.state import session_key
from cnnlab.ui.streamlit_internals import rerun_fragment

CLASS_POLL_SECONDS = (2.6, 3.0)  # between two looks at the class: each tab has its own number
SESSION_OPENED = session_key("lesson_panel.opened_step")  # the step of the class whose state was opened last


def run_beside(page: st.Page) -> None:
    """Draw the panel and run the page, unless the sheet covers it."""
    try:
        lesson = lesson_store.current_lesson()
    except LessonError as error:
        st.error(escape_markdown(error))
        lesson = None
    if lesson is None:
        control_locks.set_sheet_locks((), ())
        page_address.restore_params(page.url_path or "train")
        run_page(page)
        return
    is_state = lesson.step.page == (page.url_path or "train")  # of the step: its address is meant as it is
    page_address.restore_params(
        page.url_path or "train", is_exact=is_state, is_bare_exact=is_state and not lesson.step.params
    )
    hidden = lesson.hidden_parts
    control_locks.set_sheet_locks(lesson.locked_controls, hidden)
    st.session_state[lesson_store.SESSION_COVERED] = covered_here(lesson)
    st.html(FOLDED_STYLE if lesson.learner.folded else PANEL_STYLE)
    for part in sorted(hidden & set(COVER_STYLES)):
        st.html(f"<style>{COVER_STYLES[part]}</style>")
    st.fragment(draw_panel, run_every=class_poll_seconds() if lesson.lesson_class else None)([lesson])
    if (page.url_path or "train") in hidden:
        covered_page(lesson)
    else:
        run_page(page)


def class_poll_seconds() -> float:
    """The number of this tab, so that the tabs of a class do not all look at the same moment for long.

    They do after a restart of the server; the page that the teacher opens then is drawn for all of them at once.
    """
    low, high = CLASS_POLL_SECONDS
    return round(low + (high - low) * int(st.session_state[presence.SESSION_TAB][:4], 16) / 0xFFFF, 2)


def run_page(page: st.Page) -> None:
    """The sentence about locked and hidden controls, and the page."""
    control_locks.lock_notice(page.url_path or "train")
    page.run()


def covered_page(lesson: OpenLesson) -> None:
    """What stands in the place of a page that the sheet covers."""
    st.title("Covered by your lesson", anchor=False)
    step = lesson.step
    if step.is_prediction and lesson.answer is None:
        st.info("Predict first: answer the question in the lesson. The page is uncovered after that.")
    else:
        st.info("This page shows results that the lesson uncovers at a later step.")


@app_shell.errors_as_sentences()
def draw_panel(just_read: list[OpenLesson] | None = None) -> None:
    """The panel; a fragment, so an answer does not draw the page again.

    just_read: the lesson where the whole page is drawn. It is taken out, so that the fragment reads it anew later.
    """
    lesson = just_read.pop() if just_read else lesson_store.current_lesson()
    if lesson is None:
        st.rerun()
    follow_class(lesson)
    if st.session_state.get(lesson_store.SESSION_COVERED) != covered_here(lesson):
        st.rerun()  # the page beside shows what is covered now, or covers what is not
    if lesson.learner.folded:
        folded_panel(lesson)
    else:
        with st.container(key=PANEL, gap="small"):
            open_panel(lesson)


def follow_class(lesson: OpenLesson) -> None:
    """Open the page of the class's step, once for each step and once for its result."""
    if lesson.lesson_class is None:
        return
    opened = (lesson.step.id, lesson.shows_result)
    follows = lesson.lesson_class.follow and st.session_state.get(SESSION_OPENED) != opened
    st.session_state[SESSION_OPENED] = opened
    if follows:
        open_page(lesson.step, lesson.may_see_page(lesson.step))


def covered_here(lesson: OpenLesson) -> tuple[frozenset[str], frozenset[str]]:
    """What the sheet covers of the page that is shown, and the controls that it locks."""
    here = st.session_state.get(presence.SESSION_PAGE)
    hidden = frozenset(part for part in lesson.hidden_parts if part == here or part not in PAGES)
    return hidden, lesson.locked_controls


def folded_panel(lesson: OpenLesson) -> None:
    """One button at the lower edge."""
    number = lesson.sheet.index(lesson.step.id) + 1
    with st.container(key=FOLDED):
        label = f"Lesson: step {number} of {len(lesson.sheet.steps)}"
        if st.button(label, key="lesson_unfold", icon=":material/menu_book:", type="primary"):
            learners.fold(lesson_store.lesson_file(), lesson.learner, False)
            st.rerun()


def open_panel(lesson: OpenLesson) -> None:
    """The step, and below it the buttons to other steps.

    The buttons are drawn first and stay at the lower edge, so that a click counts while the result is being drawn.
    """
    number = lesson.sheet.index(lesson.step.id) + 1
    content, buttons = st.container(gap="small"), st.container(key=STEP_BUTTONS)
    with buttons:
        step_buttons(lesson, number)
    with content:
        step_content(lesson, number)


def step_content(lesson: OpenLesson, number: int) -> None:
    """Heading, question, answer, result and explanation; scrolled to its start, after an answer to the answer."""
    step = lesson.step
    heading(lesson, number)
    st.markdown(keep_figures_whole(step.question))
    if lesson.is_frozen:
        st.info("Your teacher has stopped the lesson for a moment: look to the front.", icon=":material/pause:")
    if step.hint:
        st.caption(step.hint)
    with st.container(key=ANSWERED if lesson.answer else None, gap="small"):
        if lesson_answers.answer_form(lesson):
            learners.move(lesson_store.lesson_file(), lesson.learner, step.id)
            open_page(step, lesson.may_see_page(step))  # the answer was saved before the lesson was read
        if lesson.shows_result:
            lesson_results.draw_result(lesson)
        elif lesson.answer is not None:
            st.info("Saved. Your teacher shows the result to all at once.", icon=":material/lock:")
        state_link(lesson)
    scroll_to_news(lesson)


def scroll_to_news(lesson: OpenLesson) -> None:
    """Let the browser scroll the panel where it shows another step, a result, or a given prediction."""
    has_news = lesson.shows_result or (lesson.answer is not None and lesson.step.is_prediction)
    shows = f"{lesson.sheet.name} {lesson.step.id} {lesson.vote.round} {has_news} {lesson.shows_result}"
    data = {"panel": PANEL, "part": ANSWERED if has_news else "", "shows": shows}
    script_component("scroll_panel", data, key="lesson_panel_scroll")


def heading(lesson: OpenLesson, number: int) -> None:
    """Chapter, place in the sheet, and the buttons that fold and close the panel."""
    chapter = lesson.sheet.chapter_of(lesson.step)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{escape_markdown(chapter.title)}**", width="stretch")
        if st.button("Fold", key="lesson_fold", help="Fold the lesson", type="tertiary"):
            learners.fold(lesson_store.lesson_file(), lesson.learner, True)
            st.rerun()
        if st.button("Close", key="lesson_close", help="Close the lesson; answers stay", type="tertiary"):
            learners.close_sheet(lesson_store.lesson_file(), lesson.learner)
            st.rerun()
    st.progress(number / len(lesson.sheet.steps), text=f"Step {number} of {len(lesson.sheet.steps)}")


def state_link(lesson: OpenLesson) -> None:
    """A link to the state of the app that belongs to the step, where it may be seen."""
    step = lesson.step
    if step.page and step.page not in lesson.hidden_parts:
        label = "Show the page of this step"
        app_shell.page_link(step.page, label, step.params, icon=":material/open_in_new:")


def step_buttons(lesson: OpenLesson, number: int) -> None:
    """Back and next; a class that follows its teacher has none."""
    if lesson.lesson_class is not None and lesson.lesson_class.follow:
        st.caption("Your teacher leads through the steps.")
        return
    steps = lesson.sheet.steps
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        if st.button("Back", key="lesson_back", icon=":material/arrow_back:", disabled=number == 1):
            go_to(lesson, steps[number - 2])
        if number == len(steps):
            app_shell.page_link("lesson", "Finish: your report", {}, icon=":material/description:")
        elif st.button("Next", key="lesson_next", type="primary" if lesson.answer else "secondary"):
            go_to(lesson, steps[number])


def go_to(lesson: OpenLesson, step: Step) -> NoReturn:
    """Go to a step and open its state, where it has one that may be seen already."""
    learners.move(lesson_store.lesson_file(), lesson.learner, step.id)
    open_state(step, lesson.may_see_page(step))


def open_state(step: Step, may_be_seen: bool) -> NoReturn:
    """Open the page of a step where it may be seen; draw the panel again."""
    open_page(step, may_be_seen)
    rerun_fragment()


def open_page(step: Step, may_be_seen: bool) -> None:
    """Open the page of a step with its parameters, where it may be seen and is not what is shown already."""
    pages = st.session_state.get(app_shell.SESSION_PAGES, {})
    is_shown = st.session_state.get(presence.SESSION_PAGE) == step.page and st.query_params.to_dict() == step.params
    if may_be_seen and step.page in pages and not is_shown:
        st.switch_page(pages[step.page], query_params=dict(step.params))
