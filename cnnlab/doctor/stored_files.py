"""Checks of what is on the disk: data sets, runs, free space."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from cnnlab import data, settings
from cnnlab.data import cifar10
from cnnlab.doctor.finding import FAIL, NOTE, OK, Finding
from cnnlab.operating_system import machine
from cnnlab.report_models import REPORT
from cnnlab.storage import run_damage, run_retention, runs

MIN_FREE_BYTES = 2e9  # for the runs of a class and SQLite
RUN_REMEDY = "train it again on the page Train, or remove it on the page Admin"


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
    message = f"{shipped} of the report's {len(REPORT)} networks in {settings.PRETRAINED}"
    if shipped == len(REPORT):
        yield Finding("pretrained", OK, message)
    else:
        yield Finding("pretrained", NOTE, message, "python -m cnnlab reproduce --publish")


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
        yield Finding("disk", FAIL, f"{home} cannot be written ({error.strerror})", "free space, or change its owner")
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
