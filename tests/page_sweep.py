"""Visits every option of every widget of a page in Streamlit's tester, and walks at random: the driver of tests.

`sweep(script, address)` opens a page, sets each widget to each of its options, presses Next where there is one, and
opens the address that the page left in a new session. Options are read from the widgets that the page draws, so none is
named here. An exception on the page, or one that is raised, is a `Crash`; the session then starts again.
"""

import io
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np
from PIL import Image
from step_meter import StepMeter
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

NEXT = "inspect.image_controls.next"
PICKER = "inspect.image_controls.picker"
TYPES = (
    "button", "button_group", "checkbox", "toggle", "radio", "selectbox", "multiselect", "select_slider", "slider",
    "number_input", "text_input", "text_area", "pagination", "file_uploader", "camera_input",
)  # fmt: skip
UP, DOWN = "+", "-"  # one step of a number that has no ends
NEW_LINE = "\n"
TIMEOUT = 180  # seconds for one run of a script: the first one of Compare took 97 at a load of 13 on two cores

Script = Callable[[], None]
Watch = Callable[[str, float, float, str], object]  # told "ok", "one sentence" or "crash", its cost, and what was done


@dataclass(frozen=True)
class Action:
    """One option of one widget. `name` is the widget's key, or its label where it has none."""

    kind: str
    name: str
    value: Any

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} = {self.value!r}"


@dataclass(frozen=True)
class Crash:
    """What was done, from which address, and the exception's first line."""

    address: tuple[tuple[str, str], ...]
    done: str
    message: str


@dataclass
class Report:
    """The steps taken, the crashes, and every URL parameter with the values that it was seen to have."""

    steps: int = 0
    crashes: list[Crash] = field(default_factory=list)
    params: dict[str, set[str]] = field(default_factory=dict)
    actions: set[Action] = field(default_factory=set)
    watch: Watch = lambda outcome, seconds, megabytes, detail: None

    def add(self, other: "Report") -> None:
        """Count another report in."""
        self.steps += other.steps
        self.crashes += other.crashes
        self.actions |= other.actions
        for name, values in other.params.items():
            self.params.setdefault(name, set()).update(values)

    def __str__(self) -> str:
        lines = [f"{self.steps} steps, {len(self.crashes)} crashes"]
        return "\n".join(lines + [f"{dict(one.address)}: {one.done}: {one.message}" for one in self.crashes])


def picture() -> bytes:
    """A JPEG, as of a camera, that is wider than it is tall."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)).save(file, "JPEG")
    return file.getvalue()


class Visitor:
    """One session of a page that can be acted on and reloaded; every run of its script counts as a step."""

    def __init__(
        self, script: Script, address: Mapping[str, str], report: Report, session: Mapping[str, Any] | None = None
    ) -> None:
        self.script, self.address, self.report = script, dict(address), report
        self.session = {PICKER: True} | dict(session or {})  # what lies in a closed popover is not listened to
        self.app = self.open(address)

    def open(self, address: Mapping[str, str]) -> AppTest:
        """A new session at this address."""
        app = self.new_session(address)
        self.run(app, "open")
        return app

    def new_session(self, address: Mapping[str, str]) -> AppTest:
        """A session at this address that has not run yet."""
        app = AppTest.from_function(self.script, default_timeout=TIMEOUT)
        for name, value in self.session.items():
            app.session_state[name] = value
        app.query_params.update(dict(address))
        return app

    def run(self, app: AppTest, done: str) -> bool:
        """Run the script once; False, and a crash in the report, where it failed."""
        before = params_of(app)
        self.report.steps += 1
        with StepMeter() as used:
            message = run_once(app)
        for name, value in params_of(app).items():
            self.report.params.setdefault(name, set()).add(value)
        if message:
            self.report.crashes.append(Crash(tuple(before.items()), done, message.splitlines()[0]))
        outcome = "crash" if message else "one sentence" if app.error or app.warning else "ok"
        self.report.watch(
            outcome, used.cpu_seconds, used.megabytes, f"{before}: {done}: {message.partition(NEW_LINE)[0]}"
        )
        return not message

    def act(self, action: Action) -> None:
        """Set the widget, and press the form's button where it stands in a form."""
        self.report.actions.add(action)
        widget = find(self.app, action)
        if widget is None:
            return
        set_widget(widget, action.value)
        for button in self.app.get("button"):
            if getattr(widget, "form_id", "") and button.form_id == widget.form_id:
                button.click()
        if not self.run(self.app, str(action)):
            self.app = self.open(self.address)

    def next_and_reload(self, after: Action) -> None:
        """Press Next, then open the address in a new session."""
        for button in self.app.get("button"):
            if button.key == NEXT:
                button.click()
                if not self.run(self.app, f"{after}, then Next"):
                    self.app = self.open(self.address)
                    return
        self.reload(after)

    def reload(self, after: Action) -> None:
        """Open the address that the page left in a new session."""
        self.run(self.new_session(params_of(self.app)), f"{after}, then a reload")


def run_once(app: AppTest) -> str:
    """Run the script; what it, or the tester, raised, "" where nothing was."""
    try:
        app.run()
        return app.exception[0].message if app.exception else ""
    except Exception as error:  # the tester itself raises some of them
        return repr(error)


def params_of(app: AppTest) -> dict[str, str]:
    """The address of a session."""
    return {name: value[0] if isinstance(value, list) else str(value) for name, value in app.query_params.items()}


def actions(app: AppTest, skip: Collection[str] = ()) -> list[Action]:
    """Every option of every widget that the page draws, in its order."""
    found = []
    for kind in TYPES:
        for widget in app.get(kind):
            name = widget.key or widget.label
            if name not in skip and not widget.proto.disabled:
                found += [Action(kind, name, value) for value in options(widget)]
    return found


def options(widget: Any) -> Iterator[Any]:
    """The options of a menu; the ends of a number, and no number; both sides of a switch; a click; a picture."""
    match widget.type:
        case "button":
            yield True
        case "checkbox" | "toggle":
            yield from (True, False)
        case "button_group" | "radio" | "selectbox" | "select_slider":
            yield from widget.options
        case "multiselect":
            yield from [(option,) for option in widget.options] + [(), tuple(widget.options)]
        case "slider":
            yield from (widget.min, widget.max)
        case "number_input":
            yield from number_options(widget)
        case "pagination":
            yield from (widget.num_pages, 1)
        case "text_input" | "text_area":
            yield "x"
        case _:
            yield from ("picture", "no picture")


def number_options(widget: Any) -> list[float | str | None]:
    """The ends that the field has; a step to either side, "+" or "-", where it has none; empty where it can be."""
    ends = [UP if widget.max is None else widget.max, DOWN if widget.min is None else widget.min]
    return [*ends, *([] if widget.proto.HasField("default") else [None])]


def find(app: AppTest, action: Action) -> Any:
    """The widget as it is drawn now; None where it is gone."""
    return next((one for one in app.get(action.kind) if (one.key or one.label) == action.name), None)


def set_widget(widget: Any, value: Any) -> None:
    """Set the widget as a browser does, which sends the words of an option and not the value behind them."""
    match widget.type:
        case "button":
            widget.click()
        case "file_uploader" | "camera_input":
            widget.upload("me.jpg", picture() if value == "picture" else b"no picture")
        case "radio" | "selectbox":
            send(widget, lambda state: setattr(state, "string_value", value))
        case "button_group" | "select_slider":
            send(widget, lambda state: state.string_array_value.data.append(value))
        case "multiselect":
            chosen = value[: widget.proto.max_selections or len(value)]
            send(widget, lambda state: state.string_array_value.data.extend(chosen))
        case "number_input" if value in (UP, DOWN):
            step = widget.proto.step if value == UP else -widget.proto.step
            widget.set_value((widget.value or 0) + step)
        case _:
            widget.set_value(value)


def send(widget: Any, fill: Callable[[WidgetState], object]) -> None:
    """Make this the widget's state at the next run."""
    state = WidgetState(id=widget.id)
    fill(state)
    widget.__class__ = type("Chosen", (type(widget),), {"_widget_state": state})


def sweep(
    script: Script,
    address: Mapping[str, str],
    skip: Collection[str] = (),
    session: Mapping[str, Any] | None = None,
    report: Report | None = None,
    most_steps: float = math.inf,
) -> Report:
    """Every option of every widget, also of those that appear on the way, each followed by Next and by a reload.

    It is counted into `report`. With `most_steps`, options are drawn at random, with a fixed seed, until there are so
    many.
    """
    limited = math.isfinite(most_steps)
    random = Random(0)
    report = Report() if report is None else report
    visitor = Visitor(script, address, report, session)
    while left := [one for one in actions(visitor.app, skip) if one not in report.actions]:
        if report.steps >= most_steps:
            break
        chosen = random.choice(left) if limited else left[0]
        visitor.act(chosen)
        visitor.next_and_reload(chosen)
    return report


def random_walk(
    script: Script,
    address: Mapping[str, str],
    steps: int,
    seed: int,
    report: Report | None = None,
    session: Mapping[str, Any] | None = None,
) -> Report:
    """Random options of random widgets; every tenth time the page is reloaded and the walk goes on from there."""
    random, report = Random(seed), report or Report()
    visitor = Visitor(script, address, report, session)
    while report.steps < steps:
        possible = actions(visitor.app)
        names = sorted({(one.kind, one.name) for one in possible})
        if not names:
            visitor.app = visitor.open(address)
            continue
        widget = random.choice(names)
        action = random.choice([one for one in possible if (one.kind, one.name) == widget])
        visitor.act(action)
        if random.random() < 0.1:
            visitor.app = visitor.open(params_of(visitor.app))
    return report
