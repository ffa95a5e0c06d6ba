"""Is every machine of a cluster fit to train? python -m cnnlab dispatch --runner ray --check

This machine takes a lock under `runs/`, and a task on each machine says whether it sees it held. That needs everything
that a training needs: the code and its Python at the same place, the shared folder, and locks that hold across machines
(where the file server itself looks at its own disk they do not, and two workers could write one run).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from cnnlab import settings
from cnnlab.jobs.ray.runner import RayRunner, forwarded_environment
from cnnlab.storage import process_lock

ANSWER_TIMEOUT_SECONDS = 60.0  # for a machine to answer
PROBE_FILE = ".check"


def print_report(runner: RayRunner) -> int:
    """Print a line for each machine; the exit status: 1 where one is not fit, or there is none."""
    answers = list(check_machines(runner))
    for name, trouble in answers:
        print(f"{'FAIL' if trouble else 'ok':4}  {name}  {trouble or 'trains here'}")
    if not answers:
        print("FAIL  the cluster has no machine")
    return 0 if answers and not any(trouble for _, trouble in answers) else 1


def check_machines(runner: RayRunner) -> Iterator[tuple[str, str]]:
    """Each machine that trainings may go to, and what is wrong with it ("" where nothing is)."""
    probe = settings.runs_dir() / PROBE_FILE
    lock = process_lock.acquire(probe)
    if lock is None:
        raise settings.SettingsError(f"{probe} is locked: another check is at work.")
    with lock:
        asked = [
            (machine, start_check(runner, machine["NodeID"]))
            for machine in runner.live_machines()
            if can_train(machine)
        ]
        for machine, task in asked:
            yield machine["NodeManagerHostname"], check_result(runner.ray, task)
    probe.unlink(missing_ok=True)


def can_train(machine: Mapping[str, Any]) -> bool:
    """Whether Ray would send a training there."""
    return any(machine["Resources"].get(name, 0) for name in ("GPU", "CPU"))


def start_check(runner: RayRunner, machine: str) -> Any:
    """A task on this machine and on no other."""

    def task(code: str, variables: dict[str, str]) -> str:
        import os
        import sys

        sys.path.insert(0, code)
        os.environ.update(variables)
        from cnnlab.jobs.ray.preflight import check_this_machine

        return check_this_machine()

    there = runner.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(machine, soft=False)
    remote = runner.ray.remote(max_calls=1, max_retries=0, num_cpus=0, scheduling_strategy=there)(task)
    return remote.remote(str(settings.REPOSITORY), forwarded_environment())


def check_result(ray: Any, task: Any) -> str:
    """What the machine said, or why it said nothing."""
    try:
        return str(ray.get(task, timeout=ANSWER_TIMEOUT_SECONDS))
    except ray.exceptions.GetTimeoutError:
        return f"gave no answer within {ANSWER_TIMEOUT_SECONDS:.0f} s"
    except ray.exceptions.RayError as error:
        return f"cannot run this program: {str(getattr(error, 'cause', error)).strip().split(chr(10))[-1][:200]}"


def check_this_machine() -> str:
    """On the machine that is asked: what is wrong with it, "" where nothing is."""
    probe = settings.runs_dir() / PROBE_FILE
    if not probe.exists():
        return f"does not share {settings.runs_dir()} with the dispatcher's machine"
    if not process_lock.is_locked(probe):
        return f"does not see the dispatcher's lock in {settings.runs_dir()}: mount it over NFS 4 on all machines alike"
    return ""
