"""Compare in a real browser: the report beside ours, and one's own runs in one chart."""

import re
import shutil

import pytest
from chrome import NARROW, scrolls_sideways, served, settled, steady_box
from history_factories import history, write, write_report
from playwright.sync_api import expect

from cnnlab.experiment import Experiment

pytestmark = pytest.mark.browser

OWN = Experiment(dataset="shapes", depth=1, epochs=2)


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """A server that ships the report's models with the report's own figures, all but one."""
    home, shipped = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("pretrained")
    write_report(shipped)
    shutil.rmtree(shipped / "2conv-l2")
    write(home / "runs" / OWN.key, OWN, history([0.1, 0.5, 0.6], [0.1, 0.4, 0.5]))
    with served(home, CNNLAB_PRETRAINED=str(shipped)) as running:
        yield running


def test_compare_opens_with_rankings_tables_and_a_chart_for_every_trained_model(app, tab):
    tab.goto(app.at("compare"))
    settled(tab)
    tab.get_by_role("heading", name="Table 2").wait_for()
    charts = tab.get_by_test_id("stVegaLiteChart")
    charts.nth(5).wait_for()
    assert charts.count() == len(("accuracies", "gaps", "eight curves", "final curves", "cost", "overlay"))
    expect(tab.get_by_text("7 of the report's eight networks are trained here")).to_have_count(1)
    expect(tab.get_by_role("link", name="not trained yet")).to_have_count(2)  # in the grid and under the curves
    for index in range(6):
        expect(charts.nth(index)).to_have_attribute("aria-label", re.compile(r"\w"))


@pytest.mark.nightly
def test_a_missing_model_is_one_click_from_its_training(app, tab):
    tab.goto(app.at("compare"))
    settled(tab)
    tab.get_by_role("link", name="not trained yet").first.click()
    tab.get_by_text("2-conv, L2 0.00001 is not trained yet").wait_for()


@pytest.mark.nightly
def test_a_link_with_ones_own_run_opens_it_in_the_chart(app, tab):
    tab.goto(app.at("compare", add=f"3conv-none,{OWN.key}"))
    settled(tab)
    chosen = tab.get_by_test_id("stMultiSelect")
    assert OWN.title in chosen.inner_text()
    assert "3-conv, no regularizer" in chosen.inner_text()


@pytest.mark.nightly
def test_a_run_that_is_not_there_is_one_sentence(app, tab):
    tab.goto(app.at("compare", add="nobody,../../x"))
    settled(tab)
    complaint = tab.get_by_test_id("stAlert").filter(has_text="There is no run called")
    complaint.wait_for()
    assert complaint.count() == 1


@pytest.mark.nightly
def test_on_a_phone_the_tables_scroll_and_the_page_does_not(app, new_tab):
    tab = new_tab(NARROW)
    tab.goto(app.at("compare"))
    settled(tab)
    tab.get_by_test_id("stVegaLiteChart").nth(5).wait_for()
    assert not scrolls_sideways(tab)


@pytest.mark.nightly
def test_a_click_on_a_panel_opens_its_network(app, tab):
    tab.goto(app.at("compare"))
    settled(tab)
    curves = tab.get_by_test_id("stVegaLiteChart").nth(2)
    box = steady_box(curves)
    tab.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + 0.25 * box["height"])
    tab.wait_for_url("**/?*depth=3*")  # the fourth of the seven that are trained
    assert "regularizer=none" in tab.url


@pytest.mark.nightly
def test_a_figure_is_saved_as_png_and_svg_without_its_own_menu(app, new_tab):
    tab = new_tab(NARROW, has_touch=True)
    tab.goto(app.at("compare"))
    settled(tab)
    for form, head in (("png", b"\x89PNG"), ("svg", b"<svg")):
        save = tab.get_by_role("button", name="Save figure").first
        steady_box(save)
        save.click()
        with tab.expect_download() as download:
            tab.get_by_role("button", name=f"validation accuracies.{form}").click()
        assert download.value.path().read_bytes().startswith(head)
        tab.keyboard.press("Escape")


@pytest.mark.nightly
def test_a_table_is_saved_as_csv(app, tab):
    tab.goto(app.at("compare"))
    settled(tab)
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save Table 1 (CSV)").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0].startswith("number,model,") and len(lines) == 9
