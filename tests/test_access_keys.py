"""The teacher's key and the class code: wrong tries are slowed over all sessions, and a code opens the queue once."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import streamlit as st
from home_settings import write_settings
from streamlit.testing.v1 import AppTest

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.jobs import access_keys, dispatcher_process
from cnnlab.jobs.access_keys import CLASS_CODE, TEACHER_KEY, KeyRefused, check_teacher_key, join_class
from cnnlab.jobs.queue import Queue
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.ui import app_shell

pytestmark = pytest.mark.slow

KEY, CODE = "correct horse battery", "battery staple"
SMALL = Experiment(dataset="shapes", depth=2, epochs=4)
BROWSER = "b0123456789ab"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setattr(settings, "PRETRAINED", tmp_path / "pretrained")
    write_settings(teacher_key=KEY, class_code=CODE)
    return tmp_path


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(access_keys.time, "time", clock.time)
    return clock


def refused(typed: str, person: str = "eve") -> str:
    with pytest.raises(KeyRefused) as caught:
        check_teacher_key(Queue(), typed, person)
    return str(caught.value)


# -- the teacher's key -------------------------------------------------------------------------------------------------


def test_the_right_key_is_taken_and_wrong_ones_are_logged(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    check_teacher_key(Queue(), KEY, "ada")
    with caplog.at_level(logging.WARNING):
        assert refused("wrong", "eve") == "That is not the teacher's key."
    assert "eve" in caplog.text and "wrong" not in caplog.text.replace("a wrong", "")


def test_without_a_key_in_the_settings_nothing_is_taken(clock: Clock) -> None:
    write_settings()
    assert refused("") == refused(KEY) == "That is not the teacher's key."


def test_wrong_tries_of_all_sessions_lock_the_right_key_too_also_after_a_restart(clock: Clock) -> None:
    for number in range(TEACHER_KEY.free_tries):
        refused(f"wrong {number}", f"person{number}")
    before = refused(KEY)
    assert before.startswith("Too many wrong tries: the teacher's key is taken again in ")
    clock.now += TEACHER_KEY.longest_pause
    check_teacher_key(Queue(), KEY, "ada")
    assert refused("wrong again") == "That is not the teacher's key."  # counted from the start again


def test_a_browser_is_a_teachers_for_twelve_hours_and_until_the_key_changes(clock: Clock, home: Path) -> None:
    queue = Queue()
    check_teacher_key(queue, KEY, BROWSER)
    refused("wrong horse battery")
    clock.now += 12 * 3600 - 1
    assert access_keys.remembered_teacher_key(queue, BROWSER) == KEY
    assert access_keys.remembered_teacher_key(queue, "eve") == ""
    write_settings(teacher_key="another long key")
    assert access_keys.remembered_teacher_key(queue, BROWSER) == ""
    write_settings(teacher_key=KEY)
    clock.now += 2
    assert access_keys.remembered_teacher_key(queue, BROWSER) == ""
    assert KEY.encode() not in b"".join(path.read_bytes() for path in home.glob("jobs.sqlite*"))


def test_the_pause_doubles_up_to_the_longest() -> None:
    assert [TEACHER_KEY.pause(wrong) for wrong in (0, 4, 5, 6, 7, 14, 15, 10_000)] == [0, 0, 1, 2, 4, 512, 900, 900]


def test_tries_within_a_pause_are_not_looked_at_and_do_not_prolong_it(clock: Clock) -> None:
    for number in range(TEACHER_KEY.free_tries):
        refused(f"wrong {number}")
    for _ in range(50):
        assert refused("wrong").startswith("Too many wrong tries")
    clock.now += 1.1
    check_teacher_key(Queue(), KEY, "ada")


@pytest.mark.nightly
def test_at_most_nineteen_wrong_keys_are_looked_at_in_an_hour(clock: Clock) -> None:
    begun, looked_at = clock.now, 0
    while clock.now < begun + 3600:
        looked_at += refused("wrong") == "That is not the teacher's key."
        clock.now += 0.5
    assert looked_at <= 19


def test_wrong_tries_are_forgotten_after_an_hour(clock: Clock) -> None:
    for number in range(TEACHER_KEY.free_tries):
        refused(f"wrong {number}")
    clock.now += 3601
    check_teacher_key(Queue(), KEY, "ada")


def test_wrong_tries_from_before_the_clock_was_set_back_are_forgotten(clock: Clock) -> None:
    for number in range(TEACHER_KEY.free_tries + 5):
        refused(f"wrong {number}")
        clock.now += 100
    clock.now -= 86_400
    check_teacher_key(Queue(), KEY, "ada")


def test_wrong_tries_at_one_moment_are_all_counted(clock: Clock) -> None:
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda number: refused(f"wrong {number}"), range(40)))
    assert said.count("That is not the teacher's key.") == TEACHER_KEY.free_tries


# -- the class code ----------------------------------------------------------------------------------------------------


def test_a_browser_asks_for_trainings_only_after_the_class_code(clock: Clock) -> None:
    queue = Queue()
    with pytest.raises(QuotaExceeded, match=r"^Type the class code"):
        queue.submit(SMALL, BROWSER)
    with pytest.raises(KeyRefused, match=r"^That is not the class code"):
        join_class(queue, "staple battery", BROWSER)
    join_class(queue, f" {CODE} ", BROWSER)
    assert queue.submit(SMALL, BROWSER).state == "queued"


def test_a_new_class_code_has_to_be_typed_again() -> None:
    queue = Queue()
    join_class(queue, CODE, BROWSER)
    write_settings(class_code="another one")
    assert access_keys.needs_class_code(queue, BROWSER)
    with pytest.raises(QuotaExceeded, match=r"^Type the class code"):
        queue.submit(SMALL, BROWSER)
    write_settings()
    assert queue.submit(SMALL, BROWSER).state == "queued"


def test_an_account_and_a_teacher_need_no_class_code() -> None:
    assert Queue().submit(SMALL, "ada@school.org").state == "queued"
    assert Queue().submit(Experiment(dataset="shapes", seed=1), BROWSER, is_teacher=True).state == "queued"


def test_the_code_itself_is_not_stored(home: Path) -> None:
    queue = Queue()
    join_class(queue, CODE, BROWSER)
    queue.close()
    assert all(CODE.encode() not in path.read_bytes() for path in home.glob("jobs.sqlite*"))


def test_a_class_may_mistype_the_code_and_a_script_may_not_try_it_fast(clock: Clock) -> None:
    queue = Queue()
    for number in range(CLASS_CODE.free_tries):
        with pytest.raises(KeyRefused, match=r"^That is not"):
            join_class(queue, f"wrong {number}", BROWSER)
    with pytest.raises(KeyRefused, match=r"^Too many wrong tries: the class code is taken again in"):
        join_class(queue, CODE, BROWSER)
    assert max(CLASS_CODE.pause(wrong) for wrong in range(10_000)) == 60


def join(number: int, address: str) -> str:
    """Whether a browser may join: "" or the sentence."""
    try:
        join_class(Queue(), CODE, f"b{number:012x}", address)
    except KeyRefused as error:
        return str(error)
    return ""


def test_browsers_that_join_are_limited_by_address_and_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_keys, "MAX_MEMBERS_OF_ADDRESS", 3)
    monkeypatch.setattr(access_keys, "MAX_MEMBERS", 5)
    assert [join(number, "one") for number in range(3)] == ["", "", ""]
    full = "browsers have typed this class code, and no more may: ask your teacher for a new code."
    assert join(3, "one") == f"From your network 3 {full}"
    assert join(0, "one") == ""  # it is one of the three
    assert join(4, "two") == join(5, "") == ""
    assert join(6, "two") == f"5 {full}"
    assert not any(access_keys.needs_class_code(Queue(), f"b{number:012x}") for number in (0, 1, 2, 4, 5))


def test_members_of_an_earlier_code_take_no_place_and_stay_until_they_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access_keys, "MAX_MEMBERS", 3)
    assert [join(number, "one") for number in range(2)] == ["", ""]
    write_settings(class_code="another one")
    join_class(Queue(), "another one", BROWSER, "one")
    write_settings(class_code=CODE)
    assert not access_keys.needs_class_code(Queue(), "b000000000000")
    assert join(2, "one") == ""
    write_settings(class_code="another one")
    join_class(Queue(), "another one", "b000000000009", "one")
    assert not access_keys.needs_class_code(Queue(), BROWSER)
    write_settings(class_code=CODE)
    assert access_keys.needs_class_code(Queue(), "b000000000000")


def test_the_page_asks_for_the_code_once_and_then_offers_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher_process, "ensure_running", lambda: None)
    monkeypatch.setattr(app_shell, "current_person", lambda: BROWSER)
    st.cache_data.clear()
    st.cache_resource.clear()
    app = AppTest.from_string("from cnnlab.pages import train\ntrain.page()\n", default_timeout=60)
    app.query_params.update({"dataset": "shapes", "depth": "2", "regularizer": "none", "epochs": "4"})
    app.run()
    assert not [one for one in app.button if "Train it" in one.label]
    app.text_input[0].set_value("staple battery")
    next(one for one in app.button if one.label == "Join the class").click().run()
    assert [one.value for one in app.error] == ["That is not the class code."]
    app.text_input[0].set_value(CODE)
    next(one for one in app.button if one.label == "Join the class").click().run()
    next(one for one in app.button if "Train it" in one.label).click().run()
    assert Queue().for_key(SMALL.key).requesters == (BROWSER,)  # type: ignore[union-attr]
