"""Controls that a sheet or a URL locks or hides: which, for how long, and what a wrong name costs."""

import pytest
from streamlit.testing.v1 import AppTest

from cnnlab.lessons.controls import CONTROLS
from cnnlab.lessons.sheet_mistakes import SheetError
from cnnlab.lessons.sheet_reader import read_sheet
from cnnlab.ui import query_state
from cnnlab.ui.state import url_params_of

SHEET = """title: Locks
summary: One step.
chapters:
- title: 1
  minutes: 5
  steps:
  - id: one
    kind: text
    question: Why?
    page: train
    locked: [depth]
    hidden: [more, mistakes]
"""


def script():
    import streamlit as st

    from cnnlab.ui import control_locks, query_state

    control_locks.read_address()
    control_locks.lock_notice("compare")
    st.write(query_state.segmented_param("measure", "Measure", {"measured": "a", "reported": "b"}))
    st.write(str(query_state.slider_param("patch", "Patch", 2, 16, 8)))
    st.write(str(query_state.toggle_param("sanity", "Sanity")))


def opened(**address: str) -> AppTest:
    app = AppTest.from_function(script, default_timeout=60)
    app.query_params.update(address)
    return app.run()


def test_a_locked_control_is_drawn_with_its_value_and_takes_no_change():
    app = opened(lock="measure,patch,sanity", measure="reported", patch="4", sanity="yes")
    assert app.button_group(key="url.measure").disabled and app.slider(key="url.patch").disabled
    assert app.toggle(key="url.sanity").disabled
    assert [one.value for one in app.markdown] == ["reported", "4", "True"]
    assert "Locked by your teacher: measure." in app.caption[0].value


def form_script(locked):
    from cnnlab.experiment import Experiment
    from cnnlab.pages.train import form
    from cnnlab.ui import control_locks

    control_locks.set_sheet_locks((locked,), ())
    form.experiment_form(Experiment())


@pytest.mark.parametrize("name", ["more", "epoch", "depth"])
def test_a_locked_box_shows_its_fields_and_none_of_them_can_be_changed(name):
    app = AppTest.from_function(form_script, default_timeout=60, args=(name,)).run()
    advanced = [*app.number_input, *app.selectbox]
    assert len(advanced) > 10
    assert {one.disabled for one in advanced} == {name == "more"}
    assert app.button_group(key="f_depth").disabled == (name == "depth")


def test_a_hidden_control_keeps_the_value_of_the_address():
    app = opened(hide="measure,patch,sanity", measure="reported", patch="4", sanity="yes")
    assert not app.button_group and not app.slider and not app.toggle
    assert [one.value for one in app.markdown] == ["reported", "4", "True"]
    assert "Hidden by your teacher: measure." in app.caption[0].value


def test_a_lock_holds_on_other_pages_until_an_address_ends_it():
    app = opened(lock="patch")
    del app.query_params["lock"]
    assert app.run().slider(key="url.patch").disabled
    app.query_params["lock"] = "none"
    assert not app.run().slider(key="url.patch").disabled


@pytest.mark.parametrize("word", ["depht", "<b>x</b>", "depth;drop", "\u0663," * 3, "x" * 5000])
def test_a_lock_of_no_control_costs_one_sentence(word):
    app = opened(lock=word, hide="patch")
    assert not app.exception and len(app.warning) == 1 and not app.slider
    assert len(app.warning[0].value) < 500


def test_a_sheet_locks_and_hides_until_the_step_is_answered():
    sheet = read_sheet("locks", SHEET.encode())
    assert sheet.steps[0].locked == ("depth",)
    assert sheet.hidden_parts("one", set()) == {"more", "mistakes"}
    assert sheet.hidden_parts("one", {"one"}) == set()


@pytest.mark.parametrize(("field", "line"), [("locked", 11), ("hidden", 12)])
def test_an_unknown_control_of_a_sheet_is_named_with_its_line(field, line):
    lines = SHEET.splitlines()
    lines[line - 1] = f"    {field}: [depht]"
    with pytest.raises(SheetError) as found:
        read_sheet("locks", "\n".join(lines).encode())
    (mistake,) = found.value.mistakes
    assert mistake.line == line and "depht" in mistake.message and "depth" in mistake.message


def test_every_control_of_look_inside_is_a_parameter_of_its_address():
    from cnnlab.pages import look_inside
    from cnnlab.ui.selection import SELECTION_PARAMS

    assert look_inside.VIEWS and query_state.SWITCH
    assert set(CONTROLS["look_inside"]) <= {*url_params_of("cnnlab.inspect"), *SELECTION_PARAMS}
