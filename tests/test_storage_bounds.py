"""What one visitor with fresh cookies can store, outside networks and pictures, is bounded; a class is not held up."""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from cnnlab.experiment import Experiment
from cnnlab.jobs import nicknames, queue_statements, sweep_jobs
from cnnlab.jobs.nicknames import NicknameError
from cnnlab.jobs.queue import Queue
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.lessons import answers, classes, learner_limits, learners
from cnnlab.lessons.learners import Learner
from cnnlab.lessons.lesson_file import LessonFile
from cnnlab.lessons.lesson_schema import LessonError
from cnnlab.lessons.sheet_files import open_sheet
from cnnlab.storage import sweep_files, uploads
from cnnlab.sweeps import Sweep, create_sweep

SHEET = open_sheet("taster")
TEXT = next(step for step in SHEET.steps if step.kind == "text")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def file(home: Path) -> LessonFile:
    return LessonFile()


def begin(file: LessonFile, person: str, address: str = "one") -> Learner:
    return learners.open_sheet(file, person, SHEET.name, SHEET.steps[0].id, address)


def change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(sql)


def test_fresh_cookies_of_one_address_begin_only_so_many_sheets_an_hour(file: LessonFile, monkeypatch) -> None:
    monkeypatch.setattr(learner_limits, "MAX_NEW_OF_ADDRESS", 3)
    for number in range(3):
        begin(file, f"fresh{number}")
    with pytest.raises(LessonError, match=r"3 people have begun a sheet within an hour, and 3 may: try again later"):
        begin(file, "fresh3")
    assert begin(file, "fresh1").learner == "fresh1"  # who has begun goes on
    begin(file, "fresh3", address="two")
    begin(file, "on the server itself", address="")
    change(file.path, "UPDATE learners SET created = created - 3601")
    begin(file, "fresh4")


def test_one_address_keeps_only_so_many_learners_outside_classes(file: LessonFile, monkeypatch) -> None:
    monkeypatch.setattr(learner_limits, "MAX_OF_ADDRESS", 2)
    lesson_class = classes.start_class(file, SHEET)
    for number in range(5):  # a class behind one address
        classes.join_class(file, begin(file, f"student{number}"), lesson_class)
    first = begin(file, "fresh0")
    begin(file, "fresh1")
    with pytest.raises(LessonError, match=r"2 people work on a sheet outside a class, and 2 may: ask your teacher"):
        begin(file, "fresh2")
    assert answers.submit(file, first, TEXT, "an answer").content == "an answer"


def test_nobody_new_begins_beyond_the_size_of_the_file_and_others_go_on(file: LessonFile, monkeypatch) -> None:
    learner = begin(file, "ada")
    monkeypatch.setattr(learner_limits, "MAX_FILE_BYTES", 1)
    with pytest.raises(LessonError, match="as many answers as it can"):
        begin(file, "bob", "two")
    answers.submit(file, learner, TEXT, "an answer")


def test_answers_of_one_learner_take_only_so_much(file: LessonFile, monkeypatch) -> None:
    learner = begin(file, "ada")
    answers.submit(file, learner, TEXT, "\N{GRINNING FACE}" * 4_000)  # the most that the field takes, 12 bytes each
    monkeypatch.setattr(learner_limits, "MAX_LEARNER_BYTES", 48_100)
    with pytest.raises(LessonError, match="more than 48,100 bytes"):
        answers.submit(file, learner, TEXT, "a" * 200, round_number=1)
    answers.submit(file, learner, TEXT, "a" * 200)  # in place of the first
    pin = next(step for step in SHEET.steps if step.kind == "pin")
    params = {f"name{number}": "x" * 2_000 for number in range(40)}
    with pytest.raises(LessonError, match=r"at most 50,000 bytes, and this one takes 80,\d\d\d: shorten it"):
        answers.submit(file, learner, pin, {"page": "train", "params": params, "caption": "a figure"})


def test_a_file_of_answers_of_the_version_before_goes_on(home: Path, file: LessonFile) -> None:
    begin(file, "ada")
    with closing(sqlite3.connect(file.path, isolation_level=None)) as db:
        db.execute("DROP INDEX learners_by_address")
        for column in ("address", "created"):
            db.execute(f"ALTER TABLE learners DROP COLUMN {column}")
        db.execute("PRAGMA user_version = 1")
    file.close()
    found = learners.find_learner(LessonFile(), "ada")
    assert found is not None and found.sheet == SHEET.name
    with LessonFile().reading() as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == 2


def test_one_address_keeps_only_so_many_nicknames(monkeypatch) -> None:
    monkeypatch.setattr(nicknames, "MAX_OF_ADDRESS", 2)
    queue = Queue()
    for person in ("b01", "b02"):
        nicknames.set_nickname(queue, person, "Ada", "one")
    with pytest.raises(NicknameError, match="2 people have a nickname"):
        nicknames.set_nickname(queue, "b03", "Ada", "one")
    nicknames.set_nickname(queue, "b02", "Grace", "one")
    nicknames.set_nickname(queue, "b03", "Ada", "two")
    assert [nicknames.read_nickname(queue, person) for person in ("b01", "b02", "b03")] == ["Ada", "Grace", "Ada"]


def test_requests_that_train_nothing_do_not_fill_the_queue_file(monkeypatch) -> None:
    monkeypatch.setattr(queue_statements, "MAX_UNTRAINED_JOBS", 4)
    monkeypatch.setattr(queue_statements, "FORGET_EVERY", 10)
    queue = Queue()
    trained = queue.submit(Experiment(dataset="shapes", epochs=5, seed=0), "ada")
    queue.claim()
    queue.finish(trained, "failed", "its reason")
    for number in range(1, 30):
        job = queue.submit(Experiment(dataset="shapes", epochs=5, seed=number), f"fresh{number}")
        queue.cancel(job, f"fresh{number}")
    with queue.read_transaction() as db:
        left = [row["id"] for row in db.execute("SELECT id FROM jobs ORDER BY id")]
        asked = [row["job"] for row in db.execute("SELECT job FROM requests ORDER BY job")]
    assert left == asked == [1, 26, 27, 28, 29, 30]
    assert queue.get(1).reason == "its reason"


def sweep(number: int) -> Sweep:
    return create_sweep(Experiment(dataset="shapes", epochs=3), {"train_images": (500, 1000 + 100 * number)})


def test_sweeps_that_go_on_are_bounded_by_person_and_by_address(home: Path, monkeypatch) -> None:
    (home / "settings.json").write_text('{"jobs_per_person": 50}')
    monkeypatch.setattr(sweep_jobs, "MAX_OPEN_OF_PERSON", 2)
    monkeypatch.setattr(sweep_jobs, "MAX_OPEN_OF_ADDRESS", 3)
    queue = Queue()
    for number in range(2):
        sweep_jobs.request_sweep(sweep(number), queue, "ada", address="one")
    with pytest.raises(QuotaExceeded, match="2 sweeps of yours go on, and 2 may"):
        sweep_jobs.request_sweep(sweep(2), queue, "ada", address="one")
    sweep_jobs.request_sweep(sweep(1), queue, "ada", address="one")  # once more the same
    sweep_jobs.request_sweep(sweep(2), queue, "bob", address="one")
    with pytest.raises(QuotaExceeded, match="3 sweeps from your network go on, and 3 may"):
        sweep_jobs.request_sweep(sweep(3), queue, "carol", address="one")
    assert len(sweep_files.stored_sweeps()) == 3
    sweep_jobs.request_sweep(sweep(3), queue, "carol", address="two")
    sweep_jobs.request_sweep(sweep(4), queue, "ada", address="one", is_teacher=True)


def test_definitions_of_sweeps_of_which_nothing_was_trained_make_room(home: Path, monkeypatch) -> None:
    monkeypatch.setattr(sweep_jobs, "MAX_SWEEPS", 2)
    queue = Queue()
    for number in range(5):
        sweep_jobs.request_sweep(sweep(number), queue, "ada")
        path = sweep_files.directory() / sweep(number).key / "sweep.json"
        os.utime(path, (number, number))
        if number:
            sweep_jobs.stop_sweep(sweep(number), queue, "ada")
    assert set(sweep_files.stored_sweeps()) == {sweep(0), sweep(3), sweep(4)}  # the first is still asked for


def test_a_photo_that_is_looked_at_does_not_make_room(monkeypatch) -> None:
    monkeypatch.setattr(uploads, "MAX_UPLOADS", 2)
    names = []
    for shade in range(2):
        names.append(uploads.save_upload(np.full((32, 32, 3), shade, np.uint8)))
        moment = time.time() - 10_000 + shade
        os.utime(uploads.directory() / f"{names[-1]}.png", (moment, moment))
    uploads.load_upload(names[0])
    uploads.save_upload(np.full((32, 32, 3), 9, np.uint8))
    assert (uploads.load_upload(names[0]) == 0).all()
    with pytest.raises(uploads.UnknownUpload):
        uploads.load_upload(names[1])
