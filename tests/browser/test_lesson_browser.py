"""A lesson in a real browser: a chapter from start to end on a fresh home, and two students with their teacher."""

import io
import re
import zipfile

import pytest
from chrome import NARROW, WIDE, scrolls_sideways, served, settled
from playwright.sync_api import expect

KEY = "the-teachers-key"
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    with served(tmp_path_factory.mktemp("home"), CNNLAB_TEACHER_KEY=KEY, CNNLAB_STARTS_DISPATCHER="0") as running:
        yield running


def panel(tab):
    return tab.locator(".st-key-lesson_panel")


def press(tab, key: str) -> None:
    tab.locator(f".st-key-{key} button").filter(visible=True).first.click()


def predict(tab) -> None:
    """Lock the prediction; the disabled button of the step before may still stand beside the one of this step."""
    panel(tab).get_by_role("button", name="Predict: this locks", disabled=False).click()


def answer_choice(tab, number: int) -> None:
    settled(tab)  # until then the form of the step before is still there
    panel(tab).get_by_role("radio").nth(number).locator("xpath=ancestor::label").click()
    predict(tab)


SEEN = """([part, panel]) => {
  const place = document.querySelector(part)?.getBoundingClientRect();
  const box = document.querySelector(panel).getBoundingClientRect();
  return place && place.top >= box.top - 1 && place.top < box.top + box.height / 2;
}"""


def wait_until_at_the_top(tab, part: str) -> None:
    """Wait until a part of the panel begins in its upper half."""
    tab.wait_for_function(SEEN, arg=[part, ".st-key-lesson_panel"])


def open_sheet(tab, app, name: str) -> None:
    tab.goto(app.at("lesson"))
    settled(tab)
    press(tab, f"lesson_open_{name}")
    panel(tab).wait_for()


@pytest.mark.nightly
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_chapter_from_prediction_to_report(app, new_tab, size):
    tab = new_tab(size)
    open_sheet(tab, app, "taster")
    tab.goto(app.at())
    tab.get_by_role("heading", name="Covered by your lesson").wait_for()
    panel(tab).get_by_role("slider").first.press("End")
    panel(tab).get_by_text("100", exact=True).first.wait_for()
    predict(tab)
    panel(tab).get_by_text("away from the measured one on average").wait_for()
    tab.get_by_role("heading", name="Covered by your lesson").wait_for(state="detached")
    tab.wait_for_url("**depth=2*")
    settled(tab)
    assert not scrolls_sideways(tab)
    tab.reload()
    panel(tab).get_by_text("Your prediction is saved").wait_for()
    press(tab, "lesson_next")
    panel(tab).get_by_text("Step 2 of 5").wait_for()
    for option in ("batch norm", "dropout 0.1", "L2 0.00001", "no regularizer"):
        panel(tab).get_by_role("combobox").click()
        tab.get_by_role("option", name=option).click()
    tab.keyboard.press("Escape")
    predict(tab)
    panel(tab).get_by_text(re.compile(r"In your order, \d of \d pairs agree")).wait_for()
    wait_until_at_the_top(tab, ".st-key-lesson_panel_answered")
    assert tab.url.partition("?")[0].endswith("/compare")


@pytest.mark.nightly
def test_the_zip_of_the_report_is_one_click(app, new_tab):
    tab = new_tab()
    open_sheet(tab, app, "taster")
    for number in (2, 3):
        press(tab, "lesson_next")
        panel(tab).get_by_text(f"Step {number} of 5").wait_for()
        settled(tab)
    place = tab.locator(".st-key-lesson_next").bounding_box()
    answer_choice(tab, 1)
    panel(tab).get_by_text("Your prediction agrees with the evidence").wait_for()
    assert tab.locator(".st-key-lesson_next").bounding_box() == place, "a click may miss a button that moves"
    press(tab, "lesson_next")
    panel(tab).get_by_label("What does the figure show?").fill("Edges of the cat")
    panel(tab).get_by_role("button", name="Pin what the page shows").click()
    panel(tab).get_by_text("Pinned: look inside").wait_for()
    tab.goto(app.at("lesson"))
    tab.get_by_text("2 of 5 steps answered").wait_for()
    with tab.expect_download() as download:
        press(tab, "lesson_report_zip")
    archive = zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes()))
    page = archive.read("report.html").decode()
    assert "Edges of the cat" in page and any(name.startswith("figures/maps-") for name in archive.namelist())


def test_one_click_saves_the_report_which_opens_offline(app, new_tab, tmp_path):
    """And one click more saves it once more, although the buttons of the first time are still there."""
    tab = new_tab()
    open_sheet(tab, app, "taster")
    predict(tab)
    panel(tab).get_by_text("away from the measured one on average").wait_for()
    tab.goto(app.at("lesson"))
    tab.get_by_text("1 of 5 steps answered").wait_for()
    downloads = []
    tab.on("download", lambda one: downloads.append(one.suggested_filename))
    for number in range(2):
        with tab.expect_download() as download:
            press(tab, "lesson_report_page")
        tab.get_by_text("taster-report.html").wait_for()
        settled(tab)
        download.value.save_as(tmp_path / f"{number}.html")
        assert downloads == ["taster-report.html"] * (number + 1)
    offline = new_tab(offline=True)
    asked = []
    offline.on("request", lambda request: asked.append(request.url))
    offline.goto((tmp_path / "1.html").as_uri())
    offline.get_by_text("Validation accuracy", exact=False).first.wait_for()
    assert offline.locator("figure img").evaluate_all("all => all.every(one => one.naturalWidth > 0)")
    assert all(url.startswith(("file:", "data:")) for url in asked)
    assert (tmp_path / "0.html").read_bytes() == (tmp_path / "1.html").read_bytes()


def test_two_students_and_a_teacher_predict_reveal_and_vote_again(app, new_tab):
    teacher = new_tab()
    teacher.goto(app.at("admin"))
    teacher.get_by_label("Or type the teacher's key").fill(KEY)
    teacher.get_by_role("button", name="Open").click()
    teacher.get_by_text("Accept new trainings").wait_for()
    teacher.get_by_test_id("stTopNavLink").filter(has_text="Lesson").click()
    press(teacher, "lesson_class_taster")
    teacher.get_by_text("0 students").wait_for()
    teacher.wait_for_url("**board=*")
    code = teacher.url.partition("board=")[2]

    students = [new_tab(), new_tab(NARROW)]
    for tab in students:
        tab.goto(app.at("lesson", join=code))
        panel(tab).wait_for()
    teacher.get_by_text("2 students").wait_for()
    for number in (2, 3):  # two clicks before a rerun are one
        press(teacher, "lesson_board_next")
        step = teacher.get_by_test_id("stSelectbox").get_by_role("combobox")
        expect(step).to_have_value(re.compile(f"^Step {number}, "))
        settled(teacher)
    teacher.get_by_text("Follow me").click()
    for number, tab in enumerate(students):
        panel(tab).get_by_text("Step 3 of 5").wait_for()
        answer_choice(tab, number)
        panel(tab).get_by_text("Your teacher shows the result to all at once").wait_for()
        assert panel(tab).get_by_text("The evidence supports").count() == 0
    teacher.get_by_text("2 of 2").wait_for()
    press(teacher, "lesson_board_reveal")
    panel(students[0]).get_by_text("The evidence supports another option").wait_for()
    wait_until_at_the_top(students[1], ".st-key-lesson_panel_answered")
    panel(students[1]).get_by_text("Your prediction agrees with the evidence").wait_for()
    press(teacher, "lesson_board_again")
    for tab in students:
        panel(tab).get_by_role("radio").first.wait_for()
        wait_until_at_the_top(tab, ".st-key-lesson_panel [data-testid=stProgress]")
        answer_choice(tab, 1)
    teacher.get_by_text("2 of 2 have answered, round 2.").wait_for()
    teacher.get_by_text("Freeze").click()
    panel(students[0]).get_by_text("Your teacher has stopped the lesson for a moment").wait_for()
    assert not scrolls_sideways(teacher)


def test_the_board_and_the_start_of_a_class_are_for_teachers(app, tab):
    tab.goto(app.at("lesson"))
    settled(tab)
    assert tab.get_by_role("button", name="Start for a class").count() == 0
    tab.goto(app.at("lesson_board", board="ABCDE"))
    tab.get_by_text("The board is for teachers").wait_for()


@pytest.mark.nightly
def test_a_sheet_with_a_mistake_is_listed_with_its_line(app, tab):
    (app.home / "lessons").mkdir(exist_ok=True)
    (app.home / "lessons" / "broken.yaml").write_text("title: x\nsummary: y: z\n")
    tab.goto(app.at("lesson"))
    tab.get_by_text(re.compile(r"broken\.yaml, line 2")).wait_for()
    (app.home / "lessons" / "broken.yaml").unlink()


@pytest.mark.nightly
def test_another_device_continues_with_nickname_and_code(app, new_tab):
    first, second = new_tab(), new_tab()
    open_sheet(first, app, "taster")
    press(first, "lesson_next")
    settled(first)
    first.goto(app.at("lesson"))
    settled(first)
    first.get_by_role("textbox", name="Nickname").first.fill("Ada")
    first.get_by_role("button", name="Save").click()
    code = first.get_by_text(re.compile("and the code")).locator("strong").inner_text()
    second.goto(app.at("lesson"))
    settled(second)
    second.get_by_role("textbox", name="Nickname").first.fill("Ada")
    second.get_by_label("Your code").fill(code)
    second.get_by_role("button", name="Continue").click()
    panel(second).get_by_text("Step 2 of 5").wait_for()
