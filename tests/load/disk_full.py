"""The disk runs full under a training: it fails with the reason, everything else stays, and with room it goes on.

    python tests/load/disk_full.py        (as root: it mounts a small tmpfs)

Twice: with the whole home on a small disk, the queue's file too, and with the runs alone on it. One training is done;
a second one is at its fifth epoch when a file takes all the room that is left. Then the file goes away, and a person
presses Continue.

Targets: the job fails with a reason that names the disk; the first run and the queue are whole; while the disk is full
a request is taken or refused with a sentence; afterwards the training goes on from the epoch that it had kept, and its
history equals that of an undisturbed one to the last digit.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from load_report import Findings
from server import Lab, fresh_lab, undisturbed

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.jobs.job import DONE, FAILED
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.storage.run_record import read_record

MEGABYTES = 24
BEFORE = 5  # epochs that are kept when the disk runs full
PATIENCE = 120.0
FINISHED = Experiment(dataset="shapes", filters=8, dense=16, train_images=200, epochs=2)
LONG = Experiment(dataset="shapes", regularizer="dropout", filters=8, dense=16, train_images=1000, epochs=40, batch=16)
THIRD = Experiment(dataset="shapes", filters=8, dense=16, train_images=200, epochs=2, seed=3)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of its own for this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take all the room that is left."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    return ballast


def fingerprint(folder: Path) -> str:
    """One number for all files of a run."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


def wait(happened: Callable[[], object], seconds: float = PATIENCE) -> bool:
    """Whether it happened in time."""
    give_up = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.1)
    return True


def folder(one: Experiment) -> Path:
    """Its run directory."""
    return settings.runs_dir() / one.key


def epochs_done(one: Experiment) -> int:
    """How far the run has come."""
    return read_record(folder(one)).epochs_done


def state(lab: Lab, one: Experiment) -> str:
    """Of the experiment's last job; nothing where the queue cannot be read."""
    try:
        job = lab.queue.for_key(one.key)
    except QueueError:
        return ""
    return job.state if job else ""


def ask_while_full(lab: Lab) -> str:
    """What somebody is told who asks for a training now."""
    try:
        lab.queue.submit(THIRD, "grace")
    except (QueueError, QuotaExceeded) as no:
        return str(no)
    except Exception as error:
        return f"ERROR {error!r}"
    return "taken"


def run_full(found: Findings, lab: Lab, disk: Path, where: str) -> None:
    """One training done, one at work, no room, room again."""
    lab.start_dispatcher()
    lab.queue.submit(FINISHED, "ada")
    first = wait(lambda: state(lab, FINISHED) == DONE)
    before = fingerprint(folder(FINISHED))
    lab.queue.submit(LONG, "ada")
    began = wait(lambda: epochs_done(LONG) >= BEFORE)
    found.tell(f"{where}: one done, one at epoch {BEFORE}", "yes" if first and began else "no", "yes", first and began)
    ballast = fill(disk)
    failed = wait(lambda: state(lab, LONG) == FAILED, 30)
    said = ask_while_full(lab)
    told = "said while it was full" if failed else "said once there was room"
    found.tell(f"{where}: asked for a training while it was full", said, "a sentence", not said.startswith("ERROR"))
    kept = epochs_done(LONG)
    ballast.unlink()
    failed = wait(lambda: state(lab, LONG) in (FAILED, DONE))
    job = lab.queue.for_key(LONG.key)
    reason = (job.reason or "") if job else ""
    named = "space" in reason or "disk" in reason
    found.tell(f"{where}: the job", f"{job.state if job else ''}: {reason} ({told})", "failed, names the disk", named)
    integrity = lab.integrity()
    found.tell(f"{where}: PRAGMA integrity_check", integrity, "ok", integrity == "ok")
    same = fingerprint(folder(FINISHED)) == before
    found.tell(f"{where}: the run that was done", "untouched" if same else "changed", "untouched", same)
    go_on(found, lab, where, kept)


def go_on(found: Findings, lab: Lab, where: str, kept: int) -> None:
    """A person presses Continue."""
    lab.queue.submit(LONG, "ada")
    seen: list[int] = []

    def is_over() -> bool:
        seen.append(epochs_done(LONG))
        return state(lab, LONG) == DONE

    done, least = wait(is_over), min(seen)
    told = f"{'done' if done else 'not done'}, from epoch {least}; {kept} were kept"
    found.tell(f"{where}: with room again", told, "done, nothing trained twice", done and least >= kept >= BEFORE)
    same = done and (folder(LONG) / "history.csv").read_bytes() == undisturbed(LONG)
    found.tell(f"{where}: its history", "equal" if same else "another", "equal to the undisturbed", same)


def main() -> int:
    """Both disks, one table."""
    if os.geteuid() != 0:
        sys.exit("This measurement mounts a small disk, which only root may do: run it as root, or leave it out.")
    found = Findings(f"a disk of {MEGABYTES} MB that runs full")
    for where in ("home", "runs"):
        with fresh_lab() as lab, small_disk(lab.home if where == "home" else settings.runs_dir()) as disk:
            try:
                run_full(found, lab, disk, where)
            finally:
                lab.close()  # before its disk goes away
    return found.close()


if __name__ == "__main__":
    sys.exit(main())
