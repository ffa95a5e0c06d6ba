"""A pipe or a device in the place of any file of the home: whoever reads it gets one sentence, and nobody waits."""

import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from run_factories import write_run

from cnnlab import settings
from cnnlab.data import DatasetMissing, array_store, cifar10, download, own_pictures
from cnnlab.experiment import Experiment
from cnnlab.jobs import (
    dispatcher_process,
    network_uploads,
    probe_job,
    thread_measurement,
    top_activations_file,
    worker_outcome,
)
from cnnlab.jobs.queue import Queue
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.lessons import sheet_files
from cnnlab.lessons.lesson_file import LessonFile
from cnnlab.lessons.lesson_schema import LessonError
from cnnlab.operating_system import file_operations
from cnnlab.settings import SettingsError
from cnnlab.storage import (
    background_process,
    epoch_times,
    files,
    imported_networks,
    presence_files,
    process_lock,
    runs,
    signing_key,
    sweep_files,
    uploads,
)
from cnnlab.storage.run import DamagedRun, UnknownRun
from cnnlab.storage.uploads import UnknownUpload
from cnnlab.sweeps import SHIPPED_SWEEPS

SENTENCES = (
    *(DamagedRun, DatasetMissing, LessonError, QueueError, SettingsError, UnknownRun, UnknownUpload),
    array_store.ArrayStoreError,
)
LONGEST_SECONDS = 20.0  # for what takes milliseconds
ENDLESS = "/dev/ptmx"  # whoever reads this device waits; one who reads /dev/zero fills the memory
PICTURES = "own-0123456789ab-leaves"
PHOTO = np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)

pytestmark = pytest.mark.posix


@pytest.fixture(scope="module")
def whole_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with every kind of file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_HOME", str(home := tmp_path_factory.mktemp("home")))
        experiment = Experiment(dataset="shapes", epochs=2, filters=4, dense=8)
        run = write_run(settings.runs_dir() / experiment.key, experiment)
        for name in ("predictions.npz", "top.npz", "probes.npz", "model.keras", "checkpoint.npz"):
            files.write_npz(run.path / name, {"some": np.zeros(3)})
        for name in ("progress.json", "top.json", "probe.json", "probes.json", "reestimated.json", "batchnorm.json"):
            files.write_json(run.path / name, {})
        for name in ("lock", "top.lock", "probe.lock", "worker.log"):
            (run.path / name).write_text("nobody\n")
        network = network_uploads.import_file(settings.PRETRAINED / "2conv-none" / "model.keras", "mine")
        files.write_npz(network.path / "predictions.npz", {"some": np.zeros(3)})
        files.write_json(network.path / "test.json", {"state": "done"})
        (network.path / "test.lock").touch()
        arrays = dict(zip(array_store.ARRAY_NAMES, (PHOTO[None], np.zeros(1, np.uint8)) * 2, strict=True))
        described = {"classes": ["oak", "elm"], "image_counts": "1/0/1"}
        array_store.write(cifar10.directory(), arrays, {})
        array_store.write(settings.data_dir() / PICTURES, arrays, described)
        uploads.save_upload(PHOTO)
        sweep_files.add_request(next(iter(SHIPPED_SWEEPS.values())), sweep_files.new_request("ann"))
        files.write_json(home / "presence" / "0123456789abcdef.json", {"tabs": 1, "views": []})
        files.write_json(epoch_times.measured_path(), {})
        files.write_json(thread_measurement.path(), {})
        files.write_json(home / "download.json", {"state": "done"})
        files.write_json(home / "settings.json", {})
        files.write_bytes(home / "lessons" / "mine.yaml", (sheet_files.SHIPPED / "taster.yaml").read_bytes())
        Queue().waiting()
        with LessonFile().reading():
            signing_key.signing_key()
        for name in ("dispatcher.lock", "dispatcher.log", "standby.log", "download.lock"):
            (home / name).touch()
        yield home
        signing_key._keys.clear()


def read_lessons() -> None:
    with LessonFile().reading():
        pass


def read_array_files() -> None:
    for folder in settings.data_dir().iterdir():
        if folder.is_dir():
            array_store.read(folder)


def of_the_run(read: Callable[[runs.Run], object]) -> Callable[[], None]:
    """A function that reads something of every run of the home."""

    def read_all() -> None:
        for run in runs.list_runs():
            if not run.is_pretrained:
                read(run)

    return read_all


def of_the_network(read: Callable[[imported_networks.ImportedNetwork], object]) -> Callable[[], None]:
    """A function that reads something of every imported network."""
    return lambda: [read(one) for one in imported_networks.list_imported()] and None


READERS: dict[str, Callable[[], object]] = {
    "settings": settings.current,
    "settings table": settings.settings_table,
    "key": signing_key.signing_key,
    "queue": lambda: Queue().waiting(),
    "lessons": read_lessons,
    "photo": lambda: [uploads.load_upload(path.stem) for path in uploads.directory().iterdir()],
    "sheets": sheet_files.list_sheets,
    "arrays": read_array_files,
    "CIFAR-10": cifar10.status,
    "own pictures": lambda: own_pictures.load(PICTURES),
    "list of own pictures": own_pictures.list_datasets,
    "own networks": imported_networks.list_imported,
    "weights of an own network": of_the_network(lambda one: one.weights()),
    "predictions of an own network": of_the_network(lambda one: one.predictions()),
    "test of an own network": of_the_network(network_uploads.test_status),
    "runs": runs.list_runs,
    "damaged runs": runs.damaged_folders,
    "history": of_the_run(lambda run: run.history()),
    "re-estimated history": of_the_run(lambda run: run.reestimated_history()),
    "weights": of_the_run(lambda run: run.weights(1)),
    "last weights": of_the_run(lambda run: run.weights(2)),
    "predictions": of_the_run(lambda run: run.predictions()),
    "damages": of_the_run(lambda run: run.damages(thorough=True)),
    "progress": of_the_run(lambda run: (run.is_live, run.state, run.progress())),
    "log": of_the_run(lambda run: worker_outcome.last_line(run.path / "worker.log")),
    "owner of a lock": of_the_run(lambda run: process_lock.lock_owner(run.path / "lock")),
    "top images": of_the_run(
        lambda run: (top_activations_file.load(run), top_activations_file.COMPUTATION.status(run))
    ),
    "probes": of_the_run(lambda run: (probe_job.load(run), probe_job.COMPUTATION.status(run))),
    "sweeps": lambda: (sweep_files.list_sweeps(), sweep_files.requested_sweeps()),
    "requests for a sweep": lambda: [sweep_files.read_requests(one) for one in SHIPPED_SWEEPS.values()],
    "presence": presence_files.read_others,
    "epoch times": epoch_times.load_epoch_times,
    "threads": thread_measurement.best_thread_count,
    "download": download.download_status,
    "dispatcher": lambda: (dispatcher_process.is_running(), dispatcher_process.seconds_since_heartbeat()),
}


def read_everything() -> None:
    """Call every reader; what it raises must be one sentence."""
    for name, read in READERS.items():
        said = ""
        try:
            read()
        except SENTENCES as sentence:
            said = str(sentence)
        except Exception as error:
            raise AssertionError(f"The reader of {name} raises {error!r}.") from error
        assert "\n" not in said, name


def without_waiting(action: Callable[[], object], pipe: Path) -> None:
    """Call `action` in a thread that must end; a reader that waits for `pipe` is released and the test fails."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            action()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(LONGEST_SECONDS)
    waits = "".join(f"{code.f_code.co_name} " for code in [sys._current_frames().get(thread.ident or 0)] if code)
    for _ in range(100 if waits else 0):  # whoever waits for a pipe ends; for a device, with the tests
        for flags in (os.O_WRONLY, os.O_RDONLY):
            with suppress(OSError):
                os.close(os.open(pipe, flags | os.O_NONBLOCK))
        thread.join(0.01)
    assert not waits, f"somebody waits for {pipe.name} in {waits}"
    if raised:
        raise raised[0]


@pytest.fixture
def home(whole_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNLAB_HOME", str(whole_home))
    return whole_home


def test_every_reader_reads_a_whole_home(home: Path) -> None:
    assert len([path for path in home.rglob("*") if path.is_file()]) > 40
    read_everything()


@pytest.mark.slow
@pytest.mark.nightly(but=["pipe"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_device_in_place_of_any_file_of_the_home_stops_nobody(home: Path, kind: str) -> None:
    for path in sorted(path for path in home.rglob("*") if path.is_file() and not path.is_symlink()):
        aside = path.with_name("aside")
        with suppress(FileNotFoundError):  # what SQLite keeps beside its files goes with the last connection
            path.rename(aside)
        os.mkfifo(path) if kind == "pipe" else path.symlink_to(ENDLESS)
        signing_key._keys.clear()
        try:
            without_waiting(read_everything, path)
        finally:
            path.unlink(missing_ok=True)
            if aside.exists():
                aside.rename(path)


def test_nobody_waits_who_writes_a_log_or_takes_a_lock_where_a_pipe_is(home: Path, tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")

    def write_log() -> None:
        with file_operations.open_log(pipe) as file:
            file.write(b"nobody reads this")
        process = background_process.start_detached([sys.executable, "-c", "print(1)"], log=pipe)
        assert process.wait(LONGEST_SECONDS) == 0

    def take_lock() -> None:
        with pytest.raises(OSError, match="no regular file") as caught:
            process_lock.acquire(pipe)
        assert caught.value.errno == errno.EINVAL

    without_waiting(write_log, pipe)
    without_waiting(take_lock, pipe)


def test_arrays_of_a_wrong_kind_are_damaged_data(tmp_path: Path) -> None:
    images, labels = np.zeros((3, 32, 32, 3), np.uint8), np.zeros(3, np.uint8)
    whole = dict(zip(array_store.ARRAY_NAMES, (images, labels) * 2, strict=True))
    array_store.write(tmp_path / "data", whole, {})
    for name in array_store.ARRAY_NAMES:
        path = tmp_path / "data" / f"{name}.npy"
        content = path.read_bytes()
        for wrong in (np.array(3, np.uint8), np.zeros(0, np.uint8), np.zeros((3, 3), np.uint8), np.zeros(3)):
            np.save(path, wrong)
            with pytest.raises(array_store.ArrayStoreError):
                array_store.read(tmp_path / "data")
        np.savez(path.with_suffix(".npz"), wrong)
        path.with_suffix(".npz").replace(path)
        with pytest.raises(array_store.ArrayStoreError):
            array_store.read(tmp_path / "data")
        path.write_bytes(content)
    assert len(array_store.read(tmp_path / "data")[0]) == 4
