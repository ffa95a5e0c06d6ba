"""Checks the installation and the running services: python -m cnnlab doctor

Prints one result per line: `ok`, `note` (works, with a restriction) or `FAIL` with the remedy. Whether Keras sees the
GPUs is checked in a subprocess, which takes some seconds; with `--exit-code`, for health checks, it is skipped, and the
exit status is 1 if a check fails, for example because no dispatcher runs.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from cnnlab import data, settings
from cnnlab.data import cifar10
from cnnlab.formatting import pluralize
from cnnlab.jobs import devices, dispatcher_process
from cnnlab.jobs.queue import Queue
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.operating_system import machine
from cnnlab.report_models import REPORT
from cnnlab.settings import SettingsError, subprocess_environment
from cnnlab.storage import process_lock, run_damage, run_retention, runs
from cnnlab.training_packages import TRAINING_PACKAGES, install_hint, missing_packages

OK, NOTE, FAIL = "ok", "note", "FAIL"
SECRETS = settings.APP_FILES / ".streamlit" / "secrets.toml"
AUTH_PACKAGES = ("authlib", "httpx")  # needed by Streamlit for an [auth] section
REQUIRED_PACKAGES = ("streamlit", "altair", "numpy", "pillow", "h5py")
MIN_FREE_BYTES = 2e9  # for the runs of a class and SQLite
STALE_SECONDS = 60.0  # the dispatcher writes a heartbeat every five seconds
KERAS_SECONDS = 120.0
RUN_REMEDY = "train it again on the page Train, or remove it on the page Admin"
KERAS_PROBE = """
import json, keras
print(json.dumps([keras.backend.backend(), keras.distribution.list_devices()]))
"""


@dataclass(frozen=True)
class Finding:
    """The result of one check: its subject, state (OK, NOTE or FAIL), message and remedy."""

    subject: str
    state: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.state:4}  {self.subject:<11} {self.message}{f' -> {self.remedy}' if self.remedy else ''}"


def run_checks(*, ask_keras: bool = True) -> Iterator[Finding]:
    """Run all checks, the slow one last."""
    yield from check_versions()
    yield from check_settings()
    yield from check_auth()
    yield from check_gpus()
    yield from check_data()
    yield from check_runs(thorough=ask_keras)
    yield from check_disk()
    yield from check_queue()
    yield from check_dispatcher()
    if ask_keras and not missing_packages():
        yield from check_keras()


def check_versions() -> Iterator[Finding]:
    """The versions of Python and of the required packages."""
    installed, missing = [f"Python {platform.python_version()}"], []
    for package in (*REQUIRED_PACKAGES, *TRAINING_PACKAGES):
        try:
            installed.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    yield Finding("versions", OK, ", ".join(installed))
    if required := [package for package in missing if package in REQUIRED_PACKAGES]:
        yield Finding("versions", FAIL, f"missing: {', '.join(required)}", "pip install -r requirements.txt")
    if hint := install_hint():
        message, _, remedy = hint.partition(": ")
        yield Finding("training", NOTE, f"{message}; everything else works", remedy)


def check_settings() -> Iterator[Finding]:
    """Whether the settings are valid, and whether a teacher is named."""
    try:
        current = settings.current()
    except SettingsError as error:
        yield Finding("settings", FAIL, str(error), "mend it; python -m cnnlab settings prints all")
        return
    yield Finding("settings", OK, f"home {settings.home()}; all of them: python -m cnnlab settings")
    if current.teacher and not current.teacher_key and not SECRETS.exists():
        remedy = "set CNNLAB_TEACHER_KEY, or let people sign in: deploy/README.md"
        yield Finding("teacher", NOTE, "named is an account, and nobody signs in here", remedy)
    if not current.teacher and not current.teacher_key:
        remedy = "set CNNLAB_TEACHER or CNNLAB_TEACHER_KEY"
        yield Finding("teacher", NOTE, "none is named, so nobody sees the Admin page", remedy)


def check_auth() -> Iterator[Finding]:
    """With an [auth] section, whether the packages that it needs are installed."""
    try:
        has_auth = "auth" in tomllib.loads(SECRETS.read_text())
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        yield Finding("sign-in", FAIL, f"{SECRETS} cannot be read ({error})", "mend it or remove it")
        return
    missing = [name for name in AUTH_PACKAGES if find_spec(name) is None]
    if has_auth and missing:
        remedy = "pip install -r deploy/requirements-auth.txt"
        yield Finding("sign-in", FAIL, f"[auth] needs {' and '.join(missing)}", remedy)
    elif has_auth:
        yield Finding("sign-in", OK, "people sign in with an account")


def check_gpus() -> Iterator[Finding]:
    """The GPUs that the driver lists, or the number of processor cores."""
    gpus = devices.list_gpus()
    for gpu in gpus:
        free = (gpu.memory_mib - gpu.used_mib) / 1024
        yield Finding("device", OK, f"{gpu.device}: {gpu.name}, {gpu.memory_mib / 1024:.0f} GiB, {free:.0f} GiB free")
    if not gpus:
        message = f"no NVIDIA GPU; trainings use {pluralize(len(machine.cores()), 'core')} of the processor"
        has_driver = shutil.which("nvidia-smi") is not None
        yield Finding("device", NOTE, message, "nvidia-smi finds none: look at the driver" if has_driver else "")


def check_data() -> Iterator[Finding]:
    """CIFAR-10, Shapes, own pictures, and the shipped runs."""
    status = cifar10.status()
    remedy = "" if status.ready else "python -m cnnlab data download, or data import PATH; Shapes needs neither"
    yield Finding("CIFAR-10", OK if status.ready else NOTE, status.message, remedy)
    if not data.is_dataset_available("shapes"):
        yield Finding("Shapes", FAIL, "its images cannot be drawn", "reinstall NumPy and Pillow")
    for folder in sorted(settings.data_dir().glob("own-*")):
        if data.is_dataset_available(folder.name):
            yield Finding("pictures", OK, f"{folder.name} is whole")
        else:
            remedy = "remove that folder, then python -m cnnlab data import FOLDER --name NAME"
            yield Finding("pictures", NOTE, f"{folder.name} is damaged", remedy)
    shipped = sum((settings.PRETRAINED / name / "experiment.json").exists() for name in REPORT)
    message, complete = (
        f"{shipped} of the report's {len(REPORT)} networks in {settings.PRETRAINED}",
        shipped == len(REPORT),
    )
    yield Finding(
        "pretrained", OK if complete else NOTE, message, "" if complete else "python -m cnnlab reproduce --publish"
    )


def check_runs(*, thorough: bool) -> Iterator[Finding]:
    """The damaged runs, and those of a newer version; `thorough` opens every file."""
    found = runs.list_runs()
    damaged = [(run, damages) for run in found if (damages := run.damages(thorough))]
    for run, damages in damaged:
        remedy = f"restore pretrained/{run.name} from the repository" if run.is_pretrained else RUN_REMEDY
        yield Finding("runs", NOTE, f"{run.name} is damaged: {run_damage.describe_damages(damages)}", remedy)
    for folder in (folders := runs.damaged_folders()):
        yield Finding("runs", NOTE, folder.damage, RUN_REMEDY)
    for run in found:
        if newer := run.newer_fields:
            yield Finding("runs", NOTE, f"{run.name} has fields of a newer version: {', '.join(newer)[:80]}")
    if not damaged and not folders:
        yield Finding("runs", OK, f"{len(found)} are whole{'' if thorough else ', as far as a quick look says'}")


def check_disk() -> Iterator[Finding]:
    """Whether the home is writable and on a local disk, the free space, and the size of the runs."""
    home = settings.home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / f".doctor.{os.getpid()}"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        yield Finding("disk", FAIL, f"{home} cannot be written ({error.strerror})", "free space, or mend its owner")
        return
    free, used = shutil.disk_usage(home).free, run_retention.total_bytes()
    state = OK if free > MIN_FREE_BYTES else FAIL
    message = f"{free / 1e9:.1f} GB free, runs take {used / 1e9:.2f} GB"
    yield Finding(
        "disk", state, message, "" if state == OK else f"keep {MIN_FREE_BYTES / 1e9:g} GB free: remove what is old"
    )
    if network := network_file_system_type(home):
        remedy = "move CNNLAB_HOME to a disk of this machine: SQLite's WAL does not work there"
        yield Finding("disk", FAIL, f"{home} is on {network}, a network file system", remedy)


def network_file_system_type(path: Path, mounts: Path = machine.MOUNTS) -> str | None:
    """The type of the network file system that contains `path`, or None for a local one."""
    try:
        lines = [line.split() for line in mounts.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return None
    absolute = path.resolve()
    mount_points = [(len(fields[1]), fields[2]) for fields in lines if absolute.is_relative_to(fields[1])]
    kind = max(mount_points)[1] if mount_points else ""
    return kind if kind.startswith(("nfs", "cifs", "smb", "lustre", "ceph", "fuse.sshfs", "gluster")) else None


def check_queue() -> Iterator[Finding]:
    """Whether the queue's file is intact, the numbers of jobs, and whether new ones are accepted."""
    try:
        with closing(Queue()) as queue:
            problem = queue.integrity_error()
            running, waiting, is_open = len(queue.running()), len(queue.waiting()), queue.is_accepting()
    except QueueError as error:
        yield Finding("queue", FAIL, str(error))
        return
    if problem:
        remedy = "stop web and dispatcher, move jobs.sqlite away, start them: no run is lost"
        yield Finding("queue", FAIL, f"{queue.path} is damaged: {problem}", remedy)
        return
    yield Finding("queue", OK, f"{running} running, {waiting} waiting")
    if not is_open:
        yield Finding("queue", NOTE, "no new trainings are taken", "the switch is on the Admin page")


def check_dispatcher() -> Iterator[Finding]:
    """Whether a dispatcher runs and writes its heartbeat."""
    if not dispatcher_process.is_running():
        remedy = "python -m cnnlab dispatch, or the service; the app starts one with the first training"
        yield Finding("dispatcher", FAIL, "none is at work", remedy)
        return
    owner, silent_seconds = (
        process_lock.lock_owner(dispatcher_process.lock_path()),
        dispatcher_process.seconds_since_heartbeat(),
    )
    name = f"process {owner.pid}" if owner else "a process that has just begun"
    if (
        silent_seconds is not None
        and silent_seconds > STALE_SECONDS
        and _age(dispatcher_process.lock_path()) > STALE_SECONDS
    ):
        yield Finding(
            "dispatcher", FAIL, f"{name} has done nothing for {silent_seconds:.0f} s", "restart it: no training is lost"
        )
    else:
        yield Finding("dispatcher", OK, f"{name} is at work")


def check_keras() -> Iterator[Finding]:
    """Backend and devices of Keras, determined in a subprocess."""
    variables = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        output = subprocess.run(
            [sys.executable, "-c", KERAS_PROBE],
            env=subprocess_environment() | variables,
            capture_output=True,
            text=True,
            timeout=KERAS_SECONDS,
            check=True,
        ).stdout
        backend, keras_devices = json.loads(output.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        yield Finding(
            "Keras", FAIL, f"cannot be imported ({type(error).__name__})", "python -c 'import keras' says why"
        )
        return
    yield Finding("Keras", OK, f"backend {backend} sees {', '.join(keras_devices)}")
    if devices.list_gpus() and not any("gpu" in name.lower() or "cuda" in name.lower() for name in keras_devices):
        remedy = "pip install 'tensorflow[and-cuda]', or use the GPU image in deploy/"
        yield Finding("Keras", FAIL, "the driver knows a GPU and Keras does not", remedy)


def print_report(exit_code: bool = False) -> int:
    """Run the checks and print each result; returns the exit status: 1 if `exit_code` is set and a check fails."""
    if not exit_code:
        print("Asking Keras takes some seconds; it is asked last.", file=sys.stderr)
    failed = False
    for finding in run_checks(ask_keras=not exit_code):
        print(finding, flush=True)
        failed |= finding.state == FAIL
    return int(failed and exit_code)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
