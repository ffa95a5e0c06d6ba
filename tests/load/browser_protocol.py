"""A browser without a screen: it speaks Streamlit's websocket protocol as the page's own script does.

It is a person of its own (a cookie from the server), keeps the state of every widget on its page and sends all of them
with each request, runs the timers of `run_every` fragments, keeps large messages and tells the server which, fetches
the pictures, and times each request until the script that answers it has finished. Left out: drawing, and the page's
own files, which a browser fetches once and keeps.
"""

import asyncio
import contextlib
import json
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any

import websockets
from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

COOKIE = "_streamlit_xsrf"
OLDEST = 2  # runs that a kept message may go unused, as the server tells the page in `max_cached_message_age`
GIVE_UP_SECONDS = 60.0
WHOLE_PAGE = ", the whole page"  # added to what a timer asked for where the answer is a run of the whole page

Note = Callable[[str, float], None]


class NotAnswered(RuntimeError):
    """A request that the server did not answer in time."""


@dataclass(eq=False)
class Asked:
    """A request on its way: what for, of which fragment ("": the whole page), since when; by a timer or a person."""

    what: str
    fragment: str
    by_timer: bool
    at: float = field(default_factory=time.perf_counter)
    begun: bool = False
    answer: asyncio.Future[float] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass(frozen=True)
class Widget:
    """One widget on the page: its kind, its message, the fragment it stands in ("": none)."""

    kind: str
    proto: Any
    fragment: str

    @property
    def label(self) -> str:
        return str(getattr(self.proto, "label", ""))


class Browser:
    """One tab. `note` is told each request's kind and the seconds until its script had finished."""

    def __init__(self, url: str, note: Note = lambda what, seconds: None) -> None:
        self.url, self.note = url, note
        self.token = ""  # the signed cookie that came with the page
        self.widgets: dict[str, Widget] = {}
        self.states: dict[str, WidgetState] = {}
        self.texts: list[str] = []  # what the page says in its alerts and exceptions, since the last whole run
        self.said: dict[str, list[str]] = {}  # its Markdown by the fragment that draws it ("": none)
        self.query = self.page = self.path = ""
        self.charts = 0  # drawn by the last whole run
        self.step = ""  # 'Step 3 of 22', of the lesson panel
        self.asked: list[Asked] = []
        self.timers: dict[str, tuple[float, asyncio.Task[None]]] = {}
        self.kept: dict[str, list[Any]] = {}  # large messages by hash: message, run of the last use
        self.runs, self.drawn, self.fetched = 0, set[str](), set[str]()
        self.fragments: list[str] = []  # of the run at hand; none: the whole page
        self.ended_early = 0.0  # when the last run ended because another was asked for
        self.tasks: set[asyncio.Task[Any]] = set()
        self.bytes, self.gone = 0, False

    # -- what a person does ------------------------------------------------------------------------------------------

    async def open(self, path: str = "", **words: object) -> float:
        """Go to an address; the seconds until its page was drawn."""
        self.path, self.query = path, "&".join(f"{name}={word}" for name, word in words.items())
        await self._connect()
        return await self._ask("opening", "")

    async def reconnect(self) -> float:
        """Take up again, as a page does whose server has come back: another session, the same page and fields."""
        for name in list(self.timers):
            self._stop_timer(name)
        self.asked, self.kept, self.gone = [], {}, False
        await self._connect()
        return await self._ask("opening again", "")

    async def _connect(self) -> None:
        cookie = await asyncio.to_thread(self._cookie)
        self.token = self.token or await asyncio.to_thread(self._token)
        self.socket = await websockets.connect(
            f"{self.url.replace('http', 'ws')}/_stcore/stream",
            subprotocols=["streamlit", cookie],
            origin=self.url,
            additional_headers={"Cookie": f"{COOKIE}={cookie}; cnnlab_browser={self.token}"},
            max_size=None,
        )
        self._task(self._listen())

    async def close(self) -> None:
        """Close the tab."""
        for task in self.tasks:
            task.cancel()
        with contextlib.suppress(Exception):
            await self.socket.close()

    def find(self, name: str) -> Widget | None:
        """The widget with this key, or whose label begins like this."""
        for identity, widget in self.widgets.items():
            if identity.endswith(f"-{name}") or widget.label.startswith(name):
                return widget
        return None

    def says(self, words: str) -> bool:
        """Whether the page has these words in its Markdown."""
        return any(words in body for bodies in self.said.values() for body in bodies)

    async def press(self, name: str, what: str, **changes: object) -> float:
        """Press a button; in a form with `changes` of its fields, by key."""
        for key, value in changes.items():
            self._set(self._existing(key), value)
        button = self._existing(name)
        self.states[button.proto.id] = WidgetState(id=button.proto.id, trigger_value=True)
        try:
            return await self._ask(what, button.fragment)
        finally:
            self.states.pop(button.proto.id, None)

    async def choose(self, name: str, value: object, what: str) -> float:
        """Give a widget another value, as its own messages write it."""
        widget = self._existing(name)
        self._set(widget, value)
        return await self._ask(what, widget.fragment)

    async def fill(self, what: str, **changes: object) -> float:
        """Give several widgets other values by key, in one message."""
        for key, value in changes.items():
            self._set(self._existing(key), value)
        return await self._ask(what, "")

    async def pick(self, chart: str, number: int, what: str) -> float:
        """Click on a square of a picture of maps."""
        picked = {"selection": {"pick": [{"number": number, "previous": -1}]}}
        return await self.choose(chart, json.dumps(picked), what)

    def _existing(self, name: str) -> Widget:
        widget = self.find(name)
        if widget is None:
            raise LookupError(f"There is nothing called {name!r} on the page /{self.path}. It says: {self.texts}")
        return widget

    def _set(self, widget: Widget, value: object) -> None:
        self.states[widget.proto.id] = state(widget.kind, widget.proto.id, value)

    # -- the wire ----------------------------------------------------------------------------------------------------

    def _token(self) -> str:
        request = urllib.request.Request(self.url, headers={"Accept": "text/html"})
        with urllib.request.urlopen(request, timeout=GIVE_UP_SECONDS) as answer:
            cookies = SimpleCookie("; ".join(answer.headers.get_all("Set-Cookie", [])))
        return cookies["cnnlab_browser"].value

    def _cookie(self) -> str:
        with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=30) as answer:
            return str(answer.headers["Set-Cookie"]).partition(";")[0].partition("=")[2].strip('"')

    def _task(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def _ask(self, what: str, fragment: str) -> float:
        asked = await self._send(what, fragment)
        try:
            return await asyncio.wait_for(asked.answer, GIVE_UP_SECONDS)
        except TimeoutError:
            self.asked.remove(asked)
            raise NotAnswered(f"{what} was not answered within {GIVE_UP_SECONDS:.0f} s") from None

    async def _send(self, what: str, fragment: str, by_timer: bool = False) -> Asked:
        asked = Asked(what, fragment, by_timer)
        self.asked.append(asked)
        message = BackMsg()
        request = message.rerun_script
        request.query_string, request.fragment_id, request.is_auto_rerun = self.query, fragment, by_timer
        request.page_script_hash = self.page
        if not self.page:
            request.page_name = self.path
        request.widget_states.widgets.extend(self.states.values())
        request.cached_message_hashes.extend(self.kept)
        request.context_info.url, request.context_info.locale = f"{self.url}/{self.path}", "en-GB"
        request.context_info.timezone, request.context_info.color_scheme = "Europe/Vienna", "light"
        await self.socket.send(message.SerializeToString())
        return asked

    async def _listen(self) -> None:
        reason = "the server is gone"
        try:
            async for data in self.socket:
                self.bytes += len(data)
                self._take(ForwardMsg.FromString(data))
        except websockets.ConnectionClosed:
            pass
        except Exception as error:  # a message that this browser does not understand: say so to who waits
            reason = repr(error)
        self.gone = True
        for asked in self.asked:
            if not asked.answer.done():
                asked.answer.set_exception(NotAnswered(f"{asked.what}: {reason}"))
                asked.answer.exception()  # a timer's is nobody's

    def _take(self, message: ForwardMsg) -> None:
        """One message of the server."""
        kind = message.WhichOneof("type")
        if kind == "ref_hash":
            self.kept[message.ref_hash][1] = self.runs
            self._draw(self.kept[message.ref_hash][0])
        elif kind == "delta":
            if message.metadata.cacheable:
                self.kept.setdefault(message.hash, [message.delta, self.runs])
            self._draw(message.delta)
        elif kind == "new_session":
            self._begun(list(message.metadata.run.fragment_ids))
        elif kind == "navigation":
            self.page = message.navigation.page_script_hash
        elif kind == "script_finished":
            self._finished(message.script_finished)
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        elif kind == "auto_rerun":
            self._start_timer(message.auto_rerun.fragment_id, message.auto_rerun.interval)
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                self._stop_timer(fragment)

    def _begun(self, fragments: list[str]) -> None:
        """A script has begun: of some fragments, or of the whole page, which ends all timers and does their work."""
        if fragments and self.ended_early:  # other fragments only waited for their turn: this one was drawn
            self._answer(self.ended_early)
        self.ended_early = 0.0
        self.fragments, self.drawn = fragments, set()
        for fragment in fragments or list(self.said):
            self.said[fragment] = []
        if not fragments:
            self.texts, self.charts = [], 0
            for fragment in list(self.timers):
                self._stop_timer(fragment)
            self.asked = [asked for asked in self.asked if not asked.by_timer or asked.begun]
            for asked in self.asked:  # what a timer asked for has led to the whole page
                asked.what, asked.by_timer = asked.what + WHOLE_PAGE * asked.by_timer, False
        for asked in self.asked:
            asked.begun = not fragments or asked.fragment in fragments

    def _draw(self, delta: Any) -> None:
        """A part of the page: what it says where something is wrong, its widgets, its pictures."""
        if delta.WhichOneof("type") != "new_element":
            return
        kind = delta.new_element.WhichOneof("type")
        element = getattr(delta.new_element, kind)
        kind = "select_slider" if kind == "slider" and element.options else kind
        if kind == "exception":
            self.texts.append(f"exception: {element.message}")
        elif kind == "alert" and element.format in (Alert.ERROR, Alert.WARNING):
            self.texts.append(element.body)
        elif kind == "markdown":
            self.said.setdefault(delta.fragment_id, []).append(element.body)
        elif kind == "imgs":
            for picture in element.imgs:
                self._fetch(picture.url)
        elif kind == "progress" and element.text.startswith("Step "):
            self.step = element.text
        self.charts += kind == "vega_lite_chart"
        if getattr(element, "id", ""):
            self.drawn.add(element.id)
            self.widgets[element.id] = Widget(kind, element, delta.fragment_id)
            if element.id not in self.states or getattr(element, "set_value", False):
                self._show(kind, element)

    def _show(self, kind: str, element: Any) -> None:
        """The state in which a widget comes to the page, which the page sends back from then on."""
        if kind in VALUES and kind != "vega_lite_chart":
            self.states[element.id] = state(kind, element.id, shown(kind, element))

    def _finished(self, status: int) -> None:
        """The script has come to its end: who asked for it has an answer; what it did not draw is gone."""
        if status == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            self.ended_early = time.perf_counter()
            return
        self.runs += 1
        self.kept = {name: entry for name, entry in self.kept.items() if self._keeps(*entry)}
        for identity, widget in list(self.widgets.items()):
            if identity not in self.drawn and (not self.fragments or widget.fragment in self.fragments):
                del self.widgets[identity]
                self.states.pop(identity, None)
        self._answer(time.perf_counter())

    def _answer(self, moment: float) -> None:
        """Everybody whom the run at hand was for has an answer since this moment."""
        for asked in [asked for asked in self.asked if asked.begun]:
            self.asked.remove(asked)
            self.note(asked.what, moment - asked.at)
            if not asked.answer.done():
                asked.answer.set_result(moment - asked.at)

    def _keeps(self, delta: Any, used: int) -> bool:
        return (self.fragments and delta.fragment_id not in self.fragments) or self.runs - used <= OLDEST

    def _start_timer(self, fragment: str, interval: float) -> None:
        if self.timers.get(fragment, (0.0, None))[0] != interval:
            self._stop_timer(fragment)
            self.timers[fragment] = interval, self._task(self._tick(fragment, interval))

    def _stop_timer(self, fragment: str) -> None:
        if fragment in self.timers:
            self.timers.pop(fragment)[1].cancel()

    async def _tick(self, fragment: str, interval: float) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await asyncio.sleep(interval)
                await self._send(f"every {interval:.0f} s", fragment, by_timer=True)

    def _fetch(self, url: str) -> None:
        if url.startswith("/media/") and url not in self.fetched:
            self.fetched.add(url)
            self._task(asyncio.to_thread(fetch, self.url + url))


def fetch(url: str) -> None:
    """Get a picture, as the page would."""
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=30) as answer:
        answer.read()


VALUES = {  # how each kind of widget writes its value
    "button_group": "string_array_value",
    "checkbox": "bool_value",
    "multiselect": "string_array_value",
    "number_input": "double_value",
    "radio": "string_value",
    "selectbox": "string_value",
    "slider": "double_array_value",
    "text_area": "string_value",
    "select_slider": "string_array_value",
    "text_input": "string_value",
    "vega_lite_chart": "string_value",
}


def state(kind: str, identity: str, value: Any) -> WidgetState:
    """The message that says what a widget holds; None is a widget that is empty."""
    made = WidgetState(id=identity)
    if value is None:
        return made
    if VALUES[kind].endswith("array_value"):
        array = getattr(made, VALUES[kind])
        array.data.extend(value if isinstance(value, list) else [value])
        array.SetInParent()
    else:
        setattr(made, VALUES[kind], value)
    return made


def shown(kind: str, element: Any) -> Any:
    """What a widget holds when it comes to the page: what the script sets, or its default."""
    if kind in ("checkbox", "number_input", "text_area", "text_input"):
        name = "value" if element.set_value else "default"
        return getattr(element, name) if kind == "checkbox" or element.HasField(name) else None
    if kind in ("radio", "selectbox"):
        if element.set_value:
            return element.raw_value
        return element.options[element.default] if element.HasField("default") and element.options else None
    if kind == "button_group":
        options = [option.content for option in element.options]
        return list(element.raw_values) if element.set_value else [options[index] for index in element.default]
    if kind == "multiselect":
        return list(element.raw_values) if element.set_value else [element.options[index] for index in element.default]
    if kind == "select_slider":
        return list(element.raw_value) or [element.options[int(one)] for one in element.default]
    if kind == "slider":
        return list(element.value if element.set_value else element.default)
    return None
