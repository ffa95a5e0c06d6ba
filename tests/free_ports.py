"""Ports for the servers that tests start: none is given twice, and the processes of one run of the tests share none."""

import os
import socket

_given: set[int] = set()


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens, for a server that is started soon."""
    process, processes = (os.environ.get(f"PYTEST_XDIST_WORKER{name}", "") for name in ("", "_COUNT"))
    mine, count = int(process.removeprefix("gw") or 0), int(processes or 1)
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in _given and port // 2 % count == mine:  # Linux gives odd ones
            _given.add(port)
            return port
