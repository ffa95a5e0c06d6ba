"""Compare in a real browser: the report beside ours, and one's own runs in one chart."""

import shutil

import pytest
from chrome import NARROW, scrolls_sideways, served, settled
from history_factories import history, write, write_report

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
    charts.nth(11).wait_for()
    assert charts.count() == 2 + 7 + 2 + 1
    assert tab.get_by_text("7 of the report's eight networks are trained here").count() == 1
    missing = tab.get_by_role("link", name="Not trained yet: train it")
    missing.first.wait_for()
    assert missing.count() == 1
    assert all(charts.nth(index).evaluate("chart => chart.outerHTML.includes('aria-label')") for index in range(12))


def test_a_missing_model_is_one_click_from_its_training(app, tab):
    tab.goto(app.at("compare"))
    settled(tab)
    tab.get_by_role("link", name="Not trained yet: train it").click()
    tab.get_by_text("2-conv, L2 0.00001 is not trained yet").wait_for()


def test_a_link_with_ones_own_run_opens_it_in_the_chart(app, tab):
    tab.goto(app.at("compare", add=f"3conv-none,{OWN.key}"))
    settled(tab)
    chosen = tab.get_by_test_id("stMultiSelect")
    assert OWN.title in chosen.inner_text()
    assert "3-conv, no regularizer" in chosen.inner_text()


def test_a_run_that_is_not_there_is_one_sentence(app, tab):
    tab.goto(app.at("compare", add="nobody,../../x"))
    settled(tab)
    complaint = tab.get_by_test_id("stAlert").filter(has_text="There is no run called")
    complaint.wait_for()
    assert complaint.count() == 1


def test_on_a_phone_the_tables_scroll_and_the_page_does_not(app, new_tab):
    tab = new_tab(NARROW)
    tab.goto(app.at("compare"))
    settled(tab)
    tab.get_by_test_id("stVegaLiteChart").nth(11).wait_for()
    assert not scrolls_sideways(tab)
