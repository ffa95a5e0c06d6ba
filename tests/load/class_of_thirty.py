"""A lesson: thirty browsers on one web server for five minutes, while one training runs.

    python tests/load/class_of_thirty.py [--minutes 5] [--no-training] [--viewers 10 20 30 60]

Ten watch a live run on Train and now and then look at another network, ten switch what Compare draws, ten click through
Look inside; each clicks again two to eight seconds after an answer, and every page polls as it does in a browser. The
browsers open their pages within ten seconds of each other, and only what is asked afterwards counts.

Targets: 95 of 100 requests of each kind are answered within a second; the web process stays under 600 MB and does not
grow in the last three minutes; no log tells of an error; nobody's page says that something went wrong.

`--no-training` is for a machine on which one training is at work already: the live run is then written by this script,
as a worker writes it. `--viewers` also measures one minute with each of these numbers of browsers.
"""

import argparse
import asyncio
import os
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from browser_protocol import Browser, NotAnswered
from load_report import Findings
from server import NO_DATA, Lab, cpu_seconds, fresh_lab, memory

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.storage import files, process_lock, runs
from cnnlab.storage.run_record import read_record

THINKING = (2.0, 8.0)  # seconds between an answer and the next click
WATCHING = (15.0, 40.0)  # seconds for which a live run is watched before another network is looked at
ARRIVAL_SECONDS = 10.0
SAMPLE_SECONDS = 10.0
LAST_SECONDS = 180.0  # in which memory has to be flat
MOST_SECONDS, MOST_MEGABYTES, MOST_GROWTH = 1.0, 600.0, 10.0
LIVE = Experiment(dataset="shapes", depth=3, regularizer="dropout", train_images=10_000, epochs=200)
ADDRESS = {"dataset": "shapes", "depth": 3, "regularizer": "dropout", "train_images": 10_000, "epochs": 200}
POLLS = {"every 1 s": "the live curves", "every 2 s": "the corner", "every 3 s": "has it begun?"}
ELSEWHERE = {"f_dataset": "CIFAR-10", "f_epochs": 30.0}
BACK = {"f_dataset": "Shapes", "f_epochs": 200.0, "f_regularizer": "dropout"}
SHIPPED = ("none", "dropout", "batch norm")  # regularizers of shipped networks with three convolutions

Person = Callable[[Browser, random.Random], Coroutine[None, None, None]]


async def watcher(browser: Browser, chance: random.Random) -> None:
    """Watches the live run; every half a minute looks at a shipped network and comes back."""
    await browser.open("", **ADDRESS)
    while True:
        await asyncio.sleep(chance.uniform(*WATCHING))
        await browser.fill("another network", **ELSEWHERE | {"f_regularizer": chance.choice(SHIPPED)})
        await asyncio.sleep(chance.uniform(*THINKING))
        await browser.fill("back to Shapes", **BACK)
        await browser.choose("f_train_images", 10_000.0, "back to the live run")


async def comparer(browser: Browser, chance: random.Random) -> None:
    """Switches which training accuracy is drawn, and chooses networks for the chart that has any of them."""
    await browser.open("compare")
    while True:
        await asyncio.sleep(chance.uniform(*THINKING))
        if chance.random() < 0.6:
            drawn = options(browser, "url.measure")
            await browser.choose("url.measure", chance.choice(drawn), "what is drawn")
        else:
            known = options(browser, "overlay runs cifar10")
            some = chance.sample(known, chance.randint(1, min(4, len(known))))
            await browser.choose("overlay runs cifar10", some, "networks in one chart")


async def looker(browser: Browser, chance: random.Random) -> None:
    """Another image, another map, another epoch, another view, another network."""
    await browser.open("look_inside")
    while True:
        await asyncio.sleep(chance.uniform(*THINKING))
        what = chance.choices(("image", "map", "epoch", "view", "network"), (4, 4, 2, 3, 1))[0]
        grid = browser.find("grid conv1")
        if what == "image" or (what == "map" and grid is None):
            await browser.press(f"inspect.image_controls.{chance.choice(('next', 'back'))}", "another image")
        elif what == "map":
            await browser.pick("grid conv1", chance.randrange(64), "a click on a map")
        elif what == "epoch":
            await browser.choose(
                "inspect.epoch_slider.epoch",
                chance.choice(options(browser, "inspect.epoch_slider.epoch")),
                "another epoch",
            )
        elif what == "view":
            first, *others = options(browser, "url.view")
            await browser.choose("url.view", first if grid is None else chance.choice(others), "another view")
        else:
            await browser.choose(
                "inspect.image_controls.run",
                chance.choice(options(browser, "inspect.image_controls.run")),
                "another network",
            )


def options(browser: Browser, name: str) -> list[str]:
    """What a widget offers."""
    widget = browser.find(name)
    if widget is None:
        raise LookupError(f"There is no {name} on the page. It says: {browser.texts}")
    return [getattr(option, "content", option) for option in widget.proto.options]


PAGES: tuple[tuple[str, Person], ...] = (("Train", watcher), ("Compare", comparer), ("Look inside", looker))


class Lesson:
    """So many browsers on one web server, and what was measured of them."""

    def __init__(self, lab: Lab, viewers: int, seed: int = 0) -> None:
        self.lab, self.viewers, self.seed = lab, viewers, seed
        self.epochs = 0  # of the live run, at the end
        self.seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.memory: list[tuple[float, float, float]] = []  # seconds of the lesson, resident and private MB
        self.trouble: list[str] = []
        self.browsers: list[Browser] = []
        self.web_share = self.own_share = self.kilobytes = 0.0

    async def run(self, seconds: float) -> None:
        """Everybody arrives, then `seconds` are measured."""
        people = [asyncio.create_task(self.person(number)) for number in range(self.viewers)]
        await asyncio.sleep(ARRIVAL_SECONDS + 5)
        openings = {kind: values for kind, values in self.seconds.items() if kind[1] == "opening"}
        self.seconds.clear()
        self.seconds.update(openings)
        await self.measure(seconds)
        for person in people:
            person.cancel()
        await asyncio.gather(*people, return_exceptions=True)
        for browser in self.browsers:
            await browser.close()

    async def person(self, number: int) -> None:
        """One of the class, on one of the three pages."""
        chance = random.Random(self.seed * 1000 + number)
        page, act = PAGES[number % len(PAGES)]

        def note(what: str, seconds: float) -> None:
            self.seconds[page, POLLS.get(what, what)].append(seconds)

        browser = Browser(self.lab.url, note)
        self.browsers.append(browser)
        await asyncio.sleep(chance.uniform(0, ARRIVAL_SECONDS))
        try:
            await act(browser, chance)
        except (NotAnswered, LookupError, OSError) as error:
            self.trouble.append(f"{page}: {error}")

    async def measure(self, seconds: float) -> None:
        """Memory every ten seconds, the processor's time over all of them."""
        web, started = self.lab.web.pid, time.monotonic()
        before = cpu_seconds(web), cpu_seconds(os.getpid()), sum(browser.bytes for browser in self.browsers)
        while (passed := time.monotonic() - started) < seconds:
            self.memory.append((passed, *memory(web)))
            told = "{:4.0f} s: {:.0f} MB resident, {:.0f} MB private".format(*self.memory[-1])
            print(f"{told}, load {os.getloadavg()[0]:.1f}", flush=True)
            self.trouble += [
                f"{browser.path or 'train'}: {text}" for browser in self.browsers for text in browser.texts
            ]
            await asyncio.sleep(min(SAMPLE_SECONDS, seconds - passed))
        self.web_share = (cpu_seconds(web) - before[0]) / passed
        self.own_share = (cpu_seconds(os.getpid()) - before[1]) / passed
        self.kilobytes = (sum(browser.bytes for browser in self.browsers) - before[2]) / passed / 1000

    def kind(self, page: str) -> list[float]:
        """All seconds of a page but its openings, sorted."""
        return sorted(
            one
            for (where, what), values in self.seconds.items()
            if where == page and what != "opening"
            for one in values
        )

    def a_request(self) -> float:
        """Milliseconds of the web process's time for each request, polls and all."""
        answered = sum(len(self.kind(page)) for page, _ in PAGES)
        return 1000 * self.web_share * self.memory[-1][0] / max(1, answered)

    def growth(self) -> tuple[float, float]:
        """MB that resident and private memory grew by in the last three minutes: a line through the samples."""
        last = [sample for sample in self.memory if sample[0] >= self.memory[-1][0] - LAST_SECONDS]
        if len(last) < 3:
            return 0.0, 0.0
        slopes = [
            statistics.linear_regression(*zip(*((s[0], s[which]) for s in last), strict=True)) for which in (1, 2)
        ]
        return slopes[0].slope * LAST_SECONDS, slopes[1].slope * LAST_SECONDS


def percentile(values: list[float], share: float) -> float:
    """The value that this share of the sorted values does not exceed."""
    return values[min(len(values) - 1, int(share * len(values)))]


def told(values: list[float]) -> str:
    """'p50 31 ms, p95 120 ms, max 310 ms (n=1200)'."""
    p50, p95, most = (1000 * value for value in (percentile(values, 0.5), percentile(values, 0.95), values[-1]))
    return f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, max {most:.0f} ms (n={len(values)})"


@contextmanager
def written_by_hand(experiment: Experiment) -> Iterator[None]:
    """A live run without a training: this process holds its lock. `keep_writing` is its worker."""
    path = settings.runs_dir() / experiment.key
    lock = process_lock.acquire(path / "lock")
    if lock is None:
        raise RuntimeError(f"{path} is being trained already.")
    with lock:
        files.write_bytes(path / "experiment.json", experiment.to_json().encode())
        files.write_json(path / "record.json", {"state": "running", "epochs_done": 0})
        yield


async def keep_writing(experiment: Experiment) -> None:
    """Write what a worker writes: where it is twice a second, an epoch every five."""
    path, rows = settings.runs_dir() / experiment.key, []
    for moment in range(10 * experiment.epochs):
        epoch, batch = divmod(moment, 10)
        if batch == 0:
            figures = dict.fromkeys(runs.HISTORY_COLUMNS[1:], 0.9 - 0.8 / (1 + epoch / 10))
            rows.append({"epoch": epoch, **figures})
            runs.write_history(path / "history.csv", rows)
            files.write_json(path / "record.json", {"state": "running", "epochs_done": epoch, "final": rows[-1]})
        place = {"epoch": epoch + 1, "epochs": experiment.epochs, "batch": 15 * batch + 1, "batches": 157}
        figures = {"accuracy": 0.5, "loss": 1.0, "seconds_left": 5.0 * (experiment.epochs - epoch)}
        files.write_json(path / "progress.json", {"phase": "training", "updated": time.time(), **place, **figures})
        await asyncio.sleep(0.5)


async def start_training(lab: Lab) -> None:
    """The first of the class presses the button, and waits until the curves are there."""
    browser = Browser(lab.url)
    await browser.open("", **ADDRESS)
    await browser.press("Train it", "the training")
    history = settings.runs_dir() / LIVE.key / "history.csv"
    for _ in range(600):
        if history.exists():
            break
        await asyncio.sleep(0.2)
    else:
        raise RuntimeError(f"The training did not begin within two minutes: {browser.texts} {lab.complaints()}")
    await browser.close()


async def lesson(lab: Lab, viewers: int, seconds: float, training: bool) -> Lesson:
    """One lesson from its first browser to its last."""
    writing = None if training else asyncio.create_task(keep_writing(LIVE))
    if training:
        await start_training(lab)
    held = Lesson(lab, viewers)
    await held.run(seconds)
    held.epochs = read_record(settings.runs_dir() / LIVE.key).epochs_done
    if training and not lab.workers():
        held.trouble.append("the training has ended before the lesson")
    if writing:
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
    return held


def hold(viewers: int, seconds: float, options: argparse.Namespace) -> tuple[Lesson, list[str]]:
    """A lesson in a lab of its own, and what its logs complain about."""
    with fresh_lab(options.data) as lab:
        lab.start_web()
        if options.no_training:
            with written_by_hand(LIVE):
                held = asyncio.run(lesson(lab, viewers, seconds, training=False))
        else:
            held = asyncio.run(lesson(lab, viewers, seconds, training=True))
        return held, lab.complaints()


def describe(held: Lesson, complaints: list[str], live: str) -> int:
    """The table of the long lesson; `live` says where its live run came from."""
    lasted = f"{held.viewers} browsers for {held.memory[-1][0] / 60:.1f} min"
    found = Findings(f"{lasted}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end")
    found.tell("the live run", f"{live}, {held.epochs} epochs by the end")
    for (page, what), values in sorted(held.seconds.items()):
        values.sort()
        target = "" if what == "opening" else f"p95 under {MOST_SECONDS:.0f} s"
        found.tell(f"{page}: {what}", told(values), target, percentile(values, 0.95) < MOST_SECONDS)
    for page, _ in PAGES:
        found.tell(f"**{page}**, all but opening", told(held.kind(page)))
    resident, private = held.growth()
    most = max(sample[1] for sample in held.memory)
    found.tell(
        "web process, resident", f"at most {most:.0f} MB", f"under {MOST_MEGABYTES:.0f} MB", most < MOST_MEGABYTES
    )
    growth = f"{resident:+.1f} MB (private {private:+.1f} MB)"
    target = f"less than {MOST_GROWTH:.0f} MB" if held.memory[-1][0] > LAST_SECONDS else ""
    found.tell("its growth in 3 min, at the end", growth, target, max(resident, private) < MOST_GROWTH)
    found.tell(
        "processor",
        f"web {held.web_share:.0%} of a core, {held.a_request():.1f} ms a request; the browsers {held.own_share:.0%}",
    )
    found.tell("sent to the browsers", f"{held.kilobytes:.0f} kB/s")
    found.tell("lines of the logs with an error", len(complaints), "none", not complaints)
    found.tell("pages that say something is wrong", len(held.trouble), "none", not held.trouble)
    for line in (complaints + sorted(set(held.trouble)))[:20]:
        print("   ", line[:200])
    return found.close()


def main() -> int:
    """Measure, print, exit."""
    default_data = settings.data_dir() if (settings.data_dir() / "cifar10").is_dir() else NO_DATA
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0, help="length of the lesson; 0 leaves it out")
    parser.add_argument("--no-training", action="store_true", help="one is at work on this machine already")
    parser.add_argument("--viewers", type=int, nargs="*", default=[], help="also a minute with so many browsers")
    parser.add_argument("--data", type=Path, default=default_data, help="a folder of prepared data sets")
    options = parser.parse_args()
    live = "written by this script" if options.no_training else "trained by a worker"
    code = describe(*hold(30, 60 * options.minutes, options), live) if options.minutes else 0
    if options.viewers:
        found = Findings("viewers per web process, a minute each")
        for viewers in options.viewers:
            held, complaints = hold(viewers, 60.0, options)
            pages = [f"{page} {1000 * percentile(held.kind(page), 0.95):.0f} ms" for page, _ in PAGES]
            share = f"web {held.web_share:.0%} of a core, {held.memory[-1][1]:.0f} MB"
            found.tell(f"{viewers}", f"p95: {', '.join(pages)}; {share}; errors {len(complaints) + len(held.trouble)}")
        found.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
