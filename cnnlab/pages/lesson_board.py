"""The teacher's board of a class: code and QR code, votes with their tally, the students' places, answers as CSV."""

import time

import streamlit as st

from cnnlab.experiment import Experiment
from cnnlab.jobs import dispatcher_process
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.lessons import classes, tally
from cnnlab.lessons.classes import LessonClass, Vote
from cnnlab.lessons.lesson_schema import LessonError
from cnnlab.lessons.sheet import Sheet, Step
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.ui import app_shell, cache, lesson_charts, lesson_results, lesson_store, query_state, share_link
from cnnlab.ui.selection import parse_experiment
from cnnlab.ui.state import session_key, url_param
from cnnlab.ui.streamlit_internals import rerun_fragment

BOARD_PARAM = url_param("board")  # the code of a class
POLL_SECONDS = 2.0
STUCK_MINUTES = 6
SESSION_NAMES = session_key("lesson_board.names")
PRESENTER_PARAM = url_param("presenter")
PRESENTER_STYLE = "<style>:root { font-size: 24px !important; } [data-testid='stHeader'] { opacity: 0.4; }</style>"


def page() -> None:
    """Draw the board, for a teacher."""
    st.title("Class", anchor=False)
    query_state.drop_unknown_params({BOARD_PARAM, PRESENTER_PARAM})
    if not app_shell.is_teacher():
        st.info("The board is for teachers: type the teacher's key on the page Admin, or sign in as a teacher.")
        app_shell.page_link("admin", "Open Admin", {})
        return
    try:
        lesson_class = classes.find_class(lesson_store.lesson_file(), st.query_params.get(BOARD_PARAM, "")[:20])
        sheet = lesson_store.find_sheet(lesson_class.sheet) if lesson_class else None
        if lesson_class is None or sheet is None:
            st.warning("There is no such class: start one on the page Lesson.")
            app_shell.page_link("lesson", "Open Lesson", {})
            return
        board(lesson_class, sheet)
    except LessonError as error:
        st.error(escape_markdown(error))


def board(lesson_class: LessonClass, sheet: Sheet) -> None:
    """All parts; in presenter size without those that only the teacher needs."""
    help_ = "Larger letters, fewer controls, no names"
    presenter = query_state.toggle_param(PRESENTER_PARAM, "Presenter size", help=help_)
    if presenter:
        st.html(PRESENTER_STYLE)
    left, right = st.columns([2, 1], gap="large")
    with right:
        invitation(lesson_class)
    with left:
        lead_controls(lesson_class, sheet)
        st.fragment(live_vote, run_every=POLL_SECONDS)(lesson_class.code, sheet)
    st.fragment(members_table, run_every=POLL_SECONDS)(lesson_class.code, sheet)
    if not presenter:
        preparation(sheet)
        answers_and_deletion(lesson_class, sheet)


def invitation(lesson_class: LessonClass) -> None:
    """The code in large letters, the address, its QR code."""
    address = share_link.page_address("lesson", {"join": lesson_class.code})
    st.metric("Code of the class, on the page Lesson", lesson_class.code)
    share_link.qr_code(address)
    st.caption(escape_markdown(address))


def lead_controls(lesson_class: LessonClass, sheet: Sheet) -> None:
    """The step of the class, follow and freeze."""
    file = lesson_store.lesson_file()
    names = {
        step.id: f"Step {number}, {step.kind}: {sheet.chapter_of(step).title}"
        for number, step in enumerate(sheet.steps, start=1)
    }
    index = sheet.index(lesson_class.step)
    key = f"lesson_board_step_{lesson_class.code}_{lesson_class.step}"
    chosen = st.selectbox("Step of the class", list(names), index, format_func=names.__getitem__, key=key)
    if chosen != lesson_class.step:
        classes.lead(file, lesson_class, step=chosen)
        st.rerun()
    with st.container(horizontal=True):
        if st.button("Next step", key="lesson_board_next", disabled=index + 1 == len(sheet.steps)):
            classes.lead(file, lesson_class, step=sheet.steps[index + 1].id)
            st.rerun()
        help_ = "Every student sees the step of the class and its page."
        follow = st.toggle("Follow me", lesson_class.follow, key=f"lesson_board_follow_{lesson_class.code}", help=help_)
        help_ = "No answers are taken, and students are asked to look to the front."
        frozen = st.toggle("Freeze", lesson_class.frozen, key=f"lesson_board_freeze_{lesson_class.code}", help=help_)
    if (follow, frozen) != (lesson_class.follow, lesson_class.frozen):
        classes.lead(file, lesson_class, follow=follow, frozen=frozen)


@app_shell.errors_as_sentences()
def live_vote(code: str, sheet: Sheet) -> None:
    """The step's question, how many have answered, reveal and vote again; the tally after the reveal, or on request."""
    file = lesson_store.lesson_file()
    lesson_class = classes.find_class(file, code)
    if lesson_class is None:
        return
    step = sheet.steps[sheet.index(lesson_class.step)]
    vote = classes.vote_of(file, code, step.id)
    given = classes.contents(file, lesson_class, step.id, vote.round)
    count = len(classes.members(file, lesson_class))
    st.markdown(step.question)
    st.markdown(f"**{len(given)} of {count}** have answered, round {vote.round + 1}.")
    if not step.is_prediction:
        return
    with st.container(horizontal=True):
        if st.button("Reveal", key="lesson_board_reveal", type="primary", disabled=vote.revealed):
            classes.reveal(file, code, step.id)
            rerun_fragment()
        if st.button("Vote again", key="lesson_board_again", disabled=not given):
            classes.vote_again(file, code, step.id)
            rerun_fragment()
    show_tally(step, vote, given)
    if vote.round:
        previous = classes.contents(file, lesson_class, step.id, vote.round - 1)
        st.caption(f"Round {vote.round}: {tally_words(step, previous)}")


def show_tally(step: Step, vote: Vote, given: list[object]) -> None:
    """The votes: bars for options, the median for a sketch; with the measured result once it is revealed."""
    for row in tally.tally(step, given):
        first = " first" if step.kind == "order" else ""
        st.progress(row.share, text=f"{escape_markdown(row.label)}{first}: {row.count} ({100 * row.share:.0f} %)")
    if step.kind == "sketch" and given:
        curve = lesson_results.computed(step.result).curve if vote.revealed and step.result else ()
        key = f"lesson_board_sketch_{step.id}_{vote.round}_{vote.revealed}"
        lesson_charts.sketch_chart(step, tally.median_sketch(step, given), curve, key=key)
        st.caption("The median of the class.")
    if vote.revealed:
        for specification in step.evidence:
            st.markdown(f":material/analytics: {lesson_results.computed(specification).sentence}")


def tally_words(step: Step, given: list[object]) -> str:
    """A tally in one line."""
    rows = [f"{escape_markdown(row.label)} {row.count}" for row in tally.tally(step, given)]
    return ", ".join(rows) or f"{len(given)} answers"


@app_shell.errors_as_sentences()
def members_table(code: str, sheet: Sheet) -> None:
    """Who is at which step since when; nicknames only where the teacher asks for them."""
    file = lesson_store.lesson_file()
    lesson_class = classes.find_class(file, code)
    if lesson_class is None:
        return
    found = classes.members(file, lesson_class)
    st.header(f"{len(found)} students", anchor=False)
    presenter = query_state.read_option(PRESENTER_PARAM, query_state.SWITCH) == "yes"
    names = not presenter and st.toggle("Show nicknames", key=SESSION_NAMES, help="Off on the projector.")
    rows = []
    for number, member in enumerate(found, start=1):
        since = lesson_store.minutes_since(max(member.learner.moved, member.last_answer or 0.0))
        shown = (member.learner.nickname or member.learner.learner) if names else f"Student {number}"
        rows.append(
            {
                "student": shown,
                "step": f"{sheet.index(member.learner.step) + 1} of {len(sheet.steps)}",
                "answered": member.answered,
                "at this step": f"{since} min{', stuck?' if since >= STUCK_MINUTES else ''}",
            }
        )
    if rows:
        st.dataframe(rows, hide_index=True, key="lesson_board_members")
    else:
        st.caption("Nobody has joined yet.")


def preparation(sheet: Sheet) -> None:
    """The button that starts the trainings which the sheet asks for, so that they are done before the lesson."""
    wanted = sheet_experiments(sheet)
    missing = [one for one in wanted if not is_trained(one)]
    if not wanted:
        return
    st.header("Before the lesson", anchor=False)
    if not missing:
        st.caption("Every network that the sheet shows on the page Train is trained.")
    elif st.button(f"Start {len(missing)} trainings of this sheet", key="lesson_board_train"):
        try:
            for experiment in missing:
                cache.open_queue().submit(experiment, app_shell.current_person(), is_teacher=True)
            dispatcher_process.ensure_running()
            st.success("Started: the page Admin shows them.")
        except QuotaExceeded as error:
            st.error(escape_markdown(error))


def is_trained(experiment: Experiment) -> bool:
    """Whether there is a finished run of this experiment."""
    run = cache.find_run(experiment)
    return run is not None and run.state == "done"


def sheet_experiments(sheet: Sheet) -> list[Experiment]:
    """The experiments that the steps on the page Train show, each once."""
    found = [parse_experiment(step.params, Experiment())[0] for step in sheet.steps if step.page == "train"]
    return list({one.key: one for one in found}.values())


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
