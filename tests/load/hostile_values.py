"""Values that no browser sends, to every field of every page of a real web server.

    python tests/load/hostile_values.py [--steps N]

A visitor who has changed the script in their browser gives a field infinity, nothing, a value of another kind, an
option that does not exist, a text without end. After each the field gets its value back. Told are the answers and the
log of the server.

Targets: no page shows an exception; the log has no traceback, and a few lines.
"""

import argparse
import asyncio
import math
import sys
from collections.abc import Iterator
from random import Random

from browser_protocol import Browser, NotAnswered
from load_report import Findings
from server import Lab, fresh_lab
from streamlit.proto.WidgetStates_pb2 import WidgetState
from tally import CRASH, OK, SENTENCE, Tally, print_tallies

from cnnlab.jobs import access_keys
from cnnlab.jobs.queue import Queue
from cnnlab.lessons import learners, sheet_files
from cnnlab.lessons.lesson_file import LessonFile
from cnnlab.pages import look_inside
from cnnlab.ui.browser_identity import new_token, person_name

ALL_STEPS, SEED = 3000, 20261130
LOG_LINES = 20  # of a whole attack
KEY = "the key of the attack"
PAGES: tuple[tuple[str, dict[str, str]], ...] = (
    ("", {}), ("", {"own": "yes"}), ("compare", {}), ("compare", {"view": "curves"}), ("sweeps", {}), ("mistakes", {}),
    ("mistakes", {"with": "3conv-l2"}), ("lesson", {}), ("admin", {}),
    *(("look_inside", {"view": view}) for view in look_inside.VIEWS),
)  # fmt: skip
PRESSED = ("forget_teacher", "lesson_close")  # buttons after which the page is another one
LONG = 300_000  # characters; a message may have a megabyte
NUMBERS = (math.inf, -math.inf, math.nan, 1e300, -1.0, 0.5)
TEXTS = ("", "null", "no such option", "\x00\u202e", "9" * 5_000, "x" * LONG)
JSON = (
    "", "null", "[]", "1", "NaN", '"x"', "{", "[" * 5_000, '{"selection": null}', '{"selection": {"pick": 1}}',
    '{"selection": {"pick": [{"number": "x", "previous": null}]}}', '{"selection": {"pick": [{"number": 1e999}]}}',
    '{"selection": {"pick": [null]}}', '{"selection": {"pick": [{"number": -7, "previous": 1e308}]}}',
    '{"edited_rows": {"x": {"y": 1}}, "added_rows": 1, "deleted_rows": [99]}', '{"edited_rows": {"99": {"remove": 1}}}',
)  # fmt: skip


def hostile_states(identity: str) -> Iterator[WidgetState]:
    """Every kind of value with every hostile content, as the state of this widget."""
    yield WidgetState(id=identity)
    for text in (*TEXTS, *JSON):
        yield WidgetState(id=identity, string_value=text)
        yield WidgetState(id=identity, json_value=text)
        yield WidgetState(id=identity, json_trigger_value=text)
        made = WidgetState(id=identity)
        made.string_trigger_value.data = text
        yield made
        made = WidgetState(id=identity)
        made.string_array_value.data.extend([text, text])
        yield made
    for number in NUMBERS:
        yield WidgetState(id=identity, double_value=number)
        for count in (1, 2, 3):
            made = WidgetState(id=identity)
            made.double_array_value.data.extend([number] * count)
            yield made
    for whole in (-(2**63), -1, 0, 99, 2**63 - 1):
        yield WidgetState(id=identity, int_value=whole)
        made = WidgetState(id=identity)
        made.int_array_value.data.append(whole)
        yield made
    for kind in ("double_array_value", "int_array_value", "string_array_value", "file_uploader_state_value"):
        made = WidgetState(id=identity)
        getattr(made, kind).SetInParent()
        yield made
    for kind in ("arrow_value", "chat_input_value"):
        made = WidgetState(id=identity)
        getattr(made, kind).SetInParent()
        yield made
    made = WidgetState(id=identity)
    made.file_uploader_state_value.uploaded_file_info.add(file_id="../../etc/passwd", name="x", size=2**40)
    yield made
    yield WidgetState(id=identity, bytes_value=b"\xff\x00")
    yield WidgetState(id=identity, bool_value=True)
    yield WidgetState(id=identity, trigger_value=True)


async def attack(lab: Lab, tally: Tally, steps: int) -> None:
    """Open each page and send hostile values to its fields, `steps` in all, chosen at random with a fixed seed."""
    random = Random(SEED)
    places = [*PAGES, *lesson_steps()]
    for number, (path, words) in enumerate(places):
        browser = Browser(lab.url)
        browser.token = new_token()
        person = person_name(browser.token.partition(".")[0])
        access_keys.check_teacher_key(Queue(), KEY, person)
        if "step" in words:
            learners.open_sheet(LessonFile(lab.home / "lessons.sqlite"), person, words["sheet"], words["step"])
        share = steps * (number + 1) // len(places) - steps * number // len(places)
        await attack_page(browser, tally, share, random, path, {} if "step" in words else words)
        await browser.close()


def lesson_steps() -> list[tuple[str, dict[str, str]]]:
    """A step of each kind of question."""
    sheets = [found.sheet for found in sheet_files.list_sheets() if found.sheet]
    kinds = {step.kind: (sheet.name, step.id) for sheet in sheets for step in sheet.steps}
    return [("lesson", {"sheet": sheet, "step": step}) for sheet, step in kinds.values()]


async def attack_page(
    browser: Browser, tally: Tally, steps: int, random: Random, path: str, words: dict[str, str]
) -> None:
    """Hostile values to the fields of one page, each followed by the value before; opened anew where a page is lost."""
    await browser.open(path, **words)
    for _ in range(steps):
        names = [name for name in browser.widgets if not name.endswith(PRESSED)]
        if not names or browser.path != path or browser.gone:
            await browser.reconnect()
            continue
        name = random.choice(names)
        made = random.choice(list(hostile_states(name)))
        widget, before = browser.widgets[name], browser.states.get(name)
        browser.texts = []
        browser.states[name] = made
        detail = f"/{browser.path}: {widget.kind} {name[-40:]}: {str(made)[len(name) + 6 :][:70]!r}"
        try:
            seconds = await browser._ask("hostile", widget.fragment)
        except (NotAnswered, OSError) as error:
            tally.add(CRASH, detail=f"{detail}: {error!r}")
            browser.gone = True
            browser.states.pop(name, None)
            continue
        bad = [text[:12] for text in browser.texts if text.startswith("exception")]
        tally.add(CRASH if bad else SENTENCE if browser.texts else OK, seconds, detail=f"{detail}: {bad}")
        browser.states.pop(name, None)
        if before is not None:
            browser.states[name] = before
        if bad:
            await browser.reconnect()
        elif name in browser.widgets:
            await browser._ask("the value before", browser.widgets[name].fragment)


def values_table(steps: int) -> list[Tally]:
    """The answers to hostile values."""
    tally, found = Tally("values of fields"), Findings("Hostile values of fields")
    with fresh_lab(CNNLAB_STARTS_DISPATCHER=0, CNNLAB_TEACHER_KEY=KEY) as lab:
        lab.start_web()
        asyncio.run(attack(lab, tally, steps))
        log = (lab.home / "web.log").read_text(errors="replace")
    print(log[-2_000:], file=sys.stderr)
    lines = len(log.splitlines())
    found.tell("tracebacks in the log", log.count("Traceback"), "none", "Traceback" not in log)
    found.tell("lines in the log", lines, f"at most {LOG_LINES}", lines <= LOG_LINES)
    found.close()
    return [tally]


def main() -> int:
    """The whole attack, or `--steps` of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=ALL_STEPS, help="values to send, at most")
    return print_tallies(values_table(parser.parse_args().steps))


if __name__ == "__main__":
    sys.exit(main())
