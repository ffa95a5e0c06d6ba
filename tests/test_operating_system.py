"""What systems do differently: used in one package only, and how locks go to a child on each of them."""

import ast
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_worker import wait_for

from cnnlab import settings
from cnnlab.operating_system import file_locks, file_operations, machine, processes
from cnnlab.storage import process_lock, stop_request
from cnnlab.storage.background_process import start_detached

# What not every system has; `cnnlab.operating_system` alone uses it.
MODULES = {"fcntl", "msvcrt", "resource", "ctypes", "pwd", "grp", "termios", "select", "multiprocessing"}
NAMES = {
    *("fork", "kill", "killpg", "nice", "getpriority", "setpriority", "getsid", "setsid", "getloadavg", "getuid"),
    *("fsync", "fdatasync", "pread", "pwrite", "mkfifo", "execv", "execvp", "set_blocking", "sysconf"),
    *("SIGKILL", "SIGTERM", "SIGSTOP", "SIGCONT", "SIGUSR1", "SIGALRM", "SIGPROF", "SIGXCPU", "setitimer"),
    *("SOCK_SEQPACKET", "AF_UNIX", "mallopt", "prctl"),
}
ARGUMENTS = {"pass_fds", "start_new_session", "preexec_fn", "creationflags", "dir_fd"}
EXCEPTIONS = {"kill": "a method of workers and processes"}  # forbidden as os.kill only


def used(tree: ast.AST) -> Iterator[str]:
    """What a module uses that not every system has."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from MODULES & {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from MODULES & {str(node.module).split(".")[0]}
        elif isinstance(node, ast.Attribute):
            of_os = isinstance(node.value, ast.Name) and node.value.id == "os"
            if (node.attr in NAMES and (of_os or node.attr not in EXCEPTIONS)) or node.attr.startswith("sched_"):
                yield node.attr
            if ast.unparse(node) in ("os.name", "sys.platform", "platform.system") or node.attr.startswith("O_"):
                yield ast.unparse(node)
        elif isinstance(node, ast.keyword):
            yield from ARGUMENTS & {node.arg}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("/proc"):
            yield node.value


def modules() -> Iterator[Path]:
    package = settings.REPOSITORY / "cnnlab"
    yield from (path for path in package.rglob("*.py") if path.parent != package / "operating_system")


def test_what_systems_do_differently_is_used_in_one_package_only() -> None:
    found = {str(path): names for path in modules() if (names := list(used(ast.parse(path.read_text("utf-8")))))}
    assert found == {}


@pytest.mark.parametrize(
    "code",
    [
        "import fcntl",
        "from resource import setrlimit",
        "import os; os.sched_getaffinity(0)",
        "import os; os.kill(1, 9)",
        "import os; flags = os.O_RDONLY | os.O_NOFOLLOW",
        "open('/proc/self/status')",
        "Popen(command, start_new_session=True)",
        "library.mallopt(1, 2)",
        "import sys; sys.platform == 'win32'",
        "import signal; number = signal.SIGKILL",
    ],
)
def test_each_kind_of_use_is_found(code: str) -> None:
    assert list(used(ast.parse(code)))


# -- a lock that goes to a child -------------------------------------------------------------------------------------


def child(path: Path, before: float, holding: float) -> list[str]:
    """A command that takes the lock on `path` after `before` seconds, says so, and holds it."""
    code = f"""if True:
        import pathlib, sys, time
        from cnnlab.storage.process_lock import acquire
        time.sleep({before})
        lock = acquire(pathlib.Path({str(path)!r}), timeout=0)
        pathlib.Path({str(path)!r} + ".taken").write_text(str(lock is not None))
        time.sleep({holding})
    """
    return [sys.executable, "-c", code]


def another_is_refused(path: Path) -> bool:
    lock = process_lock.acquire(path, timeout=0)
    if lock is not None:
        lock.release()
    return lock is None


@pytest.mark.slow
def test_a_lock_is_held_from_the_start_of_a_child_to_its_end(tmp_path: Path) -> None:
    path, seen = tmp_path / "lock", []
    lock = process_lock.acquire(path, write_owner=False)
    assert lock is not None
    with lock:
        process = start_detached(child(path, before=0.5, holding=0.5), lock=lock)
    owner = process_lock.lock_owner(path)
    assert owner is not None and owner.inherited and owner.is_local
    while process.poll() is None:
        seen.append(process_lock.is_locked(path) and another_is_refused(path))
    assert (tmp_path / "lock.taken").read_text() == "True"
    assert len(seen) > 10 and all(seen[:10])
    assert seen == sorted(seen, reverse=True)  # once free, which is when it ends, it stays free
    wait_for(lambda: not process_lock.is_locked(path), 5)


@pytest.mark.slow
def test_a_lock_is_free_at_once_when_the_child_dies_before_it_takes_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = process_lock.acquire(path, write_owner=False)
    assert lock is not None
    with lock:
        start_detached([sys.executable, "-c", "pass"], lock=lock)
    wait_for(lambda: not process_lock.is_locked(path), 20)
    assert process_lock.acquire(path, timeout=0) is not None


@pytest.mark.slow
def test_a_killed_child_is_told_from_one_that_failed() -> None:
    sleeper = start_detached([sys.executable, "-c", "import time; time.sleep(60)"])
    processes.kill_child(sleeper)
    failing = start_detached([sys.executable, "-c", "raise SystemExit(1)"])
    assert processes.ending_signal(sleeper.wait(20)) in ("SIGKILL", "TerminateProcess")
    assert processes.ending_signal(failing.wait(20)) is None


@pytest.mark.slow
def test_a_request_to_stop_reaches_another_process_which_ends_in_its_own_time(tmp_path: Path) -> None:
    (tmp_path / stop_request.STOP_FILE).touch()  # of an earlier training
    os.utime(tmp_path / stop_request.STOP_FILE, (0, 0))
    code = f"""if True:
        import pathlib, sys, threading
        from cnnlab.storage import stop_request
        asked, folder = threading.Event(), pathlib.Path({str(tmp_path)!r})
        with stop_request.listen(folder, asked.set):
            (folder / "ready").touch()
            while not asked.wait(0.05):
                pass
        sys.exit(3)
    """
    process = start_detached([sys.executable, "-c", code])
    wait_for((tmp_path / "ready").exists, 20)
    time.sleep(0.5)
    assert process.poll() is None
    stop_request.send(tmp_path, process.pid)
    assert process.wait(20) == 3


# -- files and the machine -------------------------------------------------------------------------------------------


def test_a_file_is_replaced_while_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "new").write_bytes(b"new")
    file_operations.fsync_file(tmp_path / "new")
    file_operations.fsync_directory(tmp_path)
    file_operations.replace(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_bytes() == b"new"
    file_operations.remove(tmp_path / "old")
    file_operations.remove(tmp_path / "old")  # a file that is gone already
    assert not list(tmp_path.iterdir())


def test_a_link_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(OSError, match=r"links|symbolic"):
        file_operations.open_for_reading(tmp_path / "link")
    os.close(file_operations.open_for_reading(tmp_path / "file"))


def test_two_open_files_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    first, second = (file_locks.open_lock_file(tmp_path / "lock") for _ in range(2))
    assert file_locks.try_lock(first) and not file_locks.try_lock(second)
    file_locks.write_text(first, "a long text")
    file_locks.write_text(first, "text")
    assert (tmp_path / "lock").read_text() == "text"
    file_locks.close(first)
    assert file_locks.try_lock(second)
    file_locks.close(second)


def test_the_machine_has_cores_and_what_it_does_not_tell_is_said_so() -> None:
    assert 1 <= len(machine.cores()) <= (os.cpu_count() or 1)
    assert machine.available_bytes() > 0
    assert machine.load_average() is None or machine.load_average() >= 0
    assert all(size >= 0 for size in machine.memory_kib(os.getpid()).values())


# -- simulated systems -----------------------------------------------------------------------------------------------

SIMULATION = settings.REPOSITORY / "tests" / "simulation"
LACKING = """
import importlib, os, signal, subprocess, sys
def works(action):
    try:
        action()
        return True
    except Exception:
        return False
def import_fcntl():
    import fcntl
def look(name):
    print(name, hasattr(os, "sched_getaffinity"), works(lambda: open("/proc/self/status").close()), works(import_fcntl),
          hasattr(signal, "SIGKILL"), hasattr(os, "getloadavg"),
          works(lambda: subprocess.run([sys.executable, "-c", "pass"], start_new_session=True)), flush=True)
look("parent" if len(sys.argv) == 1 else sys.argv[1])
if len(sys.argv) == 1:
    subprocess.run([sys.executable, __file__, "child"], env={"PATH": os.environ["PATH"]})
"""


@pytest.mark.slow
@pytest.mark.linux
@pytest.mark.parametrize(("system", "posix"), [("macos", True), ("windows", False)])
def test_a_simulated_system_lacks_the_same_in_its_children(system: str, posix: bool, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(textwrap.dedent(LACKING))
    environment = os.environ | {"CNNLAB_SIMULATE": system, "PYTHONPATH": str(SIMULATION)}
    told = subprocess.check_output([sys.executable, tmp_path / "script.py"], env=environment, text=True)
    lacks = f"False False{f' {posix}' * 4}"
    assert told.splitlines() == [f"parent {lacks}", f"child {lacks}"]


ONE_TRAINING = (
    "tests/test_operating_system.py",
    "tests/test_mistakes_page.py::test_the_mistakes_are_counted_and_the_surest_comes_first",
    "tests/test_dispatcher.py::test_a_training_stops_when_the_last_person_leaves_and_not_before",
    "tests/test_dispatcher.py::test_an_adopted_worker_can_be_stopped",
)


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.linux
@pytest.mark.parametrize("system", ["macos", "windows"])
def test_one_training_at_a_time_and_the_pages_work_on_a_simulated_system(system: str) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "not ray", *ONE_TRAINING]
    environment = os.environ | {"CNNLAB_SIMULATE": system}
    done = subprocess.run(
        command, env=environment, cwd=settings.REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert f"simulated system: {system}" in done.stdout and " passed" in done.stdout
