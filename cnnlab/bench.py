"""Benchmarks: what is compared is measured in one run, alternating, and printed as the ratio of medians with n.

training   our whole epoch (progress, validation, training accuracy in inference mode, snapshot, checkpoint) against
           plain `model.fit(x, y, batch_size=64, validation_data=...)`, and the peak memory of a worker
inside     milliseconds for all activations of one image, for all feature-map grids of a run, for occlusion
page       seconds until the first page and until an enlarged map; memory growth of the server over 500 selections

Results go to the standard output, the progress to the standard error stream.
"""

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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.models.architecture import network_layers


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """images, depth, regularizer: of the network that is trained; rounds: how often each measure is taken."""

    images: int = 40_000
    rounds: int = 3
    depth: int = 3
    regularizer: str = "none"


def run(what: str, options: BenchOptions) -> None:
    """Print the results of one benchmark: "training", "inside" or "page"."""
    {"training": bench_training, "inside": bench_inspect, "page": bench_page}[what](options)


def print_progress(message: str) -> None:
    """Print what is being measured at the moment, with the time."""
    print(time.strftime("%H:%M:%S"), message, file=sys.stderr, flush=True)


def bench_training(options: BenchOptions) -> None:
    """Seconds an epoch of plain `fit`, of ours in float32, and of ours in bfloat16, alternating."""
    with tempfile.TemporaryDirectory() as folder:
        measures = {"plain fit": plain_epoch(options)}
        for precision in ("float32", "bfloat16"):
            measures[f"ours, {precision}"] = our_epoch(options, precision, Path(folder) / precision)
        seconds = alternate(measures, options.rounds)
    plain = statistics.median(seconds["plain fit"])
    print(
        f"{options.depth}-conv, {options.regularizer}, {options.images:,} images, n={options.rounds},"
        f" {processor_name()}"
    )
    for name, values in seconds.items():
        median = statistics.median(values)
        listed = " ".join(f"{value:.1f}" for value in values)
        print(f"{name:16} {median:6.1f} s an epoch, {plain / median:4.2f} times plain fit    ({listed})")
    print(f"peak memory of one worker (float32): {worker_peak_gb(options):.2f} GB")


def alternate(measures: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Take each measure in turn, `rounds` times, after one warm-up of each: seconds by name."""
    seconds: dict[str, list[float]] = {name: [] for name in measures}
    for round_number in range(rounds + 1):
        for name, measure in measures.items():
            taken = measure()
            which = f"round {round_number} of {rounds}" if round_number else "warm-up"
            print_progress(f"{which}: {name} {taken:.1f} s")
            if round_number:
                seconds[name].append(taken)
    return seconds


def bench_experiment(options: BenchOptions, precision: str = "float32") -> Experiment:
    """The network of this bench."""
    return Experiment(
        depth=options.depth, regularizer=options.regularizer, train_images=options.images, precision=precision
    )


def plain_epoch(options: BenchOptions) -> Callable[[], float]:
    """Keras as the report uses it: arrays in, validation after each epoch, Keras's own layers.

    Two epochs in one call, of which the second is timed, so that what `fit` does once a call is not counted.
    """
    import keras

    from cnnlab import data
    from cnnlab.training import keras_model

    experiment = bench_experiment(options)
    images = data.split_dataset(data.load_dataset("cifar10"), experiment)
    x, y, held_out = np.asarray(images.x_train), np.asarray(images.y_train), (np.asarray(images.x_val), images.y_val)
    model = keras_model.build_model(experiment, plain=True)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])

    def measure() -> float:
        ends: list[float] = []
        clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()))
        model.fit(x, y, batch_size=64, epochs=2, validation_data=held_out, verbose=0, callbacks=[clock])
        return ends[1] - ends[0]

    return measure


def our_epoch(options: BenchOptions, precision: str, path: Path) -> Callable[[], float]:
    """A worker's whole epoch: training with progress, both evaluations, snapshot, checkpoint, history, record."""
    from cnnlab.training.trainer import Trainer

    worker = Trainer(bench_experiment(options, precision), path, lambda event: None)

    def measure() -> float:
        started = time.perf_counter()
        worker.end_epoch(1, worker.train_epoch(1), started)
        return time.perf_counter() - started

    return measure


def worker_peak_gb(options: BenchOptions) -> float:
    """Peak resident memory, in GB (1e9 bytes), of a real worker that trains one epoch.

    As the kernel counts it for the worker's own program (VmHWM). `ru_maxrss` of a child would not do: it begins with
    the memory of the process that the child was forked from, which is this large one.
    """
    peak = 0.0
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "data").symlink_to(settings.data_dir())
        experiment = Experiment.from_dict(bench_experiment(options).to_dict() | {"epochs": 1})
        command = [sys.executable, "-m", "cnnlab", "train", "--json", experiment.to_json()]
        environment = os.environ | {"CNNLAB_HOME": home}
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as worker:
            while worker.poll() is None:
                peak = peak_resident_gb(worker.pid) or peak  # it only grows: the last look is the peak
                time.sleep(0.05)
        if worker.returncode:
            raise subprocess.CalledProcessError(worker.returncode, command)
    return peak


def peak_resident_gb(process: int) -> float:
    """The most that a process ever had resident, in GB; 0 where it is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    sizes = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")]
    return sizes[0] * 1024 / 1e9 if sizes else 0.0


def processor_name() -> str:
    """The machine in words."""
    from cnnlab.training.provenance import device_name

    return device_name()


def bench_inspect(options: BenchOptions) -> None:
    """Looking inside the first 3-conv run there is, on the first sample image: medians of 50."""
    from cnnlab.analysis import attribution
    from cnnlab.data.samples import sample_images
    from cnnlab.models.numpy_forward import compute_activations
    from cnnlab.rendering import feature_map_grid
    from cnnlab.storage import runs

    run = next(run for run in runs.list_runs() if run.experiment.depth == 3 and run.snapshot_epochs())
    image, weights, network = (
        sample_images()[0][:1],
        run.weights(run.snapshot_epochs()[-1]),
        network_layers(run.experiment),
    )
    maps = compute_activations(network, weights, image)
    relu = [layer for layer in network if layer.kind == "relu"]
    print(f"{run.title}, median of 50")
    print_median_ms("all activations of one image", lambda: compute_activations(network, weights, image))
    print_median_ms(f"all {len(relu)} feature-map grids", lambda: feature_map_grid.render_layers(maps, relu))
    print_median_ms("occlusion, patch 8, stride 2", lambda: attribution.occlusion(network, weights, image[0], 3))


def print_median_ms(name: str, action: Callable[[], object], count: int = 50) -> None:
    """Print the median of `count` calls."""
    print_progress(f"measuring {name}, {count} times")
    seconds = []
    for _ in range(count):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    print(f"{name:32} {1000 * statistics.median(seconds):8.2f} ms")


def bench_page(options: BenchOptions) -> None:
    """What a person with a browser waits for, and what 500 selections leave behind in the server."""
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        chromium = os.environ.get("CNNLAB_CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        seconds = []
        for number in range(options.rounds):
            seconds.append(time_first_page(browser))
            print_progress(f"first page {number + 1} of {options.rounds}: {seconds[-1]:.2f} s")
        print(f"first page visible after {statistics.median(seconds):.2f} s (median of {len(seconds)})")
        with server() as (address, process):
            tab = browser.new_page(viewport={"width": 1280, "height": 900})
            tab.set_default_timeout(120_000)  # milliseconds; the machine may be busy
            clicks = [time_enlarge_click(tab, address, number) for number in range(20)]
            print(f"click to enlarged map: {1000 * statistics.median(clicks):.0f} ms (median of {len(clicks)})")
            print_memory_growth(tab, address, process.pid)


@contextlib.contextmanager
def server() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The app on a port of its own, as `streamlit run` starts it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.port", str(port)]
    command += ["--server.address", "127.0.0.1"]
    process = subprocess.Popen(command, cwd=settings.REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/_stcore/health")
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait()


def time_first_page(browser: Any) -> float:
    """Seconds from `streamlit run` to the heading of the first page in a browser that was open before."""
    tab = browser.new_page()
    started = time.perf_counter()
    with server() as (address, _):
        tab.goto(address)
        tab.get_by_role("heading").first.wait_for()
        seconds = time.perf_counter() - started
    tab.close()
    return seconds


def time_enlarge_click(tab: Any, address: str, number: int) -> float:
    """Seconds from a click on one square of conv1's wall to the heading of the enlarged map."""
    if number == 0:
        tab.goto(f"{address}/look_inside")
    wall = tab.locator(".st-key-wall-conv1 svg.marks")
    wall.wait_for()
    tab.wait_for_timeout(1000)
    box, (row, column) = wall.bounding_box(), divmod(number, 8)
    started = time.perf_counter()
    tab.mouse.click(box["x"] + (column + 0.4) * box["width"] / 8, box["y"] + (row + 0.4) * box["width"] / 8)
    tab.get_by_text(f"Map {number} of conv1").wait_for()
    return time.perf_counter() - started


WARM_UP, SELECTIONS = 50, 500  # the first fifty open every view once
LINK_INTERVAL = 10  # every tenth selection opens a link
VIEW_INTERVAL = 5  # every fifth shows the next view, the others the next image


def print_memory_growth(tab: Any, address: str, process: int) -> None:
    """Make different selections; print what the web process grew by after the first few."""
    from cnnlab.storage import runs

    chance = random.Random(0)
    known = [run for run in runs.list_runs() if run.snapshot_epochs() and run.experiment.dataset == "cifar10"]
    for made in range(WARM_UP):
        make_selection(tab, address, made, chance, known)
    before = process_memory_mb(process)
    print(f"after {WARM_UP} selections: {format_sizes(before, '.0f')}", flush=True)
    for made in range(WARM_UP, WARM_UP + SELECTIONS):
        make_selection(tab, address, made, chance, known)
        if made % 50 == 0:
            print_progress(f"selection {made} of {WARM_UP + SELECTIONS}")
    grown = {name: size - before[name] for name, size in process_memory_mb(process).items()}
    print(f"after {SELECTIONS} more: {format_sizes(grown, '+.0f')}")


def make_selection(tab: Any, address: str, made: int, chance: random.Random, known: list[Any]) -> None:
    """One selection; waits until the server is done with it. A link leads anywhere in any run, and is a new session."""
    views = tab.get_by_role("radiogroup", name="Look at").get_by_role("radio")
    if made % LINK_INTERVAL == 0:
        tab.goto(f"{address}/look_inside?{random_query(chance, chance.choice(known))}")
    if made % VIEW_INTERVAL == 0:
        views.first.wait_for()
        views.nth(made // VIEW_INTERVAL % views.count()).click()
    else:
        here = tab.url
        tab.locator(".st-key-inspect-image_controls-next button").first.click()
        tab.wait_for_url(lambda there: there != here)
    tab.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()


def random_query(chance: random.Random, run: Any) -> str:
    """The words of an address: an epoch, a layer, a map and an image."""
    words = {"run": run.name, "epoch": chance.choice(run.snapshot_epochs()), "image": f"sample-{chance.randrange(20)}"}
    words |= {
        "layer": f"conv{chance.randint(1, run.experiment.depth)}",
        "map": chance.randrange(run.experiment.filters),
    }
    return urllib.parse.urlencode(words)


def process_memory_mb(process: int) -> dict[str, float]:
    """What a process holds, in MB: what it wrote itself, what no other process shares, and all that is resident.

    The last two count the test images, a file that the process maps into memory: those pages belong to the system,
    which takes them back when it needs them.
    """
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {name: int(rest.split()[0]) / 1024 for name, _, rest in (line.partition(":") for line in lines)}
    unique = sizes["Private_Clean"] + sizes["Private_Dirty"]
    return {"private": sizes["Anonymous"], "private with mapped files (USS)": unique, "resident (RSS)": sizes["Rss"]}


def format_sizes(sizes: dict[str, float], form: str) -> str:
    """'private +9 MB, resident (RSS) +20 MB'."""
    return ", ".join(f"{name} {size:{form}} MB" for name, size in sizes.items())


def wait_for(address: str) -> None:
    """Return when this address answers; give up after a minute."""
    for _ in range(1200):
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return
        time.sleep(0.05)
    raise TimeoutError(f"{address} did not answer within a minute")
