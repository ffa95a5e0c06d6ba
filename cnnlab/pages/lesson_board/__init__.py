"""The teacher's board of a class: code and QR code, votes with their tally, the students' places, answers as CSV."""

import time

import streamlit as st

from cnnlab.lessons import classes
from cnnlab.lessons.classes import LessonClass
from cnnlab.lessons.lesson_schema import LessonError
from cnnlab.lessons.sheet import Sheet
from cnnlab.pages.lesson_board import members, preparation, vote
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.ui import app_shell, lesson_store, query_state, share_link
from cnnlab.ui.state import url_param

BOARD_PARAM = url_param("board")  # the code of a class
POLL_SECONDS, PREPARATION_SECONDS = 2.0, 10.0
PRESENTER_PARAM = url_param("presenter")
PRESENTER_STYLE = """<style>@media (min-width: 769px) {
  :root { font-size: 24px !important; } [data-testid="stHeader"] { opacity: 0.4; }
  [data-testid="stMainBlockContainer"] { padding-top: 3.5rem; } h1 { font-size: 1.6rem !important; }
}</style>"""


def page() -> None:
    """Draw the board, for a teacher."""
    query_state.drop_unknown_params({BOARD_PARAM, PRESENTER_PARAM})
    if not app_shell.is_teacher():
        st.title("Class", anchor=False)
        st.info("The board is for teachers: type the teacher's key on the page Admin, or sign in as a teacher.")
        app_shell.page_link("admin", "Open Admin", {})
        return
    try:
        lesson_class = classes.find_class(lesson_store.lesson_file(), st.query_params.get(BOARD_PARAM, "")[:20])
        sheet = lesson_store.find_sheet(lesson_class.sheet) if lesson_class else None
        if lesson_class is None or sheet is None:
            st.title("Class", anchor=False)
            st.warning("There is no such class: start one on the page Lesson.")
            app_shell.page_link("lesson", "Open Lesson", {})
            return
        board(lesson_class, sheet)
    except LessonError as error:
        st.error(escape_markdown(error))


def board(lesson_class: LessonClass, sheet: Sheet) -> None:
    """All parts; in presenter size without those that only the teacher needs."""
    help_ = "Larger letters, fewer controls, no names"
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.title("Class", anchor=False)
        presenter = query_state.toggle_param(PRESENTER_PARAM, "Presenter size", help=help_)
    if presenter:
        st.html(PRESENTER_STYLE)
    left, right = st.columns([2, 1], gap="large")
    with right:
        invitation(lesson_class)
    with left:
        lead_controls(lesson_class, sheet, presenter)
        st.fragment(vote.live_vote, run_every=POLL_SECONDS)(lesson_class.code, sheet, lesson_class.step, presenter)
    st.fragment(members.members_table, run_every=POLL_SECONDS)(lesson_class.code, sheet, presenter)
    if not presenter:
        st.fragment(preparation.preparation, run_every=PREPARATION_SECONDS)(sheet)
        answers_and_deletion(lesson_class, sheet)


def invitation(lesson_class: LessonClass) -> None:
    """The code in large letters, the address, its QR code."""
    address = share_link.page_address("lesson", {"join": lesson_class.code})
    st.metric("Code of the class", lesson_class.code, help="Students type it on the page Lesson, or open the address.")
    share_link.qr_code(address)
    st.caption(escape_markdown(address))


def lead_controls(lesson_class: LessonClass, sheet: Sheet, presenter: bool) -> None:
    """The step of the class, follow and freeze; in presenter size without the menu of steps."""
    index = sheet.index(lesson_class.step)
    if presenter:
        st.markdown(f"**Step {index + 1} of {len(sheet.steps)}**")
    else:
        step_menu(lesson_class, sheet, index)
    with st.container(horizontal=True):
        following = sheet.steps[min(index + 1, len(sheet.steps) - 1)]
        st.button(
            "Next step", key="lesson_board_next", disabled=following.id == lesson_class.step,
            on_click=on_next, args=(lesson_class, following.id),
        )  # fmt: skip
        lead_toggle(lesson_class, "follow", "Follow me", "Every student sees the step of the class and its page.")
        help_ = "No answers are taken, and students are asked to look to the front."
        lead_toggle(lesson_class, "frozen", "Freeze", help_)


def lead_toggle(lesson_class: LessonClass, what: str, label: str, help_: str) -> None:
    """A toggle of the class, which shows what holds at the moment: another board may have changed it."""
    key = f"lesson_board_{what}_{lesson_class.code}"
    st.session_state[key] = getattr(lesson_class, what)
    st.toggle(label, key=key, help=help_, on_change=on_toggle, args=(lesson_class, what, key))


@app_shell.errors_as_sentences()
def on_toggle(lesson_class: LessonClass, what: str, key: str) -> None:
    """Let the class follow or not, freeze it or not, as the toggle says."""
    now = {what: bool(st.session_state[key])}
    classes.update_class(lesson_store.lesson_file(), lesson_class, follow=now.get("follow"), frozen=now.get("frozen"))


@app_shell.errors_as_sentences()
def on_next(lesson_class: LessonClass, step: str) -> None:
    """Lead the class to this step, before the board is drawn: so it is drawn once."""
    classes.update_class(lesson_store.lesson_file(), lesson_class, step=step)


def step_menu(lesson_class: LessonClass, sheet: Sheet, index: int) -> None:
    """The menu with which the class goes to any step."""
    names = {
        step.id: f"Step {number}, {step.kind}: {sheet.chapter_of(step).title}"
        for number, step in enumerate(sheet.steps, start=1)
    }
    key = f"lesson_board_step_{lesson_class.code}_{lesson_class.step}"
    chosen = st.selectbox("Step of the class", list(names), index, format_func=names.__getitem__, key=key)
    if chosen != lesson_class.step:
        classes.update_class(lesson_store.lesson_file(), lesson_class, step=chosen)
        st.rerun()


def answers_and_deletion(lesson_class: LessonClass, sheet: Sheet) -> None:
    """The answers as CSV, and the button that deletes the class, with what is stored."""
    st.header("Answers", anchor=False)
    file = lesson_store.lesson_file()
    content = classes.answers_csv(file, lesson_class, [step.id for step in sheet.steps])
    name = f"class-{lesson_class.code}-{time.strftime('%Y-%m-%d')}.csv"
    st.download_button(
        "Download the answers (CSV)", content, name, "text/csv", icon=":material/download:", on_click="ignore"
    )
    st.caption(classes.STORED)
    with st.expander("Delete this class"):
        typed = st.text_input("Type the code of the class to delete it", max_chars=20, key="lesson_board_delete_code")
        if st.button("Delete for good", key="lesson_board_delete", disabled=typed.strip().upper() != lesson_class.code):
            classes.delete_class(file, lesson_class)
            st.switch_page(st.session_state[app_shell.SESSION_PAGES]["lesson"])
