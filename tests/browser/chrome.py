"""A real server on a port of its own, and what a test asks of a browser tab."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from free_ports import free_port

from cnnlab import settings
from cnnlab.settings import subprocess_environment
from cnnlab.storage import process_lock

PATIENCE = 90_000  # milliseconds; the machine may be busy
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 400, "height": 800}
# WCAG 2.2's contrast of an element's words with what lies under them; text of normal size needs 4.5
CONTRAST = """segment => {
  const channels = colour => {
    const place = document.createElement('canvas').getContext('2d');
    place.fillStyle = colour;
    place.fillRect(0, 0, 1, 1);
    return [...place.getImageData(0, 0, 1, 1).data].map(value => value / 255);
  };
  const over = (upper, lower) => [0, 1, 2].map(i => upper[i] * upper[3] + lower[i] * (1 - upper[3]));
  const parts = [];
  for (let part = segment; part; part = part.parentElement) parts.unshift(part);
  const ground = parts.reduce((below, part) => {
    const upper = getComputedStyle(part).backgroundColor.match(/[\\d.]+/g).map(Number);
    return over([...upper.slice(0, 3).map(value => value / 255), upper[3] ?? 1], below);
  }, [1, 1, 1]);
  const light = colour => colour.slice(0, 3)
    .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
  const text = over(channels(getComputedStyle(segment.querySelector('p') ?? segment).color), ground);
  const [high, low] = [light(text), light(ground)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}"""


@dataclass(frozen=True)
class App:
    """A running server: its address and its home."""

    url: str
    home: Path

    def at(self, path: str = "", **words: object) -> str:
        """The address of a page with these words."""
        said = "&".join(f"{name}={word}" for name, word in words.items())
        return f"{self.url}/{path}{'?' if said else ''}{said}"


class served:  # noqa: N801  # read as a verb: with served(home) as app
    """`streamlit run` on a free port for as long as the block lasts."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home, self.environment = home, environment

    def __enter__(self) -> App:
        environment = {"CNNLAB_HOME": str(self.home)} | self.environment
        script = settings.REPOSITORY / "streamlit_app.py"
        self.process, url = start_streamlit(script, settings.REPOSITORY, self.home / "web.log", environment)
        return App(url, self.home)

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(60)
        end_whoever_holds(self.home / "dispatcher.lock")
        for lock in self.home.glob("runs/*/lock"):
            end_whoever_holds(lock)


def start_streamlit(
    script: Path, folder: Path, log: Path, environment: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], str]:
    """`streamlit run SCRIPT` in `folder` on a free port; the process and its address, once it answers."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    command += ["--server.address", "127.0.0.1", "--server.headless", "true", "--browser.gatherUsageStats", "false"]
    command += ["--server.fileWatcherType", "none"]
    with log.open("ab") as file:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=subprocess_environment() | environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    wait_until(lambda: answers(port) or process.poll() is not None, "the server answers")
    assert process.poll() is None, log.read_text()
    return process, f"http://127.0.0.1:{port}"


def end_whoever_holds(lock: Path) -> None:
    """Ask the process that holds a lock, unless it is this test, to stop, and wait until it has."""
    holder = process_lock.lock_owner(lock)
    if holder is not None and holder.pid != os.getpid():
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.kill(holder.pid, signal.SIGTERM)
        wait_until(lambda: not process_lock.is_locked(lock), f"{lock} is free")


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def wait_until(happened: Callable[[], object], what: str, seconds: float = 90) -> None:
    """Ask again and again; fails, and says what was waited for, after so many seconds."""
    give_up = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > give_up:
            pytest.fail(f"waited {seconds} s in vain: {what}")
        time.sleep(0.1)


def is_error(message) -> bool:
    """Streamlit looks for its server under each part of a page's address; the places where it is not are no errors."""
    return message.type == "error" and "/_stcore/" not in (message.location or {}).get("url", "")


def text_of(message) -> str:
    """What a tab wrote to its console, and the address that it is about."""
    return f"{message.text} {(message.location or {}).get('url', '')}".rstrip()


# The script has ended, and no element stands for one whose program the browser still loads: our style is one of these.
SETTLED = """() => {
  const all = selector => [...document.querySelectorAll(selector)];
  const isRunning = all('[data-testid=stApp]')[0]?.dataset.testScriptState?.startsWith('running');
  const isStyled = all('.st-key-corner').every(corner => getComputedStyle(corner).position === 'fixed');
  const areDrawn = all('[data-testid=stVegaLiteChart]').every(chart => chart.querySelector('svg.marks, canvas'));
  const isWritten = document.fonts.status === 'loaded';
  return !isRunning && isStyled && isWritten && areDrawn && !all('[data-stale=true], [data-testid^=stSkeleton]').length;
}"""


def settled(tab) -> None:
    """Wait until the page has its title, its style and its charts, and Streamlit has stopped drawing.

    After a click wait for what it brings first: until the server says that the script runs, the page has settled.
    """
    tab.locator("h1").first.wait_for()
    tab.wait_for_function(SETTLED)


def steady_box(element) -> dict[str, float]:
    """The bounding box of an element in the middle of the screen, once it stands still: charts above it may move it."""
    boxes = []

    def is_still() -> bool:
        element.evaluate("element => element.scrollIntoView({block: 'center'})")
        element.page.wait_for_timeout(200)
        boxes.append(element.bounding_box())
        return len(boxes) > 3 and boxes[-1] is not None and boxes[-1] == boxes[-2] == boxes[-3]

    wait_until(is_still, "it stands still")
    return boxes[-1]


def scrolls_sideways(tab) -> bool:
    """Whether anything but its own little boxes is wider than the window."""
    return tab.evaluate(
        "() => [document.documentElement, document.querySelector('[data-testid=stMain]')]"
        ".some(part => part.scrollWidth > window.innerWidth)"
    )
