"""Parts of Lesson and Admin that run by themselves: what cannot be read is a sentence, whatever a click comes with."""

import pytest
from streamlit.testing.v1 import AppTest

from cnnlab.explanations.lesson_evidence import Evidence
from cnnlab.jobs.queue import Queue
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.lessons import answers, classes, learners
from cnnlab.lessons.lesson_schema import LessonError
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage.runs import DamagedRun
from cnnlab.ui import app_shell, lesson_panel, lesson_results, lesson_store
from cnnlab.ui.app_shell import SESSION_TEACHER_KEY

KEY = "the key of the test"


@pytest.fixture(autouse=True)
def teacher(monkeypatch):
    monkeypatch.setenv("CNNLAB_TEACHER_KEY", KEY)


@pytest.fixture
def lesson_class():
    sheet = next(found.sheet for found in lesson_store.list_sheets() if found.sheet)
    return classes.start_class(lesson_store.lesson_file(), sheet)


def board(code, **params):
    app = AppTest.from_string("from cnnlab.pages import lesson_board; lesson_board.page()", default_timeout=30)
    app.session_state[SESSION_TEACHER_KEY] = KEY
    app.query_params.update({"board": code, **params})
    return app.run()


def test_reveal_that_comes_with_a_run_of_the_whole_page_reveals(lesson_class):
    app = board(lesson_class.code)
    app.button(key="lesson_board_next").click().run()
    app.button(key="lesson_board_reveal").click().run()
    assert not app.exception
    file, step = lesson_store.lesson_file(), classes.find_class(lesson_store.lesson_file(), lesson_class.code).step
    assert classes.vote_of(file, lesson_class.code, step).revealed


def test_in_presenter_size_the_votes_are_hidden_until_they_are_asked_for_or_revealed(lesson_class):
    file, sheet = lesson_store.lesson_file(), lesson_store.find_sheet(lesson_class.sheet)
    step = next(one for one in sheet.steps if one.kind == "choice")
    classes.update_class(file, lesson_class, step=step.id)
    ada = learners.open_sheet(file, "ada", sheet.name, step.id)
    classes.join_class(file, ada, lesson_class)
    answers.submit(file, ada, step, step.options[0])

    def shows_votes(app):
        bars = [one.proto.text for one in app.get("progress")]
        assert not app.exception and step.options[0] in "\n".join([*bars, *(one.value for one in app.markdown)])
        return any("100 %" in bar for bar in bars)

    assert shows_votes(board(lesson_class.code))
    projected = board(lesson_class.code, presenter="yes")
    assert not shows_votes(projected)
    assert shows_votes(projected.toggle(key=f"lesson_board_votes_{step.id}_0").set_value(True).run())
    classes.vote_again(file, lesson_class.code, step.id)
    classes.reveal(file, lesson_class.code, step.id)
    answers.submit(file, ada, step, step.options[0], 1)
    assert shows_votes(projected.run())


def test_the_board_names_what_the_evidence_supports_and_no_own_training(monkeypatch):
    monkeypatch.setattr(lesson_results, "computed", lambda name, own=None: Evidence(f"[{name}]", answer="1"))
    file, sheet = lesson_store.lesson_file(), lesson_store.find_sheet("seven-questions")
    step = sheet.steps[sheet.index("q1-predict")]
    started = classes.start_class(file, sheet)
    classes.update_class(file, started, step=step.id)

    def told():
        return "\n".join(one.value for one in board(started.code).markdown)

    assert "The evidence supports" not in told() and "helping" not in told()
    classes.reveal(file, started.code, step.id)
    revealed = told()
    assert "The evidence supports: **1**" in revealed and "own:" not in revealed
    assert all(f"[{one}]" in revealed for one in step.evidence if not one.startswith("own"))


def test_who_follows_the_teacher_is_at_the_step_of_the_class(lesson_class):
    file, sheet = lesson_store.lesson_file(), lesson_store.find_sheet(lesson_class.sheet)
    classes.join_class(file, learners.open_sheet(file, "bob", sheet.name, sheet.steps[0].id), lesson_class)
    classes.update_class(file, lesson_class, step=sheet.steps[2].id)
    count = len(sheet.steps)
    for follow, place in ((False, 1), (True, 3)):
        classes.update_class(file, lesson_class, follow=follow)
        assert list(board(lesson_class.code).dataframe[0].value["step"]) == [f"{place} of {count}"]


def test_a_second_board_shows_what_the_first_one_has_changed_and_leaves_it(lesson_class):
    first, second = board(lesson_class.code), board(lesson_class.code)
    first.button(key="lesson_board_next").click().run()
    first.toggle(key=f"lesson_board_follow_{lesson_class.code}").set_value(not lesson_class.follow).run()
    second.run()
    now = classes.find_class(lesson_store.lesson_file(), lesson_class.code)
    assert now.follow is not lesson_class.follow
    assert now.step != lesson_class.step
    for app in (first, second):
        assert not app.exception
        assert app.toggle(key=f"lesson_board_follow_{lesson_class.code}").value is now.follow
        assert app.selectbox[0].value == now.step


DRAWN_BEFORE = """
import streamlit as st

from cnnlab.lessons import answers, classes, learners
from cnnlab.pages.lesson_board import vote
from cnnlab.ui import lesson_store

st.session_state.runs = st.session_state.get("runs", 0) + 1
lesson_class = classes.find_class(lesson_store.lesson_file(), st.session_state.code)
drawn = "the step before" if st.session_state.runs == 1 else lesson_class.step
vote.live_vote(lesson_class.code, lesson_store.find_sheet(lesson_class.sheet), drawn)
"""


def test_a_board_is_drawn_again_where_another_one_has_gone_on(lesson_class):
    app = AppTest.from_string(DRAWN_BEFORE, default_timeout=30)
    app.session_state["code"] = lesson_class.code
    app.run()
    assert not app.exception
    assert app.session_state["runs"] == 2


@pytest.mark.parametrize(
    "part", ["vote.live_vote('ABCDE', None, 'start')", "members.members_table('ABCDE', None, False)"]
)
def test_a_part_of_the_board_whose_answers_cannot_be_read_says_so(part, lesson_class, monkeypatch):
    def fail(*arguments):
        raise LessonError("Unreadable: ![x](y)")

    monkeypatch.setattr(classes, "find_class", fail)
    app = AppTest.from_string(f"from cnnlab.pages.lesson_board import members, vote; {part}", default_timeout=60).run()
    assert not app.exception and [error.value for error in app.error] == [escape_markdown("Unreadable: ![x](y)")]


def test_the_panel_of_a_lesson_about_a_run_that_is_damaged_says_so(lesson_class, monkeypatch):
    def fail(lesson):
        raise DamagedRun("The run 2-conv is damaged: history.csv is empty.")

    monkeypatch.setattr(lesson_panel, "open_panel", fail)
    monkeypatch.setattr(lesson_panel, "covered_here", lambda lesson: None)  # what the page's frame remembers
    sheet = lesson_store.find_sheet(lesson_class.sheet)
    monkeypatch.setattr(app_shell, "current_person", lambda: "somebody")
    lesson_store.start_lesson(sheet, None)
    app = AppTest.from_string("from cnnlab.ui import lesson_panel; lesson_panel.draw_panel()", default_timeout=60).run()
    assert not app.exception and "history.csv is empty" in app.error[0].value


@pytest.mark.parametrize("part", ["machine.machine_metrics", "trainings.active_trainings"])
def test_a_part_of_the_admin_page_whose_queue_fails_says_so(part, monkeypatch):
    def fail(queue):
        raise QueueError("The queue cannot be read.")

    monkeypatch.setattr(Queue, "running", fail)
    app = AppTest.from_string(f"from cnnlab.pages.admin import machine, trainings; {part}()", default_timeout=60).run()
    assert not app.exception and [error.value for error in app.error] == ["The queue cannot be read."]
