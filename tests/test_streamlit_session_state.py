"""A field of a page looks up its own key in the session, and gets the same answer as from Streamlit alone.

No browser: Streamlit's own tester.
"""

import pytest
from streamlit.runtime.state.safe_session_state import SafeSessionState
from streamlit.runtime.state.session_state import SessionState
from streamlit.testing.v1 import AppTest

from cnnlab.ui import streamlit_session_state
from cnnlab.ui.streamlit_internals import UnknownStreamlit

FIELDS = 5
SCRIPT = """
import streamlit as st

st.session_state.setdefault("empty", None)
st.session_state.setdefault("held", 3)
st.number_input("Number", key="held")
st.number_input("Number", key="empty", value=7)
st.selectbox("Menu", ["a", "b"], key="menu")
st.radio("Radio", ["a", "b"], key="empty radio", index=None)
st.text_input("Text", value="x", key="text")
st.text_input("Without a key", value="y")
st.text(f"{sorted(st.session_state)} {len(st.session_state)} {st.session_state.to_dict()['held']}")
"""


@pytest.fixture(autouse=True)
def as_it_came(monkeypatch):
    """Streamlit without the patch."""
    read = SafeSessionState.filtered_state.fget
    monkeypatch.setattr(SafeSessionState, "filtered_state", property(getattr(read, "__wrapped__", read)))


@pytest.fixture
def whole_readings(monkeypatch) -> list[int]:
    """One entry for each time that all of a session is read from now on."""
    read, seen = SessionState.filtered_state.fget, []
    monkeypatch.setattr(SessionState, "filtered_state", property(lambda state: (seen.append(1), read(state))[1]))
    return seen


def drawn() -> tuple[list[object], str]:
    """What the fields hold after a first run and after a change, and what the script says of its session."""
    app = AppTest.from_string(SCRIPT, default_timeout=60).run()
    app.number_input(key="held").set_value(5).run()
    assert not app.exception
    fields = [*app.number_input, *app.selectbox, *app.radio, *app.text_input]
    return [one.value for one in fields], app.text[0].value


def test_streamlit_alone_reads_the_whole_session_for_each_field(whole_readings):
    """Where this fails, Streamlit has mended it: remove the patch."""
    drawn()
    assert len(whole_readings) >= 2 * FIELDS


def test_with_the_patch_fields_hold_the_same_and_read_their_own_key(whole_readings):
    alone = drawn()
    whole_readings.clear()
    streamlit_session_state.patch_filtered_state()
    streamlit_session_state.patch_filtered_state()  # a second time changes nothing
    assert drawn() == alone == ([5, None, "a", None, "x", "y"], alone[1])
    assert "'held', 'menu', 'text'] 5 5" in alone[1]
    assert len(whole_readings) < 2 * FIELDS


def test_another_session_state_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(SafeSessionState, "filtered_state", {})
    with pytest.raises(UnknownStreamlit, match="no property"):
        streamlit_session_state.patch_filtered_state()
    assert SafeSessionState.filtered_state == {}
