"""The lesson's panel and board as drawn: what a step opens, what an answer shows, what the board knows of a class."""

import pytest
import streamlit as st
from run_factories import write_run
from streamlit.testing.v1 import AppTest

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.formatting import percent
from cnnlab.jobs import dispatcher_process, nicknames
from cnnlab.jobs.queue import Queue
from cnnlab.lessons import answers, classes, learners
from cnnlab.lessons.lesson_file import LessonFile
from cnnlab.lessons.sheet_files import open_sheet
from cnnlab.pages.lesson_board import members
from cnnlab.storage import runs
from cnnlab.ui import app_shell, lesson_answers, lesson_store

QUESTIONS, TASTER = open_sheet("seven-questions"), open_sheet("taster")
OWN = Experiment(dataset="shapes", depth=2, epochs=4)
RESULT = "from cnnlab.ui import lesson_results, lesson_store\nlesson_results.draw_result(lesson_store.current_lesson())"
FORM = "from cnnlab.ui import lesson_answers, lesson_store\nlesson_answers.answer_form(lesson_store.current_lesson())"
PREPARATION = """
from cnnlab.lessons.sheet_files import open_sheet
from cnnlab.pages.lesson_board import preparation
preparation.preparation(open_sheet("seven-questions"))
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setattr(app_shell, "current_person", lambda: "ada")
    monkeypatch.setattr(dispatcher_process, "ensure_running", lambda: None)
    st.cache_data.clear()
    st.cache_resource.clear()
    return tmp_path


@pytest.fixture
def file(home):
    opened = LessonFile()
    yield opened
    opened.close()


def step_of(sheet, name):
    return sheet.steps[sheet.index(name)]


def at(file, sheet, step):
    return learners.open_sheet(file, "ada", sheet.name, step.id)


def drawn(script):
    app = AppTest.from_string(script, default_timeout=60).run()
    assert not app.exception
    return app


def said(app):
    return "\n".join(element.value for kind in (app.markdown, app.caption) for element in kind)


def test_a_step_opens_its_page_before_the_answer_unless_the_sheet_hides_it(file):
    first, _, layers, *_ = TASTER.steps
    ada = at(file, TASTER, first)
    lesson = lesson_store.current_lesson()
    assert first.hidden == ("train",) and not lesson.may_see_page(first)
    assert layers.hidden == () and lesson.may_see_page(layers)
    answers.submit(file, ada, first, [50.0] * 5)
    assert lesson_store.current_lesson().may_see_page(first)


@pytest.mark.slow
def test_the_curve_of_ones_own_run_is_laid_over_the_sketch(file):
    run = write_run(settings.runs_dir() / OWN.key, OWN, epochs=(0, 4))
    sketch, chosen = QUESTIONS.steps[:2]
    ada = at(file, QUESTIONS, chosen)
    answers.submit(file, ada, sketch, [50.0] * 5)
    answers.submit(file, ada, chosen, {"run": run.name, "title": run.title, "terms": []})
    app = drawn(RESULT)
    measured = 100 * float(run.history()["val_accuracy"][1])  # of the sketch's epochs the run has only the first
    assert f"Your curve is {50 - measured:.1f} points away from the measured one" in said(app)
    assert "Dashed with points: your prediction. Solid: measured." in said(app)


@pytest.mark.slow
def test_without_ones_own_run_nothing_is_laid_over_the_sketch(file):
    sketch, chosen = QUESTIONS.steps[:2]
    ada = at(file, QUESTIONS, chosen)
    answers.submit(file, ada, sketch, [50.0] * 5)
    answers.submit(file, ada, chosen, {"run": OWN.key, "title": OWN.title, "terms": []})
    assert "away from the measured one" not in said(drawn(RESULT))


@pytest.mark.slow
@pytest.mark.parametrize("saved", [False, True])
def test_a_text_that_is_saved_says_so_and_can_be_changed(file, saved):
    step = step_of(TASTER, "own-words")
    ada = at(file, TASTER, step)
    if saved:
        answers.submit(file, ada, step, "Memorizing works on known images only.")
    app = drawn(FORM)
    assert (lesson_answers.SAVED in said(app)) == saved
    assert app.text_area[0].value == ("Memorizing works on known images only." if saved else "")


@pytest.mark.slow
def test_a_person_has_one_nickname_beside_trainings_and_answers(file):
    nicknames.set_nickname(Queue(), "ada", "Ada")
    app = drawn("from cnnlab.pages import lesson\nlesson.page()")
    app.button(key="lesson_open_taster").click().run()
    assert learners.find_learner(file, "ada").nickname == "Ada"
    app.text_input[0].set_value("Ada L")
    next(button for button in app.button if button.label == "Save").click().run()
    assert learners.find_learner(file, "ada").nickname == nicknames.read_nickname(Queue(), "ada") == "Ada L"


PAGES = {
    "compare": "compare.page()",
    "train": "st.query_params.update(dataset='cifar10', depth='3', regularizer='dropout', split='test')\ntrain.page()",
    "look_inside": "st.query_params.update(run='final-3conv-dropout')\nlook_inside.page()",
}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("covered", [True, False], ids=["covered", "uncovered"])
def test_results_on_the_test_images_are_not_drawn_while_the_sheet_covers_them(page, covered):
    parts = QUESTIONS.hidden_parts("q1-predict", set()) - {"compare"} if covered else set()
    script = f"""
import streamlit as st
from cnnlab.pages import {page}
from cnnlab.ui import control_locks
control_locks.set_sheet_locks((), {parts!r})
{PAGES[page]}
"""
    app = drawn(script)
    text = "\n".join([said(app), *(str(element.proto) for element in walk(app._tree.root))])
    test = runs.open_run("final-3conv-dropout").history()["val_accuracy"][-1]
    shown = {percent(test, digits) for digits in (1, 2)} | {f"test {percent(test)}", "73.61 %"}
    found = [words for words in shown if words in text or words.replace(" %", "\N{NO-BREAK SPACE}%") in text]
    assert bool(found) != covered, found


def walk(block):
    """Every element and block of a page that has a message of its own."""
    for child in block.children.values():
        yield from [child] if getattr(child, "proto", None) is not None else []
        yield from walk(child) if hasattr(child, "children") else []


def test_the_board_knows_the_trainings_of_a_student_on_every_device(file, home):
    ada = at(file, TASTER, TASTER.steps[0])
    school = classes.start_class(file, TASTER)
    classes.join_class(file, ada, school)
    learners.set_nickname(file, ada, "Ada")
    learners.continue_on_device(file, "adas-phone", "Ada", ada.code)
    [member] = classes.members(file, school)
    assert member.persons == ("ada", "adas-phone")
    finished = Queue().submit(OWN, "adas-phone")
    Queue().claim()
    write_run(settings.runs_dir() / OWN.key, OWN, epochs=(0, 4), final={"val_accuracy": 0.3})
    Queue().finish(finished, "done")
    Queue().submit(Experiment(dataset="shapes", depth=1), "ada")
    assert members.training_results(home, member.persons) == "next in the queue, validation 30.0 %"


@pytest.mark.slow
def test_the_trainings_of_a_sheet_are_started_together_and_counted(file):
    app = drawn(PREPARATION)
    before = said(app)
    assert "of 4 networks that the sheet shows on the page Train are trained." in before
    app.button(key="lesson_board_train").click().run()
    app.run()
    assert not app.exception
    assert f"{before.removesuffix('.')}, 1 run or wait." == said(app)
    assert [job.experiment for job in Queue().waiting()] == [Experiment(dataset="shapes", depth=2)]
