"""A value that no browser sends leaves its field as it was: one sentence on the page, one line in the log."""

import logging
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from chrome import answers, free_port, wait_until
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime.state.session_state import WStates
from streamlit.testing.v1 import AppTest
from websockets.sync.client import ClientConnection, connect

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.inspect import convolution_animation, network, upload
from cnnlab.models.architecture import network_layers
from cnnlab.ui import clickable_image, query_state, share_link, streamlit_widget_values
from cnnlab.ui.browser_values import clicked_point, whole_number
from cnnlab.ui.streamlit_widget_values import REFUSED, RefusedValues

pytestmark = pytest.mark.slow
SCRIPT = """
import streamlit as st

def changed():
    st.session_state["seen"] = [*st.session_state.get("seen", []), st.session_state["number"]]

st.number_input("Number", 0, 10, 3, key="number", on_change=changed)
st.text_input("Text", "before", max_chars=20, key="text")
st.selectbox("Menu", ["a", "b"], key="menu")
st.text(st.session_state.get("seen", []))
"""
OPTIONS = """
import streamlit as st

def changed():
    held = [st.session_state[key] for key in ("menu", "radio", "several")]
    st.session_state["seen"] = [*st.session_state.get("seen", []), held]

st.selectbox("Menu", ["a", "b"], key="menu", on_change=changed)
st.radio("Radio", ["a", "b"], key="radio", on_change=changed)
st.multiselect("Several", ["a", "b"], key="several", on_change=changed)
st.text(st.session_state.get("seen", []))
"""


@pytest.fixture(autouse=True)
def as_it_came(monkeypatch: pytest.MonkeyPatch) -> RefusedValues:
    """Streamlit without the patch, and nothing refused so far."""
    read, refused = WStates.__getitem__, RefusedValues()
    monkeypatch.setattr(WStates, "__getitem__", getattr(read, "__wrapped__", read))
    monkeypatch.setattr(streamlit_widget_values, "refused_values", refused)
    return refused


def send(widget: Any, fill: Callable[[WidgetState], object]) -> AppTest:
    """Make this the widget's state and run the page, as a browser that somebody has changed."""
    state = WidgetState(id=widget.id)
    fill(state)
    widget.__class__ = type("Changed", (type(widget),), {"_widget_state": state})
    app: AppTest = widget.root.run()
    return app


def set_to(**values: Any) -> Callable[[WidgetState], object]:
    return lambda state: [setattr(state, name, value) for name, value in values.items()]


HOSTILE = {
    "infinity": ("number_input", set_to(double_value=math.inf)),
    "not a number": ("number_input", set_to(double_value=math.nan)),
    "text for a number": ("number_input", set_to(string_value="null")),
    "no JSON": ("number_input", set_to(json_value="{")),
    "a number for a text": ("text_input", set_to(double_value=1.0)),
    "an array for an option": ("selectbox", lambda state: state.string_array_value.data.append("a")),
    "a file for a text": ("text_input", lambda state: state.file_uploader_state_value.SetInParent()),
}


@pytest.mark.parametrize("kind, fill", HOSTILE.values(), ids=HOSTILE)
def test_streamlit_alone_fails_at_a_value_that_no_browser_sends(kind, fill):
    """Where this fails for all of them, Streamlit has mended it: remove the patch."""
    assert send(AppTest.from_string(SCRIPT, default_timeout=60).run().get(kind)[0], fill).exception


@pytest.mark.parametrize("kind, fill", HOSTILE.values(), ids=HOSTILE)
def test_with_the_patch_the_field_keeps_the_value_before(kind, fill, as_it_came):
    streamlit_widget_values.patch_widget_values()
    streamlit_widget_values.patch_widget_values()  # a second time changes nothing
    app = AppTest.from_string(SCRIPT, default_timeout=60).run()
    app.number_input[0].set_value(5)
    app.text_input[0].set_value("after")
    app.selectbox[0].select("b").run()
    app = send(app.get(kind)[0], fill)
    assert not app.exception and as_it_came.count
    held = [app.session_state[key] for key in ("number", "text", "menu")]
    assert held == [5, "after", "b"] and set(app.session_state["seen"]) == {5}
    app.number_input[0].set_value(6)
    assert app.run().session_state["number"] == 6


UNKNOWN = {
    "menu": ("selectbox", set_to(string_value="c")),
    "radio": ("radio", set_to(string_value="c")),
    "several": ("multiselect", lambda state: state.string_array_value.data.extend(["a", "c"])),
}


@pytest.mark.parametrize("kind, fill", UNKNOWN.values(), ids=UNKNOWN)
def test_an_option_that_does_not_exist_is_not_chosen_and_nothing_is_told(kind, fill, as_it_came):
    streamlit_widget_values.patch_widget_values()
    app = AppTest.from_string(OPTIONS, default_timeout=60).run()
    for widget in (*app.selectbox, *app.radio, *app.multiselect):
        widget.set_value(["b"] if widget.type == "multiselect" else "b")
    app.run()
    app = send(app.get(kind)[0], fill)
    assert not app.exception and not as_it_came.count
    assert [app.session_state[key] for key in ("menu", "radio", "several")] == ["b", "b", ["b"]]
    assert "c" not in app.text[0].value


def test_a_whole_number_is_taken_as_a_browser_sends_it(as_it_came):
    """Which is another kind than the tester of Streamlit sends."""
    streamlit_widget_values.patch_widget_values()
    app = send(AppTest.from_string(SCRIPT, default_timeout=60).run().number_input[0], set_to(int_value=7))
    assert not app.exception and not as_it_came.count
    assert (app.session_state["number"], app.session_state["seen"]) == (7, [7])


def test_no_field_of_the_app_takes_new_options():
    """`check_options` would refuse them."""
    modules = (settings.REPOSITORY / "cnnlab").rglob("*.py")
    assert not [path for path in modules if "accept_new_options" in path.read_text(encoding="utf-8")]


def test_a_button_with_another_kind_of_value_is_not_pressed(as_it_came):
    streamlit_widget_values.patch_widget_values()
    script = "import streamlit as st\nst.button('Go', on_click=lambda: st.session_state.update(pressed=1))"
    app = send(AppTest.from_string(script, default_timeout=60).run().button[0], set_to(json_value="{}"))
    assert not app.exception and as_it_came.count and "pressed" not in app.session_state
    assert app.button[0].set_value(True).run().session_state["pressed"] == 1


def test_after_an_empty_field_another_kind_of_value_is_refused_too(as_it_came):
    streamlit_widget_values.patch_widget_values()
    app = AppTest.from_string(SCRIPT, default_timeout=60).run()
    app = send(app.number_input[0], lambda state: None)
    app = send(app.number_input[0], set_to(string_value="x"))
    assert not app.exception and as_it_came.count and app.session_state["number"] == 3


def test_the_log_has_one_line_in_ten_minutes(monkeypatch, caplog):
    now, refused = [0.0], RefusedValues()
    monkeypatch.setattr(streamlit_widget_values.time, "monotonic", lambda: now[0])
    with caplog.at_level(logging.WARNING):
        for now[0] in (0.0, 1.0, 599.0, 601.0, 700.0):
            refused.add("x" * 10_000, ValueError("y" * 10_000))
    assert len(caplog.messages) == 2 and max(map(len, caplog.messages)) < 300 and "(4 so far)" in caplog.messages[1]


# -- clicks ------------------------------------------------------------------------------------------------------------

POINTS = [None, [], {}, 1, "x", [None], [1], ["x"], [[]]]


@pytest.mark.parametrize("sent", POINTS)
def test_a_click_that_is_no_point_chooses_nothing(sent):
    assert clicked_point(SimpleNamespace(selection={"pick": sent}), "pick") == {}
    assert clicked_point(SimpleNamespace(selection=sent), "pick") == {}


@pytest.mark.parametrize("url", ["http://[x/", "http://[::1", "\udcff", "http://" + "🐈" * 900, 7, None, "x" * 10_000])
def test_an_address_that_is_none_leaves_link_and_camera_without_one(url, monkeypatch):
    monkeypatch.setattr(type(st.context), "url", url)
    address = share_link.page_address("compare", {"data": "shapes"})
    assert address.endswith("/compare?data=shapes") and address.isascii()
    upload.is_camera_allowed(url)


def test_a_click_chooses_a_cell_of_the_picture_only(monkeypatch):
    assert [whole_number(one) for one in (3, 3.0, math.inf, math.nan, "3", None, [3], 10**400)] == [
        3, 3, None, None, None, None, None, 10**400,
    ]  # fmt: skip
    chosen: list[int] = []
    for number in (3, 3.0, 4, -1, 1e300, 10**400, math.inf, "3", None, {}):
        state = SimpleNamespace(selection={"pick": [{"number": number}]})
        monkeypatch.setattr(st, "session_state", {"maps": state})
        clickable_image._on_selection("maps", chosen.append, frozenset({0, 3}))
    assert chosen == [3, 3]


def test_a_block_or_pixel_that_no_picture_has_is_not_chosen(monkeypatch):
    written: list[object] = []
    monkeypatch.setattr(query_state, "set_param", lambda *values: written.append(values))
    monkeypatch.setattr(network.map_controls, "select_map", lambda *values: written.append(values))
    layers = network_layers(Experiment())
    for name in ("no layer", "flatten", None, {"x": 1}, [], 7):
        network._on_block_clicked(layers, name)
    conv = next(layer for layer in layers if layer.kind == "conv")
    for pixel in (None, [], [1], [1, math.inf], ["1", 2], {"x": 1}, "ab", [None, None]):
        monkeypatch.setattr(st, "session_state", {convolution_animation.ANIMATION: SimpleNamespace(pixel=pixel)})
        convolution_animation._on_pixel_chosen(conv)
    assert written == []
    network._on_block_clicked(layers, conv.name)
    assert written[0] == (conv.name, None)


# -- a real server -----------------------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The port of the app, and its log."""
    port, log = free_port(), tmp_path / "web.log"
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.port", str(port)]
    variables = {"CNNLAB_HOME": str(tmp_path), "CNNLAB_STARTS_DISPATCHER": "0"}
    environment = settings.subprocess_environment() | variables
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=settings.APP_FILES, env=environment, stdout=file, stderr=file)
        try:
            wait_until(lambda: answers(port), "the server answers")
            yield port, log
        finally:
            process.terminate()
            process.wait(30)


def ask(socket: ClientConnection, page: str, *states: WidgetState) -> tuple[dict[str, str], list[str], str]:
    """Run the page with these states: its fields with their kinds, what its alerts and exceptions say, its hash."""
    message = BackMsg()
    request = message.rerun_script
    request.page_script_hash = page
    request.widget_states.widgets.extend(states)
    socket.send(message.SerializeToString())
    fields, said = dict[str, str](), list[str]()
    while True:
        answer = ForwardMsg.FromString(socket.recv(timeout=60, decode=False))
        kind = answer.WhichOneof("type")
        if kind == "navigation":
            page = answer.navigation.page_script_hash
        elif kind == "script_finished":
            return fields, said, page
        elif kind == "delta" and answer.delta.WhichOneof("type") == "new_element":
            kind = answer.delta.new_element.WhichOneof("type")
            element = getattr(answer.delta.new_element, kind)
            if kind in ("alert", "exception"):
                said.append(getattr(element, "body", "") or element.message)
            elif getattr(element, "id", ""):
                fields[element.id] = kind


def hostile_states(fields: dict[str, str]) -> Iterator[WidgetState]:
    for identity, kind in fields.items():
        if kind == "number_input":
            yield WidgetState(id=identity, double_value=math.inf)
        elif kind in ("selectbox", "radio"):
            yield WidgetState(id=identity, string_value="no such option")
        elif kind == "vega_lite_chart":
            yield WidgetState(id=identity, string_value='{"selection": {"pick": null}}')
        else:
            yield WidgetState(id=identity, json_value="[" * 5_000)


def test_a_page_says_once_that_values_were_refused_and_its_log_stays_short(server: tuple[int, Path]) -> None:
    port, log = server
    origin = f"http://127.0.0.1:{port}"
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    with connect(address, subprotocols=["streamlit"], origin=origin, max_size=None) as socket:  # type: ignore[list-item,arg-type]
        fields, before, page = ask(socket, "")
        assert {"number_input", "selectbox", "text_input"} <= set(fields.values())
        for _ in range(5):
            _, said, page = ask(socket, page, *hostile_states(fields))
            assert said == [REFUSED, *before]
        again, said, _ = ask(socket, page)
        assert set(again.values()) == set(fields.values()) and [one for one in said if one != REFUSED] == before
    written = log.read_text()
    assert "Traceback" not in written and written.count("A browser sent a value") == 1 and len(written) < 3_000
