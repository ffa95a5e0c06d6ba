"""What all tests share: a home of their own, and what to do where Chromium, Ray or the real CIFAR-10 is not at hand."""

import importlib.util
import os
import shutil
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from streamlit.components.v2 import manifest_scanner

if SIMULATED := os.environ.get("CNNLAB_SIMULATE"):  # before anything of the app: takes away what that system lacks
    import simulated_system  # noqa: F401

from fake_worker import DispatcherHarness
from ray_nodes import Nodes
from slow_marks import is_slow

from cnnlab import settings
from cnnlab.data import cifar10

ARCHIVE = os.environ.get("CNNLAB_TEST_ARCHIVE")
CHROMIUM = shutil.which(os.environ.get("CNNLAB_CHROMIUM") or "chromium")
PLAYWRIGHT = importlib.util.find_spec("playwright")
RAY = importlib.util.find_spec("ray")

LONGEST = ("ray", "test_trainer.py", "test_train_browser.py", "test_look_inside_browser.py", "test_dispatcher.py")
NEEDED = {  # marker: (whether it can run here, what to do about it)
    "browser": (bool(CHROMIUM and PLAYWRIGHT), "needs Chromium: apt-get install chromium, or set CNNLAB_CHROMIUM"),
    "ray": (bool(RAY), "needs Ray: pip install -r deploy/requirements-ray.txt"),
    "cifar": (bool(ARCHIVE), "needs CNNLAB_TEST_ARCHIVE, the real CIFAR-10"),
}
SYSTEMS = {  # marker: (whether this system, or the simulated one, has it, the reason where it has not)
    "linux": (hasattr(os, "sched_getaffinity"), "asks the kernel of Linux"),
    "posix": (hasattr(signal, "SIGKILL"), "needs signals, fork, links or limits that Windows lacks"),
}


def pytest_report_header() -> str:
    return f"simulated system: {SIMULATED or 'none'}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require", action="append", default=[], choices=list(NEEDED), help="fail if a test of this kind is skipped"
    )


def pytest_configure(config: pytest.Config) -> None:
    """With `-n 2` the tests of a file, or of the cluster, run in one process; the longest begin first."""
    if config.getoption("numprocesses", None):
        config.option.dist, config.option.loadscopereorder = "loadgroup", False


def process_group(item: pytest.Item) -> str:
    """The tests that run in one process: they share servers, trainings and the cluster."""
    return "ray" if item.get_closest_marker("ray") else item.path.name


def keep_on_every_change(item: pytest.Item) -> None:
    """Take the mark `nightly` off a test whose parameters it excepts."""
    mark = item.get_closest_marker("nightly")
    if mark is not None and hasattr(item, "callspec") and item.callspec.id in mark.kwargs.get("but", ()):
        item.own_markers.remove(mark)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            item.add_marker(pytest.mark.xdist_group(process_group(item)))
        items.sort(
            key=lambda item: LONGEST.index(process_group(item)) if process_group(item) in LONGEST else len(LONGEST)
        )
    for item in items:
        keep_on_every_change(item)
        if item.path.parent.name == "browser" or (isinstance(item, pytest.Function) and is_slow(item)):
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("nightly"):
            item.add_marker(pytest.mark.slow)
        for marker, (possible, reason) in NEEDED.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.slow)
                if not possible:
                    item.add_marker(pytest.mark.skip(reason=reason))
        for marker, (possible, reason) in SYSTEMS.items():
            if item.get_closest_marker(marker) and not possible:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """With `--require browser`, a browser test that was skipped for whatever reason has failed."""
    report = yield
    required = [name for name in item.config.getoption("--require") if item.get_closest_marker(name)]
    if report.skipped and required and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, where --require {required[0]} allows no skip: {report.longrepr[-1]}"
    return report


@pytest.fixture(autouse=True, scope="session")
def nobody_elses_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A test that names no home of its own gets this one, never that of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("CNNLAB_HOME", str(home))
        patch.setenv("CNNLAB_STANDBY_WORKERS", "0")  # five seconds of a core for each dispatcher
        yield home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without runs, shipped or trained."""
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setattr(settings, "PRETRAINED", tmp_path / "pretrained")
    return tmp_path


@pytest.fixture(autouse=True, scope="session")
def installed_components_are_looked_up_once() -> Iterator[None]:
    """Streamlit's tester reads the metadata of all packages for each AppTest, which takes longer than most pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(scope="session")
def home_with_cifar10(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the real CIFAR-10 is prepared, read only; for tests marked `cifar`."""
    if not ARCHIVE:
        pytest.skip(NEEDED["cifar"][1])
    home = tmp_path_factory.mktemp("cifar10")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_HOME", str(home))
        cifar10.prepare(ARCHIVE)
    return home


@pytest.fixture(scope="session")
def cluster() -> Iterator[Nodes]:
    """A Ray cluster of one machine with two processors, this one; for tests marked `ray`."""
    with Nodes() as nodes:
        yield nodes


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[DispatcherHarness]:
    """A home with a queue, whose dispatchers work on this machine, or (parameter "ray") on the cluster."""
    address = request.getfixturevalue("cluster").address if getattr(request, "param", "local") == "ray" else None
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setenv("CNNLAB_JOBS_PER_PERSON", "1000")  # the limits have tests of their own
    monkeypatch.setenv("CNNLAB_SUBMISSIONS_PER_MINUTE", "10000")
    monkeypatch.setenv("CNNLAB_EPOCHS", "500")
    made = DispatcherHarness(tmp_path, address)
    yield made
    made.end()
