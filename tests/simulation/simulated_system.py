"""Takes from this process, and from every Python process that it starts, what macOS or Windows lacks.

    CNNLAB_SIMULATE=windows python -m pytest tests/test_queue.py

macos    no os.sched_*, /proc, prctl, mallopt, packets over Unix sockets; no limit of memory
windows  as macos, and no fcntl (msvcrt instead), pass_fds, sessions, resource, load average, priorities, fork, SIGKILL;
         SIGTERM kills; an open file cannot be renamed or removed, a folder not opened; Popen as on Windows

The modules that Windows lacks are hidden from the code of this project only: other packages need them on Linux.
Not simulated: paths and drive letters, ends of lines, the encoding of the console, the exit codes of crashes but one,
other processes that have a file open, memory-mapped files.
"""

import builtins
import ctypes
import errno
import fcntl
import os
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

VARIABLE = "CNNLAB_SIMULATE"
FOLDER = str(Path(__file__).resolve().parent)

HIDDEN_MODULES = {"fcntl", "resource", "pwd", "grp", "termios"}
OWN_MODULES = ("cnnlab", "tests", "test_", "fake_worker", "__main__")  # their names begin with one of these
LINUX_FUNCTIONS = [name for name in dir(os) if name.startswith("sched_")]
POSIX_FUNCTIONS = (
    *("fork", "forkpty", "killpg", "getpgid", "setpgid", "getsid", "setsid", "nice", "getpriority", "setpriority"),
    *("getloadavg", "pread", "pwrite", "mkfifo", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY"),
)
POSIX_SIGNALS = ("SIGKILL", "SIGSTOP", "SIGCONT", "SIGUSR1", "SIGUSR2", "SIGPROF", "SIGXCPU", "pthread_kill")
SIGKILL = signal.SIGKILL
ACCESS_VIOLATION = 0xC0000005
CREATION_FLAGS = {
    "CREATE_NEW_PROCESS_GROUP": 0x200,
    "BELOW_NORMAL_PRIORITY_CLASS": 0x4000,
    "CREATE_NO_WINDOW": 0x8000000,
}

real_import, real_kill, real_open, real_fsync, RealPopen = (
    builtins.__import__,
    os.kill,
    os.open,
    os.fsync,
    subprocess.Popen,
)
state = {"system": "", "reads /proc": False}  # what is simulated; whether the simulation itself reads /proc


def apply_from_environment() -> None:
    """Simulate what CNNLAB_SIMULATE says; nothing where it is not set."""
    if system := os.environ.get(VARIABLE):
        apply(system)


def apply(system: str) -> None:
    """Simulate "macos" or "windows" from now on, once."""
    if system not in ("macos", "windows"):
        raise SystemExit(f"{VARIABLE} is macos or windows. Received: {system}")
    if state["system"]:
        return
    state["system"] = system
    remove_linux()
    if system == "windows":
        remove_posix()
    subprocess.Popen = WindowsPopen if system == "windows" else SimulatingPopen


def remove_linux() -> None:
    """What only Linux has."""
    remove(os, LINUX_FUNCTIONS)
    remove(socket, ["SOCK_SEQPACKET"])
    sys.addaudithook(hide_proc)
    ctypes.CDLL = ForeignLibrary
    resource.setrlimit = refuse_memory_limit(resource.setrlimit)


def remove_posix() -> None:
    """What Windows lacks of the rest, and what it does otherwise."""
    builtins.__import__ = import_of_windows
    remove(os, POSIX_FUNCTIONS)
    remove(signal, POSIX_SIGNALS)
    remove(socket, ["send_fds", "recv_fds"])
    vars(subprocess).update(CREATION_FLAGS)
    shutil._use_fd_functions = False
    os.kill, os.open, os.fsync = terminate_process, open_no_folder, fsync_what_is_writable
    for name in ("rename", "replace", "unlink", "remove"):
        setattr(os, name, refuse_open_files(getattr(os, name)))


def remove(module: ModuleType, names: Iterable[str]) -> None:
    for name in names:
        if hasattr(module, name):
            delattr(module, name)


# -- what only Linux has ---------------------------------------------------------------------------------------------


def hide_proc(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: /proc cannot be opened or listed."""
    if event in ("open", "os.listdir", "os.scandir") and not state["reads /proc"]:
        path = arguments[0]
        if isinstance(path, str) and (path + "/").startswith("/proc/"):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


class ForeignLibrary(ctypes.CDLL):
    """A C library without mallopt and prctl; on Windows none without a name."""

    def __init__(self, name: Any, *arguments: Any, **options: Any) -> None:
        if name is None and state["system"] == "windows":
            raise TypeError("argument of type 'NoneType' is not iterable")
        super().__init__(name, *arguments, **options)

    def __getattr__(self, name: str) -> Any:
        if name in ("mallopt", "prctl"):
            raise AttributeError(name)
        return super().__getattr__(name)


def refuse_memory_limit(setrlimit: Callable[..., None]) -> Callable[..., None]:
    def limited(kind: int, limits: tuple[int, int]) -> None:
        if kind == resource.RLIMIT_AS:
            raise ValueError("current limit exceeds maximum limit")
        setrlimit(kind, limits)

    return limited


# -- Windows: modules, files -----------------------------------------------------------------------------------------


def import_of_windows(name: str, globals: Any = None, *arguments: Any, **options: Any) -> Any:
    if str((globals or {}).get("__name__")).startswith(OWN_MODULES):
        if name in HIDDEN_MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name == "msvcrt":
            return msvcrt
    return real_import(name, globals, *arguments, **options)


msvcrt = ModuleType("msvcrt")
msvcrt.LK_NBLCK, msvcrt.LK_UNLCK = 2, 0


def locking(descriptor: int, mode: int, size: int) -> None:
    """Lock or unlock `size` bytes from where the open file stands, for this open file alone."""
    kind = fcntl.F_UNLCK if mode == msvcrt.LK_UNLCK else fcntl.F_WRLCK
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", kind, os.SEEK_CUR, 0, size, 0))
    except BlockingIOError:
        raise PermissionError(errno.EACCES, "Permission denied") from None


msvcrt.locking = locking


def open_no_folder(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
    descriptor = real_open(path, flags, *arguments, **options)
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise PermissionError(errno.EACCES, "Permission denied", str(path))
    return descriptor


def fsync_what_is_writable(descriptor: int) -> None:
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, "Bad file descriptor")
    real_fsync(descriptor)


def refuse_open_files(function: Callable[..., None]) -> Callable[..., None]:
    """A function of `os` that fails where this process has one of its files open, or one in a folder of its."""

    def refused(*paths: Any, **options: Any) -> None:
        opened = open_files()
        for path in paths:
            full = os.path.realpath(os.path.dirname(os.path.abspath(path))) + os.sep + os.path.basename(path)
            if any(one == full or one.startswith(full + os.sep) for one in opened):
                raise PermissionError(errno.EACCES, "The process cannot access the file: it is being used", str(path))
        function(*paths, **options)

    return refused


def open_files() -> set[str]:
    """The paths of the files that this process has open."""
    found = set()
    state["reads /proc"] = True
    try:
        for number in os.listdir("/proc/self/fd"):
            try:
                found.add(os.readlink(f"/proc/self/fd/{number}"))
            except OSError:
                continue
    finally:
        state["reads /proc"] = False
    return found


# -- processes -------------------------------------------------------------------------------------------------------


def terminate_process(pid: int, number: int) -> None:
    if number in (0, 1):
        raise AssertionError(f"os.kill(pid, {number}) sends Ctrl-C or Ctrl-Break on Windows")
    real_kill(pid, SIGKILL)


def simulating(arguments: Any, environment: Any) -> tuple[Any, dict[str, str]]:
    """Command line and environment with which a Python process simulates the same system."""
    environment = dict(os.environ if environment is None else environment)
    paths = [FOLDER, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    environment |= {VARIABLE: state["system"], "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
    if not isinstance(arguments, (str, bytes)) and "-I" in (command := [str(one) for one in arguments]):  # isolated
        code = command.index("-c") + 1 if "-c" in command else 0
        if code:
            command[code] = (
                f"import sys; sys.path.insert(0, {FOLDER!r}); import simulated_system; sys.path.pop(0); {command[code]}"
            )
        return command, environment
    return arguments, environment


class SimulatingPopen(RealPopen):
    """A process that simulates the same system, if it is Python."""

    def __init__(self, args: Any, *arguments: Any, env: Any = None, **options: Any) -> None:
        args, env = simulating(args, env)
        super().__init__(args, *arguments, env=env, **options)


class WindowsPopen(SimulatingPopen):
    """Popen of Windows: no inherited descriptors, no sessions; `terminate` kills, exit codes are positive."""

    was_terminated = False

    def __init__(self, *arguments: Any, creationflags: int = 0, **options: Any) -> None:
        for name in ("pass_fds", "start_new_session", "preexec_fn"):
            if options.get(name):
                raise ValueError(f"{name} is not supported on Windows")
        if creationflags & CREATION_FLAGS["CREATE_NEW_PROCESS_GROUP"]:
            options["start_new_session"] = True
        super().__init__(*arguments, **options)

    def send_signal(self, number: int) -> None:
        if number != signal.SIGTERM:
            raise ValueError(f"Unsupported signal: {number}")
        if self.poll() is None:
            self.was_terminated = True
            real_kill(self.pid, SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    kill = terminate

    def _handle_exitstatus(self, *arguments: Any) -> None:
        super()._handle_exitstatus(*arguments)
        if self.returncode == -SIGKILL:
            self.returncode = 1 if self.was_terminated else signal.SIGTERM.value
        elif self.returncode is not None and self.returncode < 0:
            self.returncode = ACCESS_VIOLATION


apply_from_environment()
