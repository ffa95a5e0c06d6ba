"""Checks whether every machine of a cluster can train: python -m cnnlab dispatch --runner ray --check

This machine takes a lock under `runs/`, and a task on each machine tests whether the lock is held. This requires what
a training requires: the code and its Python at the same path, the shared folder, and locks that work across
machines (they do not on the file server's own local disk, where two workers could write one run).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from cnnlab import settings
from cnnlab.jobs.ray.runner import RayRunner, forwarded_environment
from cnnlab.storage import process_lock

ANSWER_TIMEOUT_SECONDS = 60.0  # to wait for the result of a machine
PROBE_FILE = ".check"


def print_report(runner: RayRunner) -> int:
    """Print one line per machine; the exit status is 1 if one cannot train or there is none."""
    results = list(check_machines(runner))
    for name, problem in results:
        print(f"{'FAIL' if problem else 'ok':4}  {name}  {problem or 'trains here'}")
    if not results:
        print("FAIL  the cluster has no machine")
    return 0 if results and not any(problem for _, problem in results) else 1


def check_machines(runner: RayRunner) -> Iterator[tuple[str, str]]:
    """The name of each machine that can get trainings, and its problem as a sentence, "" without one."""
    probe = settings.runs_dir() / PROBE_FILE
    lock = process_lock.acquire(probe)
    if lock is None:
        raise settings.SettingsError(f"{probe} is locked: another check is at work.")
    with lock:
        checks = [
            (machine, start_check(runner, machine["NodeID"]))
            for machine in runner.live_machines()
            if can_train(machine)
        ]
        for machine, task in checks:
            yield machine["NodeManagerHostname"], check_result(runner.ray, task)
    probe.unlink(missing_ok=True)


def can_train(machine: Mapping[str, Any]) -> bool:
    """Whether Ray can schedule a training on this machine."""
    return any(machine["Resources"].get(name, 0) for name in ("GPU", "CPU"))


def start_check(runner: RayRunner, machine: str) -> Any:
    """Start `check_this_machine` as a task on the machine with this node id; returns Ray's reference to its result."""

    def task(code: str, variables: dict[str, str]) -> str:
        import os
        import sys

        sys.path.insert(0, code)
        os.environ.update(variables)
        from cnnlab.jobs.ray.preflight import check_this_machine

        return check_this_machine()

    strategy = runner.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(machine, soft=False)
    remote = runner.ray.remote(max_calls=1, max_retries=0, num_cpus=0, scheduling_strategy=strategy)(task)
    return remote.remote(str(settings.REPOSITORY), forwarded_environment())


def check_result(ray: Any, task: Any) -> str:
    """The problem that the task returned, or the reason why it returned nothing."""
    try:
        return str(ray.get(task, timeout=ANSWER_TIMEOUT_SECONDS))
    except ray.exceptions.GetTimeoutError:
        return f"gave no answer within {ANSWER_TIMEOUT_SECONDS:.0f} s"
    except ray.exceptions.RayError as error:
        return f"cannot run this program: {str(getattr(error, 'cause', error)).strip().split(chr(10))[-1][:200]}"


def check_this_machine() -> str:
    """The problem of the machine on which this runs, "" without one."""
    probe = settings.runs_dir() / PROBE_FILE
    if not probe.exists():
        return f"does not share {settings.runs_dir()} with the dispatcher's machine"
    if not process_lock.is_locked(probe):
        return f"does not see the dispatcher's lock in {settings.runs_dir()}: mount it over NFS 4 on all machines alike"
    return ""
