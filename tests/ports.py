"""Ports of this machine for the servers of a test."""

import socket


def free_port() -> int:
    """A port that no server of this machine has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
