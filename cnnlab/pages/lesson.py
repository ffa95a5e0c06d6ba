"""Lab sheets: start or continue one, join a class, continue on another device, and hand in the report."""

import streamlit as st

from cnnlab.formatting import pluralize
from cnnlab.jobs import nicknames
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.lessons import classes, learners
from cnnlab.lessons.lesson_schema import LessonError
from cnnlab.lessons.sheet import Sheet
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.ui import app_shell, lesson_report, lesson_store, my_trainings, query_state
from cnnlab.ui.lesson_store import OpenLesson
from cnnlab.ui.state import url_param

JOIN_PARAM = url_param("join")  # the code of a class


def page() -> None:
    """Draw the page: the class and the sheet that are open, or the sheets to choose from."""
    st.title("Lab sheets", anchor=False)
    st.caption("Predict, look at the measurement, explain. The sheet stands beside the app while you work.")
    query_state.drop_unknown_params({JOIN_PARAM})
    try:
        joined(st.query_params.get(JOIN_PARAM, ""))
        lesson = lesson_store.current_lesson()
        if lesson:
            own_lesson(lesson)
        sheet_list()
        class_and_device()
        if app_shell.is_teacher():
            teacher_classes()
    except LessonError as error:
        st.error(escape_markdown(error))


def joined(code: str) -> None:
    """Join the class whose code the address has, and open its sheet."""
    if not code:
        return
    lesson_class = classes.find_class(lesson_store.lesson_file(), code[:20])
    query_state.set_param(JOIN_PARAM, None)
    sheet = lesson_store.find_sheet(lesson_class.sheet) if lesson_class else None
    if lesson_class is None or sheet is None:
        st.warning(f"There is no class with the code {escape_markdown(code[:20])}: ask your teacher for it.")
        return
    lesson_store.start_lesson(sheet, lesson_class)
    st.rerun()


def own_lesson(lesson: OpenLesson) -> None:
    """The open sheet: progress, nickname and code, report."""
    st.header(escape_markdown(lesson.sheet.title), anchor=False)
    done = sum(bool(lesson.answers.get(step.id)) for step in lesson.sheet.steps)
    st.progress(done / len(lesson.sheet.steps), text=f"{done} of {len(lesson.sheet.steps)} steps answered")
    lesson_report.report_download(lesson)
    with st.form("lesson_nickname", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        typed = st.text_input("Nickname", value=lesson.learner.nickname, max_chars=nicknames.MAX_CHARACTERS, width=260)
        if st.form_submit_button("Save"):
            save_nickname(typed)
    code = f"{lesson.learner.code[:4]}-{lesson.learner.code[4:]}"
    st.caption(f"To continue on another device, open this page there and type your nickname and the code **{code}**.")


def save_nickname(typed: str) -> None:
    """Store the nickname, or say why it cannot be one."""
    try:
        lesson_store.set_nickname(typed)
    except (nicknames.NicknameError, LessonError, QueueError) as error:
        st.error(escape_markdown(error))
        return
    st.session_state.pop(my_trainings.NICKNAME, None)  # the field in the corner shows it too
    st.rerun()


def sheet_list() -> None:
    """Every sheet with a button, and each file with mistakes with the first of them."""
    st.header("Choose a sheet", anchor=False)
    for found in lesson_store.list_sheets():
        if found.sheet is None:
            count = len(found.mistakes)
            more = f" ({pluralize(count, 'mistake')})" if count > 1 else ""
            st.warning(f"{escape_markdown(found.path.name)}, {escape_markdown(found.mistakes[0])}{more}")
            continue
        sheet_row(found.sheet)


def sheet_row(sheet: Sheet) -> None:
    """One sheet: what it is about, its minutes, the button that opens it."""
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        words = f"**{escape_markdown(sheet.title)}**, {sheet.minutes} minutes  \n{escape_markdown(sheet.summary)}"
        st.markdown(words, width="stretch")
        if st.button(
            "Open",
            key=f"lesson_open_{sheet.name}",
            help=f"Open the sheet {escape_markdown(sheet.title)}",
            type="primary",
        ):
            lesson_store.start_lesson(sheet)
            st.rerun()
        if app_shell.is_teacher() and st.button("Start for a class", key=f"lesson_class_{sheet.name}"):
            made = classes.start_class(lesson_store.lesson_file(), sheet)
            pages = st.session_state[app_shell.SESSION_PAGES]
            st.switch_page(pages["lesson_board"], query_params={"board": made.code})


def class_and_device() -> None:
    """The forms with which one joins a class or continues what one began on another device."""
    left, right = st.columns(2, gap="large")
    with left, st.form("lesson_join", border=False):
        st.header("Join a class", anchor=False)
        typed = st.text_input("Code of the class", max_chars=20)
        if st.form_submit_button("Join") and typed:
            joined(typed)
    with right, st.form("lesson_device", border=False):
        st.header("Continue from another device", anchor=False)
        nickname = st.text_input("Nickname", max_chars=nicknames.MAX_CHARACTERS, key="lesson_device_nickname")
        code = st.text_input("Your code", max_chars=20)
        if st.form_submit_button("Continue") and code:
            learners.continue_on_device(lesson_store.lesson_file(), app_shell.current_person(), nickname, code)
            st.rerun()


def teacher_classes() -> None:
    """Links to the boards of all classes."""
    found = classes.list_classes(lesson_store.lesson_file())
    if found:
        st.header("Your classes", anchor=False)
    for lesson_class in found:
        app_shell.page_link(
            "lesson_board",
            f"Class {lesson_class.code}: {lesson_class.sheet}",
            {"board": lesson_class.code},
            ":material/groups:",
        )
