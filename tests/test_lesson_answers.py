"""Answers and classes: a prediction locks, nothing confirmed is lost, a class sees its tally and can be deleted."""

import csv
import io
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cnnlab.jobs.nicknames import NicknameError
from cnnlab.lessons import answers, classes, learners
from cnnlab.lessons.lesson_file import LessonFile
from cnnlab.lessons.lesson_schema import LessonError
from cnnlab.lessons.sheet_files import open_sheet
from cnnlab.lessons.tally import agreeing_pairs, median_sketch, sketch_distance, tally
from cnnlab.operating_system import processes
from cnnlab.settings import subprocess_environment

SHEET = open_sheet("taster")
SKETCH, ORDER, CHOICE, PIN, TEXT = SHEET.steps


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    opened = LessonFile()
    yield opened
    opened.close()


def begin(file, person="ada"):
    return learners.open_sheet(file, person, SHEET.name, SHEET.steps[0].id)


def test_a_prediction_stays_as_it_was_given(file):
    ada = begin(file)
    answers.submit(file, ada, CHOICE, CHOICE.options[0])
    with pytest.raises(LessonError, match="already"):
        answers.submit(file, ada, CHOICE, CHOICE.options[1])
    [answer] = answers.answers_of(file, ada, SHEET.name)[CHOICE.id]
    assert answer.content == CHOICE.options[0]
    answers.submit(file, ada, CHOICE, CHOICE.options[1], round_number=1)
    assert [one.content for one in answers.answers_of(file, ada, SHEET.name)[CHOICE.id]] == list(CHOICE.options[:2])


def test_an_explanation_can_be_changed(file):
    ada = begin(file)
    for text in ("first", "second"):
        answers.submit(file, ada, TEXT, text)
    assert [one.content for one in answers.answers_of(file, ada, SHEET.name)[TEXT.id]] == ["second"]


def test_an_answer_of_the_wrong_form_is_refused_and_changes_nothing(file):
    ada = begin(file)
    for step, content in (
        (CHOICE, "none"),
        (ORDER, ["batch norm"]),
        (SKETCH, [1, 2]),
        (TEXT, " "),
        (TEXT, "a" + 5_000 * " "),
        (PIN, {"page": "x"}),
        (PIN, {"page": "compare", "params": {"a" * 5_000: "1"}, "caption": "It shows this."}),
    ):
        with pytest.raises(LessonError, match="Expected"):
            answers.submit(file, ada, step, content)
    assert answers.answers_of(file, ada, SHEET.name) == {}


def test_place_and_answers_survive_a_restart(file):
    ada = begin(file)
    learners.move(file, ada, ORDER.id)
    answers.submit(file, ada, ORDER, list(ORDER.options))
    file.close()
    again = LessonFile(file.path)
    found = learners.find_learner(again, "ada")
    assert (found.sheet, found.step) == (SHEET.name, ORDER.id)
    assert answers.answers_of(again, found, SHEET.name)[ORDER.id][0].content == list(ORDER.options)
    again.close()


def test_another_device_continues_with_nickname_and_code(file):
    ada = begin(file)
    learners.set_nickname(file, ada, "Ada L")
    for nickname, code in (("Ada", ada.code), ("Ada L", "AAAAAAAA"), ("", ada.code)):
        with pytest.raises(LessonError, match="nickname"):
            learners.continue_on_device(file, "phone", nickname, code)
    found = learners.continue_on_device(file, "phone", "ada l", f"{ada.code[:4]}-{ada.code[4:]}".lower())
    assert found.learner == ada.learner == learners.find_learner(file, "phone").learner


def test_guessing_codes_is_slowed_down(file):
    ada = begin(file)
    for _ in range(learners.MAX_WRONG_CODES):
        with pytest.raises(LessonError):
            learners.continue_on_device(file, "phone", "x", "AAAAAAAA")
    with pytest.raises(LessonError, match="ten minutes"):
        learners.continue_on_device(file, "phone", "", ada.code)


def test_a_nickname_that_is_too_long_is_refused(file):
    with pytest.raises(NicknameError, match="30"):
        learners.set_nickname(file, begin(file), "a" * 31)


def test_thirty_answers_at_once_are_all_kept(file):
    people = [begin(file, f"student{number}") for number in range(30)]
    others = [LessonFile(file.path) for _ in range(3)]
    with ThreadPoolExecutor(30) as pool:
        jobs = [
            pool.submit(answers.submit, others[index % 3], person, CHOICE, CHOICE.options[index % 3])
            for index, person in enumerate(people)
        ]
        assert all(job.result().step == CHOICE.id for job in jobs)
    kept = [answers.answers_of(file, person, SHEET.name)[CHOICE.id][0].content for person in people]
    assert kept == [CHOICE.options[index % 3] for index in range(30)]
    for other in others:
        other.close()


WRITER = """
import itertools
from cnnlab.lessons import answers, learners
from cnnlab.lessons.lesson_file import LessonFile
from cnnlab.lessons.sheet_files import open_sheet
file, sheet = LessonFile(), open_sheet("taster")
learner = learners.open_sheet(file, "ada", sheet.name, "own-words")
for number in itertools.count():
    answers.submit(file, learner, sheet.steps[2], sheet.steps[2].options[0], round_number=number)
    print(number, flush=True)
"""


@pytest.mark.slow
def test_a_killed_process_loses_no_answer_that_it_confirmed(file, tmp_path):
    environment = subprocess_environment() | {"CNNLAB_HOME": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", WRITER], stdout=subprocess.PIPE, env=environment)
    confirmed = [int(process.stdout.readline()) for _ in range(20)]
    time.sleep(0.05)
    processes.kill(process.pid)
    confirmed += [int(line) for line in process.stdout.read().split()]
    process.wait()
    kept = answers.answers_of(file, learners.find_learner(file, "ada"), SHEET.name)[CHOICE.id]
    assert {one.round for one in kept} >= set(confirmed)


def test_a_damaged_file_is_one_sentence(file):
    file.path.write_bytes(b"damaged" * 1000)
    with pytest.raises(LessonError, match="move it away"):
        learners.find_learner(file, "ada")


# -- classes -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def school(file):
    made = classes.start_class(file, SHEET)
    people = [begin(file, person) for person in ("ada", "bob", "eve")]
    for person in people[:2]:
        classes.join_class(file, person, made)
    return made, people


def test_a_tally_counts_the_answers_of_this_class_and_round(file, school):
    made, people = school
    for person, option in zip(people, (0, 1, 1), strict=True):
        answers.submit(file, person, CHOICE, CHOICE.options[option])
    rows = tally(CHOICE, classes.answer_contents(file, made, CHOICE.id, 0))
    assert [row.count for row in rows] == [1, 1, 0] and rows[0].share == 0.5
    answers.submit(file, people[0], CHOICE, CHOICE.options[2], round_number=1)
    assert [row.count for row in tally(CHOICE, classes.answer_contents(file, made, CHOICE.id, 1))] == [0, 0, 1]


def test_a_vote_is_revealed_and_begins_again_covered(file, school):
    code = school[0].code
    assert classes.vote_of(file, code, CHOICE.id) == classes.Vote(0, False)
    classes.reveal(file, code, CHOICE.id)
    assert classes.vote_of(file, code, CHOICE.id) == classes.Vote(0, True)
    classes.vote_again(file, code, CHOICE.id)
    assert classes.vote_of(file, code, CHOICE.id) == classes.Vote(1, False)


def test_a_class_is_found_by_its_code_frozen_and_led(file, school):
    made = school[0]
    classes.update_class(file, made, frozen=True, follow=True, step=ORDER.id)
    found = classes.find_class(file, f" {made.code.lower()} ")
    assert (found.frozen, found.follow, found.step) == (True, True, ORDER.id)
    assert classes.find_class(file, "XXXXX") is None
    assert [one.code for one in classes.list_classes(file)] == [made.code]


def test_the_board_counts_what_each_member_has_answered(file, school):
    made, people = school
    answers.submit(file, people[0], CHOICE, CHOICE.options[0])
    answers.submit(file, people[0], TEXT, "because")
    found = {member.learner.learner: member for member in classes.members(file, made)}
    assert set(found) == {"ada", "bob"}
    assert found["ada"].answered == 2 and found["ada"].last_answer and found["bob"].answered == 0


def test_the_table_of_answers_has_a_row_an_answer_and_no_formula(file, school):
    made, people = school
    learners.set_nickname(file, people[1], "=cmd()")
    answers.submit(file, people[0], ORDER, list(ORDER.options))
    answers.submit(file, people[1], TEXT, "+1")
    rows = list(csv.DictReader(io.StringIO(classes.answers_csv(file, made, [step.id for step in SHEET.steps]))))
    assert [row["step"] for row in rows] == [ORDER.id, TEXT.id]
    assert json.loads(rows[0]["answer"]) == list(ORDER.options)
    assert rows[1]["answer"] == "'+1" and rows[1]["nickname"] == "'=cmd()"


def test_a_deleted_class_leaves_nothing_of_its_members(file, school):
    made, people = school
    for person in people:
        answers.submit(file, person, TEXT, "mine")
    classes.delete_class(file, made)
    assert learners.find_learner(file, "ada") is None and classes.list_classes(file) == []
    with file.reading() as db:
        left = {row["learner"] for row in db.execute("SELECT learner FROM answers UNION SELECT learner FROM devices")}
    assert left == {"eve"}
    with pytest.raises(LessonError, match="Your teacher has deleted this class with its answers: open"):
        answers.submit(file, people[0], TEXT, "a moment too late")


# -- comparisons with the result ---------------------------------------------------------------------------------------


def test_pairs_in_the_order_of_the_result_are_counted():
    assert agreeing_pairs(["a", "b", "c"], ["a", "b", "c"]) == (3, 3)
    assert agreeing_pairs(["c", "b", "a"], ["a", "b", "c"]) == (0, 3)
    assert agreeing_pairs(["a", "x"], ["a", "b"]) == (0, 0)
    assert agreeing_pairs(["b", "a", "c"], ["a", "b", "c"], [("a", "b")]) == (2, 2)  # chance may exchange a and b


def test_the_distance_of_a_sketch_is_measured_between_the_epochs():
    curve = [(0.0, 0.0), (10.0, 100.0), (30.0, 100.0)]
    assert sketch_distance(SKETCH, [20, 50, 90, 100, 100], curve) == pytest.approx((10 + 0 + 10) / 5)
    assert sketch_distance(SKETCH, [0] * 5, []) is None
    assert median_sketch(SKETCH, [[0] * 5, [50] * 5, [10] * 5]) == [10] * 5
