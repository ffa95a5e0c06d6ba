"""A home with a queue and real dispatchers, and a fake of `train` with its lock, files, signals and exit codes."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.jobs.dispatcher_process import lock_path
from cnnlab.jobs.job import Job
from cnnlab.jobs.queue import Queue
from cnnlab.operating_system import processes
from cnnlab.storage import files, process_lock

# Writes one number an epoch. plan.json in the run directory may say how long an epoch takes (seconds), at which epochs
# it kills itself, once each (die), after which one it waits for the file "go" (hold), that it ignores SIGTERM
# (ignore_sigterm), or that it fails: always (fail, crash) or at its first start (first).
FAKE_WORKER = """
import json, os, sys, time
from pathlib import Path
from cnnlab.operating_system import processes
from cnnlab.storage import stop_request
from cnnlab.storage.process_lock import acquire

folder, epochs = Path(sys.argv[1]), int(sys.argv[2])
lock = acquire(folder / "lock", timeout=0)
if lock is None:
    sys.exit("two workers at one run")
read = lambda name, default: json.loads((folder / name).read_text()) if (folder / name).exists() else default
def write(name, value):
    (folder / "part").write_text(json.dumps(value))
    (folder / "part").replace(folder / name)
plan = read("plan.json", {})
asked = []
listening = stop_request.listen(folder, lambda: asked.append(1))
listening.__enter__()
with (folder / "starts").open("a") as starts:
    starts.write(f"{os.getpid()}\\n")
(folder / "gpus").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "none is named"))
write("record.json", {"state": "running"})
if "fail" in plan:
    write("record.json", {"state": "failed", "reason": plan["fail"]})
    sys.exit(1)
if "crash" in plan:
    sys.exit(plan["crash"])
if "first" in plan and len((folder / "starts").read_text().split()) == 1:
    sys.exit(plan["first"])
history = read("history.json", [])
while len(history) < epochs:
    time.sleep(plan.get("seconds", 0.05))
    if asked and not plan.get("ignore_sigterm"):
        write("record.json", {"state": "stopped"})
        sys.exit(3)
    if len(history) == plan.get("hold") and not (folder / "go").exists():
        continue
    history.append(len(history) + 1)
    if len(history) in plan.get("die", []) and not (folder / f"died{len(history)}").exists():
        (folder / f"died{len(history)}").touch()
        processes.kill(os.getpid())
    write("history.json", history)
write("record.json", {"state": "done"})
"""

DISPATCH = """
import json, logging, sys
from cnnlab.jobs import dispatcher_service, slot
from cnnlab.jobs.local_runner import LocalRunner
from cnnlab.jobs.runner import run_directory
logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
asked = json.loads(sys.argv[1])
worker, address = asked["worker"], asked["address"]
command = None
if worker != "train":
    command = lambda job: [sys.executable, worker, str(run_directory(job)), str(job.experiment.epochs)]
if asked["grace"]:
    slot.GRACE_SECONDS = asked["grace"]
if address:
    from cnnlab.jobs.ray.runner import RayRunner
    runner = RayRunner(address, asked["per_gpu"], command)
else:
    runner = LocalRunner(command)
sys.exit(dispatcher_service.dispatch(slots=asked["slots"], idle=asked["idle"], runner=runner))
"""


class DispatcherHarness:
    """One home, its queue, and dispatchers whose workers are fakes."""

    def __init__(self, home: Path, address: str | None = None) -> None:
        self.home, self.queue = home, Queue()
        self.address = address  # of the Ray cluster that its dispatchers use; None: this machine
        self.processes: list[subprocess.Popen[bytes]] = []
        (home / "worker.py").write_text(FAKE_WORKER)
        (home / "dispatch.py").write_text(DISPATCH)

    def dispatcher(
        self,
        slots: int | None = 1,
        idle: float | None = None,
        worker: str = "worker.py",
        grace: float | None = None,
        per_gpu: int = 1,
    ) -> subprocess.Popen[bytes]:
        worker = worker if worker == "train" else str(self.home / worker)
        asked = {"worker": worker, "address": self.address, "slots": slots, "idle": idle, "grace": grace}
        command = [sys.executable, str(self.home / "dispatch.py"), json.dumps(asked | {"per_gpu": per_gpu})]
        environment = os.environ | {"PYTHONPATH": str(settings.REPOSITORY)}
        with (self.home / "log").open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def ask(self, seed: int, epochs: int = 5, person: str = "ada", **plan: object) -> Job:
        experiment = Experiment(dataset="shapes", seed=seed, epochs=epochs)
        folder = settings.runs_dir() / experiment.key
        files.write_json(folder / "plan.json", plan)
        return self.queue.submit(experiment, person)

    def read(self, job: Job, name: str) -> str:
        path = settings.runs_dir() / job.key / name
        return path.read_text() if path.exists() else ""

    def waits(self, job: Job) -> bool:
        """Whether the job's worker has reached the epoch after which it waits."""
        hold = json.loads(self.read(job, "plan.json"))["hold"]
        return json.loads(self.read(job, "history.json") or "[]") == list(range(1, hold + 1))

    def let_go(self, *jobs: Job) -> None:
        for job in jobs:
            (settings.runs_dir() / job.key / "go").touch()

    def starts(self, job: Job) -> list[int]:
        return [int(pid) for pid in self.read(job, "starts").split()]

    def has_whole_history(self, job: Job) -> bool:
        return json.loads(self.read(job, "history.json") or "[]") == list(range(1, job.experiment.epochs + 1))

    def end(self) -> None:
        """End every process that was started here."""
        for process in self.processes:
            process.kill()
            process.wait()
        for lock in [lock_path(), *settings.runs_dir().glob("*/lock")]:
            if holder := process_lock.lock_owner(lock):
                processes.kill(holder.pid)

    def ends(self, *jobs: Job, seconds: float = 90) -> list[str]:
        wait_for(lambda: all(self.queue.get(job.id).is_finished for job in jobs), seconds, self.log)
        return [self.queue.get(job.id).state for job in jobs]

    def log(self) -> str:
        return (self.home / "log").read_text() if (self.home / "log").exists() else ""


def wait_for(condition: Callable[[], object], seconds: float = 60, tell: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds} s in vain. {tell()}")
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and was not waited for does not."""
    is_windows = shutil.which("ps") is None
    command = ["tasklist", "/FI", f"PID eq {pid}"] if is_windows else ["ps", "-o", "stat=", "-p", str(pid)]
    told = subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()
    return str(pid) in told if is_windows else bool(told) and not told.startswith("Z")
