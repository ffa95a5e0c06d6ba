"""Benchmark of the app in a real browser: the first page, a click that enlarges a map, memory growth of the server."""

import contextlib
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cnnlab import settings
from cnnlab.bench.options import BenchOptions, print_progress
from cnnlab.operating_system.machine import memory_kib
from cnnlab.storage import runs
from cnnlab.storage.runs import Run

CHROMIUM_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
ENLARGE_CLICKS = 20
WARM_UP, SELECTIONS = 50, 500  # the warm-up opens every view once
LINK_INTERVAL = 10  # every tenth selection opens a link
VIEW_INTERVAL = 5  # every fifth shows the next view, the others the next image
BROWSER_TIMEOUT_MS = 120_000
SERVER_START_SECONDS = 60.0
POLL_SECONDS = 0.05
EMPTY_APP = 'import streamlit as st\nst.title("empty")\n'


def bench_page(options: BenchOptions) -> None:
    """Print the median seconds until the first page and until an enlarged map, and the server's memory growth."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = os.environ.get("CNNLAB_CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_FLAGS))
        print_first_page(browser, options.rounds)
        with server() as (address, process):
            tab = browser.new_page(viewport={"width": 1280, "height": 900})
            tab.set_default_timeout(BROWSER_TIMEOUT_MS)
            clicks = [time_enlarge_click(tab, address, number) for number in range(ENLARGE_CLICKS)]
            print(f"click to enlarged map: {1000 * statistics.median(clicks):.0f} ms (median of {len(clicks)})")
            print_memory_growth(tab, address, process.pid)


def print_first_page(browser: Any, rounds: int) -> None:
    """Print the median seconds until the first page is visible, of this app and of an empty one, in turns."""
    ours, empty = [], []
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "empty.py"
        script.write_text(EMPTY_APP)
        for number in range(rounds):
            empty.append(time_first_page(browser, str(script)))
            ours.append(time_first_page(browser))
            print_progress(f"first page {number + 1} of {rounds}: {ours[-1]:.2f} s, of an empty app {empty[-1]:.2f} s")
    median, reference = statistics.median(ours), statistics.median(empty)
    print(
        f"first page visible after {median:.2f} s, that of an empty Streamlit app after {reference:.2f} s "
        f"(ratio {median / reference:.2f}, medians of {rounds})"
    )


@contextlib.contextmanager
def server(script: str = "streamlit_app.py") -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a script on a free port with `streamlit run`; yields its address and its process, and stops it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port)]
    command += ["--server.address", "127.0.0.1"]
    process = subprocess.Popen(command, cwd=settings.REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_server(f"http://127.0.0.1:{port}/_stcore/health")
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait()


def time_first_page(browser: Any, script: str = "streamlit_app.py") -> float:
    """Seconds from `streamlit run` to the heading of the first page, in a browser that is already open."""
    tab = browser.new_page()
    started = time.perf_counter()
    with server(script) as (address, _):
        tab.goto(address)
        tab.get_by_role("heading").first.wait_for()
        seconds = time.perf_counter() - started
    tab.close()
    return seconds


def time_enlarge_click(tab: Any, address: str, number: int) -> float:
    """Seconds from a click on map `number` in the grid of conv1 to the heading of the enlarged map."""
    if number == 0:
        tab.goto(f"{address}/look_inside")
    grid = tab.locator(".st-key-grid-conv1 svg.marks")
    grid.wait_for()
    tab.wait_for_timeout(1000)
    box, (row, column) = grid.bounding_box(), divmod(number, 8)
    started = time.perf_counter()
    tab.mouse.click(box["x"] + (column + 0.4) * box["width"] / 8, box["y"] + (row + 0.4) * box["width"] / 8)
    tab.get_by_text(f"Map {number} of conv1").wait_for()
    return time.perf_counter() - started


def print_memory_growth(tab: Any, address: str, process: int) -> None:
    """Make WARM_UP selections, then SELECTIONS more; print by how much the web process grew during the latter."""
    rng = random.Random(0)
    candidates = [run for run in runs.list_runs() if run.snapshot_epochs() and run.experiment.dataset == "cifar10"]
    for index in range(WARM_UP):
        make_selection(tab, address, index, rng, candidates)
    before = process_memory_mb(process)
    print(f"after {WARM_UP} selections: {format_sizes(before, '.0f')}", flush=True)
    for index in range(WARM_UP, WARM_UP + SELECTIONS):
        make_selection(tab, address, index, rng, candidates)
        if index % 50 == 0:
            print_progress(f"selection {index} of {WARM_UP + SELECTIONS}")
    growth = {name: size - before[name] for name, size in process_memory_mb(process).items()}
    print(f"after {SELECTIONS} more: {format_sizes(growth, '+.0f')}")


def make_selection(tab: Any, address: str, index: int, rng: random.Random, candidates: list[Run]) -> None:
    """Make selection number `index` and wait until the server has rendered it.

    Every LINK_INTERVAL-th selection opens a link to a random image and map of a random run, in a new session.
    """
    views = tab.get_by_role("radiogroup", name="Look at").get_by_role("radio")
    if index % LINK_INTERVAL == 0:
        tab.goto(f"{address}/look_inside?{random_query(rng, rng.choice(candidates))}")
    if index % VIEW_INTERVAL == 0:
        views.first.wait_for()
        views.nth(index // VIEW_INTERVAL % views.count()).click()
    else:
        current_url = tab.url
        tab.locator(".st-key-inspect-image_controls-next button").first.click()
        tab.wait_for_url(lambda url: url != current_url)
    tab.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()


def random_query(rng: random.Random, run: Run) -> str:
    """The query string of Look inside for a random epoch, layer, map and sample image of a run."""
    parameters = {"run": run.name, "epoch": rng.choice(run.snapshot_epochs()), "image": f"sample-{rng.randrange(20)}"}
    parameters |= {
        "layer": f"conv{rng.randint(1, run.experiment.depth)}",
        "map": rng.randrange(run.experiment.filters),
    }
    return urllib.parse.urlencode(parameters)


def process_memory_mb(process: int) -> dict[str, float]:
    """Memory of a process in MB (2**20 bytes): anonymous pages, unshared pages (USS), all resident pages (RSS).

    USS and RSS include pages of the memory-mapped test images, which the kernel can reclaim. Empty but on Linux.
    """
    sizes = {name: size / 1024 for name, size in memory_kib(process, "smaps_rollup").items()}
    if not sizes:
        return {}
    unique = sizes["Private_Clean"] + sizes["Private_Dirty"]
    return {"private": sizes["Anonymous"], "private with mapped files (USS)": unique, "resident (RSS)": sizes["Rss"]}


def format_sizes(sizes: dict[str, float], form: str) -> str:
    """'private +9 MB, resident (RSS) +20 MB'."""
    return ", ".join(f"{name} {size:{form}} MB" for name, size in sizes.items())


def wait_for_server(address: str) -> None:
    """Wait until this address answers. Raises TimeoutError after SERVER_START_SECONDS."""
    deadline = time.monotonic() + SERVER_START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return
        time.sleep(POLL_SECONDS)
    raise TimeoutError(f"{address} did not answer within {SERVER_START_SECONDS:.0f} s")
