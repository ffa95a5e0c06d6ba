"""A lab of its own for a measurement: a fresh home, the web server as the README starts it, and whoever that starts.

The scripts in this folder are run by hand (`python tests/load/class_of_thirty.py`), each says what it measures and ends
with 1 where a target is missed. They import this module before anything of `cnnlab`, which it brings within reach.
"""

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests"), str(REPOSITORY / "tests" / "browser")]

from chrome import answers, end_whoever_holds, wait_until  # noqa: E402
from free_ports import free_port  # noqa: E402

from cnnlab import settings  # noqa: E402
from cnnlab.experiment import Experiment  # noqa: E402
from cnnlab.jobs.queue import Queue  # noqa: E402
from cnnlab.jobs.worker_outcome import ATTEMPT_HEADER  # noqa: E402
from cnnlab.settings import subprocess_environment  # noqa: E402
from cnnlab.storage import process_lock  # noqa: E402
from cnnlab.storage.run_record import read_record  # noqa: E402

COMPLAINT = re.compile(r"error|traceback|exception", re.IGNORECASE)
LOGS = ("web.log", "dispatcher.log")
NO_DATA = Path("no data")
IDLE_SAMPLE_SECONDS, IDLE_SECONDS = 2.0, 0.05  # of processor time within such a sample


class Lab:
    """A home, and the processes that work for it."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.queue = Queue()
        self.web: subprocess.Popen[bytes] | None = None
        self.children: list[subprocess.Popen[bytes]] = []

    def start_web(self) -> None:
        """`streamlit run` on this lab's port; returns when it answers."""
        command = [sys.executable, "-m", "streamlit", "run", str(REPOSITORY / "streamlit_app.py")]
        options = ["--server.port", str(self.port), "--server.address", "127.0.0.1", "--server.headless", "true"]
        self.web = self.start([*command, *options], "web.log")
        wait_until(lambda: answers(self.port), "the server answers")

    def wait_until_idle(self) -> None:
        """Wait until the web process uses no processor time, after it has drawn its pages for nobody."""
        used = -1.0
        while (now := cpu_seconds(self.web_pid)) > used + IDLE_SECONDS:
            used = now
            time.sleep(IDLE_SAMPLE_SECONDS)

    def start_dispatcher(self, *options: str) -> subprocess.Popen[bytes]:
        """`python -m cnnlab dispatch`, for a lab without a web server; returns when it is at work."""
        process = self.start([sys.executable, "-m", "cnnlab", "dispatch", *options], "dispatcher.log")
        wait_until(self.dispatcher, "the dispatcher is at work")
        return process

    def start(self, command: Sequence[str], log: str) -> subprocess.Popen[bytes]:
        """A process of this lab, whose words go to a log in its home."""
        with (self.home / log).open("ab") as file:
            process = subprocess.Popen(
                command, cwd=REPOSITORY, env=subprocess_environment(), stdout=file, stderr=subprocess.STDOUT
            )
        self.children.append(process)
        return process

    @property
    def web_pid(self) -> int:
        """The process id of the web server."""
        if self.web is None:
            raise LookupError("Expected a lab whose web server was started.")
        return self.web.pid

    def dispatcher(self) -> int | None:
        """The process id of the dispatcher at work."""
        holder = process_lock.lock_owner(self.home / "dispatcher.lock")
        return holder.pid if holder else None

    def workers(self) -> list[int]:
        """The process ids of the trainings at work."""
        holders = [process_lock.lock_owner(lock) for lock in self.home.glob("runs/*/lock")]
        return [holder.pid for holder in holders if holder and holder.pid != os.getpid()]

    def complaints(self) -> list[str]:
        """The lines in the logs of the web server and of the dispatcher that speak of an error."""
        logs = [self.home / name for name in LOGS]
        return [line for log in logs if log.exists() for line in log.read_text().splitlines() if COMPLAINT.search(line)]

    def integrity(self) -> str:
        """What SQLite finds in the whole file of the queue: 'ok' where all is well."""
        return "; ".join(str(row[0]) for row in self.rows("PRAGMA integrity_check"))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What the queue's file holds, read past the product."""
        with contextlib.closing(sqlite3.connect(self.queue.path, timeout=20)) as db:
            return db.execute(sql).fetchall()

    def close(self) -> None:
        """End the web server, then the dispatcher, then the trainings."""
        if self.web:
            self.web.send_signal(signal.SIGTERM)
            self.web.wait(30)
        end_whoever_holds(self.home / "dispatcher.lock")
        for lock in self.home.glob("runs/*/lock"):
            end_whoever_holds(lock)
        for child in self.children:
            child.wait(30)
        self.queue.close()


@contextlib.contextmanager
def fresh_lab(data: Path = NO_DATA, **settings: object) -> Iterator[Lab]:
    """A lab in a home that nobody used before, which is removed at the end; `data` is linked in where it exists.

    `settings` are environment variables, for this process too.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # who is asked to end tidies up first
    variables = {name: str(value) for name, value in settings.items()}
    with tempfile.TemporaryDirectory(prefix="cnnlab-load-") as folder:
        home = Path(folder)
        if data.is_dir():
            (home / "data").symlink_to(data.resolve())
        with mock.patch.dict(os.environ, {"CNNLAB_HOME": folder, **variables}):
            lab = Lab(home)
            try:
                yield lab
            finally:
                lab.close()


def is_done(one: Experiment) -> bool:
    """Whether the run has come to its end."""
    return read_record(settings.runs_dir() / one.key).state == "done"


@lru_cache
def undisturbed(one: Experiment) -> bytes:
    """The history that this experiment has where nobody is killed."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "cnnlab", "train", "--json", one.to_json()]
        environment = os.environ | {"CNNLAB_HOME": home, "PYTHONPATH": str(REPOSITORY)}
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        return (Path(home) / "runs" / one.key / "history.csv").read_bytes()


def attempts(one: Experiment) -> int:
    """How often a worker was started for this experiment."""
    log = settings.runs_dir() / one.key / "worker.log"
    return log.read_text(errors="replace").count(ATTEMPT_HEADER) if log.exists() else 0


def memory(process: int) -> tuple[float, float]:
    """Resident and private memory of a process, in MB; files that are mapped into it are resident and not private."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields["VmRSS"].split()[0]) / 1024, int(fields["RssAnon"].split()[0]) / 1024


def cpu_seconds(process: int) -> float:
    """The processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
