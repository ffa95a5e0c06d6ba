"""The teacher's page in a real browser: opened with the key, the switch that students feel, a run that is pinned."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from chrome import NARROW, App, scrolls_sideways, served, settled, wait_until

sys.path.insert(0, str(Path(__file__).parents[1]))
from history_factories import history, write

from cnnlab.experiment import Experiment
from cnnlab.jobs.queue import Queue

pytestmark = pytest.mark.browser
KEY = "correct horse battery"
RUN = Experiment(dataset="shapes", depth=2, epochs=4)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    home = tmp_path_factory.mktemp("home")
    write(home / "runs" / RUN.key, RUN, history([0.1, 0.4, 0.6], [0.1, 0.4, 0.5]))
    with served(home, CNNLAB_TEACHER_KEY=KEY) as running:
        yield running


def opened(app: App, tab) -> None:
    tab.goto(app.at("admin"))
    tab.get_by_label("Or type the teacher's key").fill(KEY)
    tab.get_by_role("button", name="Open").click()
    drawn(tab)


def drawn(tab) -> None:
    tab.get_by_text("Accept new trainings").wait_for()
    settled(tab)


@pytest.mark.nightly
def test_a_closed_queue_is_felt_by_a_student_and_opened_by_the_same_switch(app: App, new_tab) -> None:
    teacher, student, queue = new_tab(), new_tab(), Queue(app.home / "jobs.sqlite")
    opened(app, teacher)
    switch = teacher.get_by_text("Accept new trainings")
    switch.click()
    wait_until(lambda: not queue.is_accepting(), "the queue is closed")
    student.goto(app.at(dataset="shapes", depth=1, regularizer="none", epochs=1))
    student.get_by_role("button", name="Train it").click()
    student.get_by_text("the teacher has closed the queue").wait_for()
    assert queue.active() == []
    switch.click()
    wait_until(queue.is_accepting, "the queue is open")


@pytest.mark.nightly
def test_the_space_bar_in_the_table_pins_a_run_and_lets_it_go(app: App, tab) -> None:
    pinned = app.home / "marks" / f"{RUN.key}.pinned"
    opened(app, tab)
    for expected in (True, False):
        tab.reload()  # which asks for no key again
        drawn(tab)
        grid = tab.get_by_test_id("stDataFrame").locator("canvas").first
        grid.click(position={"x": 20, "y": 52}, force=True)  # the table draws itself: there is no box to find
        tab.keyboard.press("Space")
        wait_until(lambda wanted=expected: pinned.exists() == wanted, f"pinned: {expected}")


@pytest.mark.nightly
def test_the_table_of_runs_shows_all_its_columns_on_a_wide_page(app: App, tab) -> None:
    opened(app, tab)
    table = tab.get_by_test_id("stDataFrame").locator(".dvn-scroller")
    table.wait_for()
    assert table.evaluate("table => table.scrollWidth <= table.clientWidth")


@pytest.mark.nightly
def test_on_a_phone_in_the_dark_nothing_stands_out_at_the_side(app: App, new_tab) -> None:
    phone = new_tab(NARROW, color_scheme="dark")
    opened(app, phone)
    assert not scrolls_sideways(phone)
