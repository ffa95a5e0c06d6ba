"""A command that dies with the process that starts it: python -m cnnlab.jobs.ray.parent_death_signal PARENT COMMAND...

A worker on a cluster is a child of a Ray worker, which Ray may kill at any time (the dispatcher has ended, the machine
is out of memory). The child must end too. So this process asks the kernel to send it SIGKILL when its parent (process
id PARENT) ends, and replaces itself by the command with `exec`, which keeps that setting and the inherited lock.

Linux only.
"""

import os
import sys
from collections.abc import Sequence

from cnnlab.operating_system.processes import become, end_with_parent


def die_with_parent(command: Sequence[str]) -> list[str]:
    """The command line that runs `command` until this process ends."""
    return [sys.executable, "-m", __name__, str(os.getpid()), *command]


def main(parent: int, command: Sequence[str]) -> None:
    """Replace this process by `command`, which is killed when `parent` ends. Raises OSError for an unknown command."""
    end_with_parent(parent)
    become(command)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), sys.argv[2:])
    except OSError as error:
        sys.exit(f"{sys.argv[2]}: {error.strerror}")
