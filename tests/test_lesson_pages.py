"""The lesson's panel and board as drawn: what a step opens, what an answer shows, what the board knows of a class."""

import json
import os
from functools import partial

import pytest
import streamlit as st
from run_factories import write_run
from streamlit.testing.v1 import AppTest

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.explanations.lesson_evidence import NOT_CHOSEN, NOT_READABLE
from cnnlab.formatting import keep_figures_whole, percent
from cnnlab.jobs import dispatcher_process, nicknames
from cnnlab.jobs.queue import Queue
from cnnlab.lesson_report.content import make_report
from cnnlab.lessons import answers, classes, learners, sheet_files
from cnnlab.lessons.lesson_file import LessonFile
from cnnlab.lessons.lesson_schema import LessonError
from cnnlab.lessons.sheet import fits
from cnnlab.lessons.sheet_files import open_sheet
from cnnlab.pages.lesson_board import members, vote
from cnnlab.storage import runs
from cnnlab.ui import app_shell, lesson_answers, lesson_panel, lesson_report, lesson_results, lesson_store, presence
from cnnlab.ui.streamlit_script_context import run_without_browser

QUESTIONS, TASTER = open_sheet("seven-questions"), open_sheet("taster")
OWN = Experiment(dataset="shapes", depth=2, epochs=4)
RESULT = "from cnnlab.ui import lesson_results, lesson_store\nlesson_results.draw_result(lesson_store.current_lesson())"
FORM = "from cnnlab.ui import lesson_answers, lesson_store\nlesson_answers.answer_form(lesson_store.current_lesson())"
PREPARATION = """
from cnnlab.lessons import sheet_files
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
    assert "train" in first.hidden and not lesson.may_see_page(first)
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


def answered(file, step, content):
    """The learner at this step, which is answered, and the name of a finished training of this home."""
    run = write_run(settings.runs_dir() / OWN.key, OWN, epochs=(0, 4))
    ada = at(file, QUESTIONS, step)
    answers.submit(file, ada, step, content)
    return ada, run.name


@pytest.mark.slow
def test_a_later_chapter_has_the_figures_of_the_training_that_was_chosen(file, monkeypatch):
    step = step_of(QUESTIONS, "q4-parameters")
    ada, run = answered(file, step, step.options[0])
    answers.submit(file, ada, QUESTIONS.steps[1], {"run": run, "title": OWN.title, "terms": []})
    assert f"**Your training** ({OWN.title}): 270,230 parameters" in said(drawn(RESULT))
    monkeypatch.setattr(lesson_results, "evidence", lambda *_: pytest.fail("computed once more"))
    assert "**Your training**" in said(drawn(RESULT))


@pytest.mark.slow
@pytest.mark.parametrize("gone", [False, True])
def test_without_a_chosen_training_one_line_leads_back_to_its_step(file, gone):
    step = step_of(QUESTIONS, "q3-loss")
    ada, _ = answered(file, step, step.options[0])
    if gone:
        answers.submit(file, ada, QUESTIONS.steps[1], {"run": "0" * 16, "title": "gone", "terms": []})
    app = drawn(RESULT)
    assert said(app).count("Its figures appear here.") == 1 and "validation loss" in said(app)
    assert (NOT_READABLE if gone else NOT_CHOSEN) in said(app)
    app.button(key="lesson_choose_own_q3-loss").click().run()
    assert learners.find_learner(file, "ada").step == "start-run"


@pytest.mark.slow
def test_the_figures_of_a_step_beyond_three_are_folded(file):
    step = step_of(QUESTIONS, "q1-predict")
    answered(file, step, "1")
    app = drawn(RESULT)
    [folded] = app.expander
    inside = {one.value for one in folded.markdown}
    computed = [one.value for one in app.markdown if one.value.startswith(":material/analytics:")]
    assert folded.label == "More figures (1)" and len(computed) == 4 and inside == {computed[-1]}


@pytest.mark.slow
def test_a_class_that_follows_its_teacher_is_led_to_train_only(file):
    school, step = classes.start_class(file, QUESTIONS), step_of(QUESTIONS, "q3-loss")
    ada, _ = answered(file, step, step.options[0])
    classes.join_class(file, ada, school)
    classes.update_class(file, school, step=step.id, follow=True)
    answers.submit(file, learners.find_learner(file, "ada"), step, step.options[0], 1)
    assert not [one for one in drawn(RESULT).button if one.key.startswith("lesson_choose_own")]


@pytest.mark.slow
def test_the_trainings_that_one_has_asked_for_are_offered_first(file):
    mine = Experiment(dataset="shapes", depth=3, epochs=4)
    write_run(settings.runs_dir() / mine.key, mine, epochs=(0, 4))
    Queue().submit(mine, "ada")
    write_run(settings.runs_dir() / OWN.key, OWN, epochs=(0, 4))  # newer, and of nobody
    at(file, QUESTIONS, QUESTIONS.steps[1])
    assert list(drawn(FORM).selectbox[0].options) == [mine.title, OWN.title]


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


@pytest.mark.nightly(but=["own-words"])
@pytest.mark.slow
@pytest.mark.parametrize("name", ["layers", "smallest-gap", "memorize", "own-words", "pin-map"])
def test_an_answer_counts_although_the_class_went_on_a_moment_before(file, name):
    school, step = classes.start_class(file, TASTER), step_of(TASTER, name)
    ada = at(file, TASTER, TASTER.steps[0])
    classes.join_class(file, ada, school)
    classes.update_class(file, school, step=name, follow=True)
    app = AppTest.from_string(FORM, default_timeout=60)
    app.session_state["presence.page"] = "look_inside"
    app.run()
    key, expected = f"lesson_answer_taster_{name}_0", fill(app, step)
    classes.update_class(file, school, step="own-words" if name != "own-words" else "layers")
    next(one for one in app.button if one.key == f"{key}_save" or f"{key}_form" in str(one.proto.id)).click().run()
    assert not app.exception and not app.error
    [answer] = answers.answers_of(file, ada, "taster")[name]
    assert answer.content == expected
    assert lesson_answers.SAVED_BEFORE in said(app)


def fill(app, step):
    """Fill in the form of a step; the content of the answer."""
    match step.kind:
        case "choice":
            app.radio[0].set_value(step.options[1]).run()
            return step.options[1]
        case "order":
            app.multiselect[0].set_value(list(step.options)).run()
            return list(step.options)
        case "sketch":
            app.slider[1].set_value(70.0)
            return [50.0, 70.0, 50.0, 50.0, 50.0]
        case "text":
            app.text_area[0].set_value("Known images only.")
            return "Known images only."
    app.text_area[0].set_value("Edges.")
    return {"page": "look_inside", "params": {}, "caption": "Edges."}


@pytest.mark.slow
def test_a_class_that_was_frozen_a_moment_before_takes_no_answer(file):
    school, step = classes.start_class(file, TASTER), step_of(TASTER, "layers")
    ada = at(file, TASTER, step)
    classes.join_class(file, ada, school)
    app = drawn(FORM)
    fill(app, step)
    classes.update_class(file, school, frozen=True)
    app.button(key="lesson_answer_taster_layers_0_save").click().run()
    assert answers.answers_of(file, ada, "taster") == {}
    assert app.error[0].value == "Your teacher takes no answers at the moment."


@pytest.mark.slow
@pytest.mark.parametrize(("accuracy", "met"), [(0.5, True), (0.2, False)])
def test_a_run_counts_only_where_it_meets_the_condition(file, accuracy, met):
    rows = [dict.fromkeys(runs.HISTORY_COLUMNS, accuracy) | {"epoch": epoch} for epoch in range(2)]
    run = write_run(settings.runs_dir() / OWN.key, OWN, epochs=(0, 1))
    runs.write_history(run.path / "history.csv", rows)
    ada = at(file, QUESTIONS, QUESTIONS.steps[1])
    app = drawn(FORM)
    app.button(key="lesson_answer_seven-questions_start-run_0_save").click().run()
    assert not app.exception
    assert bool(answers.answers_of(file, ada, "seven-questions")) == met
    assert (f"validation {100 * accuracy:.0f} > 30" in said(app)) and bool(app.error) != met


OLD_ANSWERS = {
    "text": "words", "choice": "an option that was corrected", "order": ["a", "b"], "sketch": [1.0],
    "run": {"run": OWN.key, "title": OWN.title, "terms": []},
    "pin": {"page": "compare", "params": {}, "caption": "words"},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("before", OLD_ANSWERS)
def test_an_answer_of_before_the_sheet_changed_is_asked_for_again(file, before):
    steps = {step.kind: step for sheet in (TASTER, QUESTIONS) for step in sheet.steps}
    del steps["text" if before in ("text", "pin") else before]
    for kind, step in steps.items():
        sheet = TASTER if step in TASTER.steps else QUESTIONS
        ada = at(file, sheet, step)
        learners.move(file, ada, step.id)
        with file.writing() as db:
            row = (ada.learner, sheet.name, step.id, 0, json.dumps(OLD_ANSWERS[before]), 1.0)
            db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)", row)
        if fits(step, OLD_ANSWERS[before]):
            continue
        drawn(FORM)
        lesson = lesson_store.current_lesson()
        assert lesson.answer is None and step.id not in lesson.answers
        make_report(sheet, lesson.answers, "", ())
        made = classes.start_class(file, sheet)
        classes.join_class(file, ada, made)
        assert vote.fitting_contents(made, step, 0) == []
        if kind == "order":
            assert answers.submit(file, ada, step, list(step.options)).content == list(step.options)
            with pytest.raises(LessonError, match="given this prediction already"):
                answers.submit(file, ada, step, list(step.options))


@pytest.mark.slow
def test_a_person_has_one_nickname_beside_trainings_and_answers(file):
    nicknames.set_nickname(Queue(), "ada", "Ada")
    app = drawn("from cnnlab.pages import lesson\nlesson.page()")
    app.button(key="lesson_open_taster").click().run()
    assert learners.find_learner(file, "ada").nickname == "Ada"
    app.text_input[0].set_value("Ada L")
    next(button for button in app.button if button.label == "Save").click().run()
    assert learners.find_learner(file, "ada").nickname == nicknames.read_nickname(Queue(), "ada") == "Ada L"


REPORT = """
from cnnlab.ui import lesson_report, lesson_store
lesson_report.report_download(lesson_store.current_lesson())
"""


@pytest.mark.slow
def test_one_press_makes_the_report_with_the_answers_of_that_moment(file, monkeypatch):
    made = []
    monkeypatch.setattr(lesson_report, "page_bytes", lambda lesson, _: made.append(lesson) or b"<html>")
    at(file, TASTER, TASTER.steps[0])
    app = drawn(REPORT)
    app.button(key="lesson_report_page").click().run()
    assert not app.exception and len(made) == 1
    [button] = app.get("download_button")
    assert button.key == "lesson_report_page_again" and "taster-report.html" in said(app)


def test_the_report_of_a_class_has_no_result_that_the_teacher_has_not_shown(file):
    gap = step_of(TASTER, "smallest-gap")
    ada = at(file, TASTER, gap)
    lesson_class = classes.start_class(file, TASTER)
    classes.join_class(file, ada, lesson_class)
    answers.submit(file, ada, gap, list(gap.options))

    def report_says() -> bool:
        page = lesson_report.page_bytes(lesson_store.current_lesson(), lambda done, total: None).decode()
        assert ("Your teacher has not shown the result of this step yet" in page) != ("Measured order" in page)
        return "Measured order" in page

    assert not report_says()
    classes.reveal(file, lesson_class.code, gap.id)
    assert report_says()
    classes.vote_again(file, lesson_class.code, gap.id)
    assert not report_says()
    classes.delete_class(file, lesson_class)
    ada = at(file, TASTER, gap)
    answers.submit(file, ada, gap, list(gap.options))
    assert report_says()


def test_an_answer_given_since_the_page_was_drawn_is_in_the_report(file, monkeypatch):
    monkeypatch.setattr(lesson_report.cache, "report_rows", list)
    step = step_of(TASTER, "own-words")
    ada = at(file, TASTER, step)
    before = lesson_store.current_lesson()
    answers.submit(file, ada, step, "Known images only.")
    assert "Known images only." in lesson_report.page_bytes(before, lambda done, total: None).decode()


@pytest.mark.slow
@pytest.mark.parametrize("error", [runs.DamagedRun("The run x is damaged."), OSError(28, "No space left on device")])
def test_a_report_that_cannot_be_made_is_a_sentence_and_no_download(file, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(lesson_report, "make_report", fail)
    at(file, TASTER, TASTER.steps[0])
    app = drawn(REPORT)
    app.button(key="lesson_report_page").click().run()
    assert not app.exception and not app.get("download_button")
    assert [one.value for one in app.error] == [
        "The run x is damaged." if isinstance(error, runs.DamagedRun)
        else "Something could not be read or written (No space left on device): look at the disk of the server."
    ]  # fmt: skip


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
    found = [words for words in shown if words in text or keep_figures_whole(words) in text]
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
    assert "of 4 networks that the sheet shows on the page Train." in before
    assert app.button(key="lesson_board_train").label == "Start 1 training of this sheet"
    app.button(key="lesson_board_train").click().run()
    app.run()
    assert not app.exception
    assert f"{before.removesuffix('.')}, run or wait: 1." == said(app)
    assert [job.experiment for job in Queue().waiting()] == [Experiment(dataset="shapes", depth=2)]


def test_a_sheet_of_the_home_is_read_again_only_where_it_has_changed(home):
    def looked_at():
        lesson_store._list_sheets.clear()  # as after SHEETS_SECONDS
        return lesson_store.list_sheets()

    own = home / "lessons" / "mine.yaml"
    own.parent.mkdir()
    text = (sheet_files.SHIPPED / "taster.yaml").read_text(encoding="utf-8")
    own.write_text(text, encoding="utf-8")
    before = looked_at()
    assert looked_at() is before and lesson_store.find_sheet("mine").title == TASTER.title
    own.write_text(text.replace(TASTER.title, "Changed", 1), encoding="utf-8")
    os.utime(own, ns=(1, 1))
    assert looked_at() is not before and lesson_store.find_sheet("mine").title == "Changed"


def test_each_tab_of_a_class_asks_for_its_step_at_an_interval_of_its_own():
    found = []

    def page(tab):
        st.session_state[presence.SESSION_TAB] = tab
        found.append(lesson_panel.class_poll_seconds())

    for tab in ("0000" + 12 * "a", "8000" + 12 * "a", "8000" + 12 * "b", 16 * "f"):
        run_without_browser(partial(page, tab))
    low, high = lesson_panel.CLASS_POLL_SECONDS
    assert found == [low, found[1], found[1], high] and low < found[1] < high
