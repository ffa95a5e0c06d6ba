"""A page whose address says nothing comes back as the session left it; an address that says something wins."""

import pytest
from streamlit.testing.v1 import AppTest

from cnnlab.inspect import filter_ablation, kernel_editor, map_controls, network_changes
from cnnlab.ui import page_address
from cnnlab.ui.page_address import restored_params


def script():
    import streamlit as st

    from cnnlab.ui import page_address, query_state

    page_address.restore_params(st.session_state["page"], **st.session_state["exact"])
    if st.session_state["page"] == "compare":
        st.write(query_state.segmented_param("measure", "Measure", {"measured": "a", "reported": "b"}))
        st.write(str(query_state.slider_param("patch", "Patch", 2, 16, 8)))


def opened(page, **address):
    app = AppTest.from_function(script, default_timeout=60)
    app.session_state["page"], app.session_state["exact"] = page, {}
    app.query_params.update(address)
    return app.run()


def go(app, page, exact=(), **address):
    app.session_state["page"], app.session_state["exact"] = page, dict.fromkeys(exact, True)
    app.query_params.clear()
    app.query_params.update(address)
    return app.run()


def shown(app):
    assert not app.exception and not app.warning
    return [one.value for one in app.markdown]


def test_a_page_whose_address_is_bare_comes_back_as_it_was_left():
    app = opened("compare")
    app.button_group(key="url.measure").select("reported").run()
    app.slider(key="url.patch").set_value(4).run()
    assert shown(go(go(app, "mistakes"), "compare")) == ["reported", "4"]
    assert dict(app.query_params) == {"measure": "reported", "patch": "4"}
    assert shown(go(go(app, "mistakes", run="x"), "compare", lock="depth")) == ["reported", "4"]


def test_an_address_wins_where_it_says_something_and_the_rest_comes_back():
    app = opened("compare", measure="reported", patch="4")
    assert shown(go(go(app, "mistakes"), "compare", patch="6")) == ["reported", "6"]


def test_the_state_of_a_lessons_step_is_shown_as_its_address_says():
    app = opened("compare", measure="reported", patch="4")
    assert shown(go(go(app, "mistakes"), "compare", ["is_exact"], patch="6")) == ["measured", "6"]
    app = opened("compare", measure="reported", patch="4")
    assert shown(go(go(app, "mistakes"), "compare", ["is_exact"])) == ["reported", "4"]
    app = opened("compare", measure="reported", patch="4")
    assert shown(go(go(app, "mistakes"), "compare", ["is_bare_exact"])) == ["measured", "8"]
    app.button_group(key="url.measure").select("reported").run()
    assert go(app, "mistakes").query_params.get("measure") is None  # what is set here is kept for this page only
    assert shown(go(app, "compare")) == ["reported", "8"]


def test_on_the_same_page_a_setting_without_a_word_has_its_default():
    """The same page again: its address is its state, so a setting without a word has its default."""
    app = opened("compare", measure="reported", patch="4")
    app.query_params.clear()
    app.query_params["patch"] = "4"
    assert shown(app.run()) == ["measured", "4"]


@pytest.mark.nightly
def test_a_setting_that_was_put_back_to_its_default_stays_there():
    app = go(go(opened("compare", measure="reported", patch="4"), "mistakes"), "compare")
    app.button_group(key="url.measure").select("measured").run()
    assert shown(go(go(app, "mistakes"), "compare")) == ["measured", "4"]
    app.slider(key="url.patch").set_value(8).run()
    assert shown(app.run()) == ["measured", "8"]
    assert shown(go(go(app, "mistakes"), "compare")) == ["measured", "8"]


def test_the_code_of_a_class_is_not_entered_again_on_the_way_back():
    assert go(go(opened("lesson", join="ABC"), "mistakes"), "lesson").query_params.get("join") is None
    assert "lesson" not in page_address.RETURNING_PAGES


LEFT = {
    "run": "a",
    "image": "sample-1",
    "view": "off",
    "off": "conv1.3",
    "edited": "0.x",
    "tops": "conv1.2",
    "edit": "40",
}
OF_ONE_NETWORK = (
    network_changes.OFF_PARAM,
    network_changes.EDITED_PARAM,
    map_controls.TOP_MAPS_PARAM,
    kernel_editor.KERNEL_PARAM,
    filter_ablation.COUNT_PARAM,
)


def test_what_belongs_to_one_network_comes_back_for_that_one_only():
    kept = {name: word for name, word in LEFT.items() if name not in ("run", "image")}
    assert restored_params(LEFT, {"run": "a", "image": "sample-7"}, {}) == kept  # the page writes run and image itself
    assert restored_params(LEFT, {"run": "b"}, {}) == {"view": "off"}
    assert restored_params(LEFT, {"run": "a"}, {"run": "b"}) == {"view": "off"}
    without_view = {name: word for name, word in kept.items() if name != "view"}
    assert restored_params(LEFT, {"run": "b"}, {"run": "a", "view": "why"}) == without_view
    assert set(OF_ONE_NETWORK) >= set(kept) - {"view"}


@pytest.mark.parametrize(
    ("selected", "asked_for"),
    [({"run": "a", "versus": "b"}, True), ({"run": "c", "versus": "b"}, False), ({"run": "a"}, False)],
)
def test_a_second_network_is_named_again_beside_the_same_first_one(selected, asked_for):
    restored = restored_params({"run": "a", "versus": "b", "group": "now_wrong"}, selected, {})
    assert ("versus" in restored) == asked_for and restored["group"] == "now_wrong"
