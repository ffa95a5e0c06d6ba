"""A command that dies with the process that starts it: python -m cnnlab.jobs.ray.parent_death_signal PARENT COMMAND...

A worker on a cluster is a child of a Ray worker. Ray may kill that at any moment: the dispatcher is gone, the machine's
memory is full. The child must not train on then, unseen. So this process asks the kernel to be killed when its parent
(process id PARENT) ends, and becomes the command: the wish outlives `exec`, and the lock that was handed down does too.

Left out: anything but Linux.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1  # of prctl(2)


def die_with_parent(command: Sequence[str]) -> list[str]:
    """The command line that ties `command` to this process."""
    return [sys.executable, "-m", __name__, str(os.getpid()), *command]


def main(parent: int, command: Sequence[str]) -> None:
    """Become `command`, for as long as `parent` lives. Raises OSError where there is no such command."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "the kernel cannot tie a process to its parent")
    if os.getppid() != parent:  # it ended before we asked
        os.kill(os.getpid(), signal.SIGKILL)
    os.execvp(command[0], list(command))


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), sys.argv[2:])
    except OSError as error:
        sys.exit(f"{sys.argv[2]}: {error.strerror}")
