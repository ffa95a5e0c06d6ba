"""A real Ray cluster on this machine: each of its nodes is a `ray start --block`, as on a machine of its own."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from free_ports import free_port

from cnnlab import settings
from cnnlab.jobs.ray.parent_death_signal import die_with_parent

START = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--node-ip-address=127.0.0.1"]
SMALL = ["--object-store-memory=80000000", "--disable-usage-stats", "--include-log-monitor=false"]
ATTEMPTS = 3  # Ray ends a node whose Python processes have not started within 15 s, as on a busy machine
SOON = {  # a node that is gone is given up after a second, not after fifteen
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "300",
    "RAY_health_check_failure_threshold": "3",
}


class Node:
    """One node: the process that keeps the others, and what it says."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    def pids(self, name: str = "") -> list[int]:
        """The processes of this node whose command line has `name` in it."""
        found = subprocess.run(
            ["ps", "-o", "pid=,args=", "-g", str(self.process.pid)], capture_output=True, text=True, check=False
        ).stdout
        return [int(line.split()[0]) for line in found.splitlines() if name in line]


class Nodes:
    """The nodes of one cluster. Leaving the `with` block ends all of their processes."""

    def __enter__(self) -> Self:
        self.place = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))  # a socket's path has 107 letters at most
        self.nodes: list[Node] = []
        try:
            options = ["--head", "--port=0", f"--ray-client-server-port={free_port()}", f"--temp-dir={self.place}"]
            head = self._begun(*options, "--num-cpus=2", "--include-dashboard=false", "--no-monitor")
            self.address = re.findall(r"--address='([\d.:]+)'", head.log.read_text())[0]
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for node in reversed(self.nodes):
            self.leave(node)
        shutil.rmtree(self.place, ignore_errors=True)

    def join(self, *options: str) -> Node:
        """One node more."""
        return self._begun(f"--address={self.address}", *options)

    def leave(self, node: Node) -> None:
        """End a node and all of its processes."""
        node.process.terminate()
        try:
            node.process.wait(15)
        except subprocess.TimeoutExpired:
            node.process.kill()
            node.process.wait()
        give_up = time.monotonic() + 15
        while node.pids() and time.monotonic() < give_up:
            time.sleep(0.05)
        for pid in node.pids():
            os.kill(pid, 9)

    def _begun(self, *options: str) -> Node:
        """Start a node and wait until it is up. Raises RuntimeError where no attempt succeeds."""
        for attempt in range(ATTEMPTS):
            node = self._start(self.place / f"node{len(self.nodes)}-{attempt}", options)
            if wait_until_up(node):
                self.nodes.append(node)
                return node
            self.leave(node)
        raise RuntimeError(f"No Ray node could be started: {node.log.read_text()}")

    def _start(self, log: Path, options: tuple[str, ...]) -> Node:
        with log.open("wb") as file:
            process = subprocess.Popen(
                die_with_parent([*START, *SMALL, *options]),
                cwd=settings.REPOSITORY,
                env=os.environ | SOON,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        return Node(process, log)


def wait_until_up(node: Node) -> bool:
    """Wait until the node is up, or has ended."""
    give_up = time.monotonic() + 120
    while "This command will now block" not in node.log.read_text():  # the last that it says
        if node.process.poll() is not None or time.monotonic() > give_up:
            return False
        time.sleep(0.05)
    return True
