"""The dispatcher with real processes: whoever is killed, every job that somebody wants comes to its end, once.

Most workers here are a fake of `train` that has its lock, checkpoint, record and exit codes and needs a second.
"""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from fake_worker import DispatcherHarness, alive, wait_for
from history_factories import history, write

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.jobs import dispatcher_process, dispatcher_service
from cnnlab.jobs import queue as queue_module
from cnnlab.jobs.dispatcher import Dispatcher
from cnnlab.jobs.dispatcher_process import ensure_running, is_running, lock_path
from cnnlab.jobs.dispatcher_service import dispatch
from cnnlab.jobs.job import Job
from cnnlab.jobs.local_runner import LocalRunner
from cnnlab.jobs.runner import Outcome
from cnnlab.jobs.worker_outcome import outcome_from_exit_code
from cnnlab.operating_system import processes
from cnnlab.storage import files, process_lock, runs

pytestmark = pytest.mark.slow

on_either = pytest.mark.parametrize("lab", ["local", pytest.param("ray", marks=pytest.mark.ray)], indirect=True)


# -- the lock --------------------------------------------------------------------------------------------------------


def test_a_lock_is_free_the_moment_its_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    script = "import sys, time, pathlib; from cnnlab.storage.process_lock import acquire; "
    script += "lock = acquire(pathlib.Path(sys.argv[1])); time.sleep(60)"
    environment = os.environ | {"PYTHONPATH": str(settings.REPOSITORY)}
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], env=environment)
    wait_for(lambda: process_lock.lock_owner(path))
    assert process_lock.lock_owner(path) == process_lock.LockOwner(process.pid, inherited=False)
    assert process_lock.acquire(path, timeout=0) is None
    process.kill()
    process.wait()
    assert not process_lock.is_locked(path)
    assert process_lock.lock_owner(path) is None


def test_asking_for_a_lock_neither_makes_nor_takes_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not process_lock.is_locked(path)
    assert not path.exists()
    with ThreadPoolExecutor(8) as pool:
        looks = pool.map(lambda _: [process_lock.is_locked(path) for _ in range(200)], range(8))
        for _ in range(50):
            lock = process_lock.acquire(path)
            assert lock is not None
            lock.release()
        list(looks)


def test_a_lock_goes_to_one_child_and_not_to_its_grandchildren(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = process_lock.acquire(path, write_owner=False)
    assert lock is not None
    descriptors, variables = lock.inheritance_options()
    script = f"""if True:
        import os, pathlib, subprocess, sys
        from cnnlab.storage.process_lock import acquire
        lock = acquire(pathlib.Path({str(path)!r}), timeout=0)
        again = "import pathlib, sys; from cnnlab.storage.process_lock import acquire; "
        again += "print(acquire(pathlib.Path(sys.argv[1]), timeout=0))"
        sys.exit(subprocess.run([sys.executable, "-c", again, {str(path)!r}]).returncode)
    """
    environment = os.environ | {"PYTHONPATH": str(settings.REPOSITORY)} | variables
    child = subprocess.Popen(
        [sys.executable, "-c", script], env=environment, pass_fds=descriptors, stdout=subprocess.PIPE
    )
    lock.release()
    assert child.communicate(timeout=60)[0].strip() == b"None"
    assert child.returncode == 0
    assert not process_lock.is_locked(path)


# -- the ordinary way ------------------------------------------------------------------------------------------------


@pytest.mark.nightly(but=["local"])
@on_either
def test_queued_jobs_are_trained_in_order_and_an_idle_dispatcher_exits(
    lab: DispatcherHarness,
) -> None:
    jobs = [lab.ask(seed, epochs=2) for seed in range(3)]
    process = lab.dispatcher(idle=0.5)
    assert lab.ends(*jobs) == ["done"] * 3
    assert all(lab.has_whole_history(job) for job in jobs)
    assert process.wait(timeout=30) == 0
    assert not is_running()
    times = [(done.started, done.finished) for done in map(lab.queue.get, (job.id for job in jobs))]
    assert all(before[1] <= after[0] for before, after in pairwise(times))


def test_two_slots_train_two_jobs_at_once(lab: DispatcherHarness) -> None:
    jobs = [lab.ask(seed, epochs=4, hold=2) for seed in range(2)]
    lab.dispatcher(slots=2)
    wait_for(lambda: all(lab.waits(job) for job in jobs))
    assert len(lab.queue.running()) == 2
    lab.let_go(*jobs)
    assert lab.ends(*jobs) == ["done"] * 2


def test_one_dispatcher_is_at_work_however_many_are_started(lab: DispatcherHarness) -> None:
    first = lab.dispatcher()
    wait_for(is_running)
    second = lab.dispatcher()
    assert second.wait(timeout=30) == 1
    assert f"already at work for {lab.home} (process {first.pid})" in lab.log()
    assert first.poll() is None


@pytest.mark.posix
def test_a_worker_yields_the_processor_to_the_web_process(lab: DispatcherHarness) -> None:
    job = lab.ask(0, hold=1)
    process = lab.dispatcher()
    wait_for(lambda: lab.starts(job))
    nice = os.getpriority(os.PRIO_PROCESS, lab.starts(job)[0])
    assert nice == min(19, os.getpriority(os.PRIO_PROCESS, process.pid) + 5)
    with suppress(FileNotFoundError):  # a kernel that shares the processor among sessions
        session = Path(f"/proc/{lab.starts(job)[0]}/autogroup").read_text()
        assert session.split()[-2:] == ["nice", str(nice)]


def test_a_finished_run_needs_no_worker(lab: DispatcherHarness) -> None:
    job = lab.ask(0)
    folder = settings.runs_dir() / job.key
    write(folder, job.experiment, history([0.1, 0.5], [0.1, 0.4]))
    lab.dispatcher()
    assert lab.ends(job) == ["done"]
    assert lab.starts(job) == []


def test_a_run_whose_files_are_found_damaged_when_opened_is_trained_again(lab: DispatcherHarness) -> None:
    """The web process, which opened a file, asked for it; the dispatcher has not seen the file."""
    job = lab.ask(0)
    folder = write(settings.runs_dir() / job.key, job.experiment, history([0.1, 0.5], [0.1, 0.4]))
    files.write_npz(folder / "predictions.npz", {"test": np.zeros((3, 7))})
    lab.dispatcher()
    assert lab.ends(job) == ["done"]
    assert len(lab.starts(job)) == 1


def test_a_dispatcher_that_has_nothing_to_do_writes_nothing(lab: DispatcherHarness) -> None:
    """Else every page would think, five times a second, that something has changed."""
    dispatcher = Dispatcher(lab.queue, LocalRunner(lambda job: [sys.executable, "-c", ""]))
    dispatcher.tick()
    before = lab.queue.revision()
    for _ in range(3):
        dispatcher.tick()
    assert lab.queue.revision() == before


# -- how a worker can end --------------------------------------------------------------------------------------------


@pytest.mark.nightly(but=["local"])
@on_either
def test_a_killed_worker_is_resumed_and_its_history_is_that_of_an_uninterrupted_one(lab: DispatcherHarness) -> None:
    job = lab.ask(0, die=[2, 3, 5])
    lab.dispatcher()
    assert lab.ends(job) == ["done"]
    assert len(lab.starts(job)) == 4
    assert lab.has_whole_history(job)


def test_a_worker_that_dies_a_fourth_time_fails_the_job_with_a_readable_reason(lab: DispatcherHarness) -> None:
    job = lab.ask(0, die=[1, 2, 3, 4])
    lab.dispatcher()
    assert lab.ends(job) == ["failed"]
    killed = "SIGKILL (killed from outside, most often because the machine ran out of memory)"
    killed = killed if processes.CAN_ASK_TO_STOP else "TerminateProcess (ended from outside)"
    reason = f"The training was resumed 3 times and ended early again: its process was ended by {killed}."
    assert lab.queue.get(job.id).reason == reason


@pytest.mark.nightly(but=["local"])
@on_either
def test_a_worker_that_fails_is_not_started_again_and_its_reason_is_kept(lab: DispatcherHarness) -> None:
    job, after = lab.ask(0, fail="The disk is full; free some space."), lab.ask(1, epochs=1)
    lab.dispatcher()
    assert lab.ends(job, after) == ["failed", "done"]
    assert lab.queue.get(job.id).reason == "The disk is full; free some space."
    assert len(lab.starts(job)) == 1


def test_a_worker_that_cannot_even_start_leaves_the_last_line_of_its_log_as_reason(lab: DispatcherHarness) -> None:
    job = lab.ask(0, crash="ModuleNotFoundError: No module named 'keras'")
    lab.dispatcher()
    assert lab.ends(job) == ["failed"]
    expected = "The worker could not go on: ModuleNotFoundError: No module named 'keras'"
    assert lab.queue.get(job.id).reason == expected


def test_a_command_that_does_not_exist_fails_the_job_and_not_the_dispatcher(lab: DispatcherHarness) -> None:
    job = lab.ask(0)
    dispatcher = Dispatcher(lab.queue, LocalRunner(lambda job: ["/nowhere/python"]))
    dispatcher.tick()
    assert lab.queue.get(job.id).reason == "No worker could be started: No such file or directory."
    assert not process_lock.is_locked(settings.runs_dir() / job.key / "lock")


def test_the_exit_code_says_how_a_worker_ended(tmp_path: Path) -> None:
    assert outcome_from_exit_code(0, tmp_path) == Outcome("done")
    assert outcome_from_exit_code(3, tmp_path).kind == "stopped"
    assert outcome_from_exit_code(1, tmp_path).reason == "The worker could not go on: worker.log is empty."
    assert outcome_from_exit_code(-11, tmp_path).kind == "crashed"
    files.write_json(tmp_path / "record.json", {"state": "failed", "reason": "The disk is full."})
    assert outcome_from_exit_code(1, tmp_path, time.time()).reason == "The disk is full."
    assert outcome_from_exit_code(1, tmp_path, time.time() + 60).reason != "The disk is full."


# -- stopping --------------------------------------------------------------------------------------------------------


@pytest.mark.nightly(but=["local"])
@on_either
def test_a_training_stops_when_the_last_person_leaves_and_not_before(lab: DispatcherHarness) -> None:
    job = lab.ask(0, epochs=500)
    lab.queue.submit(job.experiment, "bob")
    lab.dispatcher()
    wait_for(lambda: lab.starts(job))
    lab.queue.cancel(job, "bob")
    time.sleep(0.6)
    assert alive(lab.starts(job)[0])
    lab.queue.cancel(job, "ada")
    assert lab.ends(job) == ["cancelled"]
    assert not alive(lab.starts(job)[0])
    assert json.loads(lab.read(job, "record.json"))["state"] == "stopped"


@pytest.mark.nightly(but=["local"])
@on_either
def test_a_worker_that_ignores_sigterm_is_killed_after_the_grace_period(lab: DispatcherHarness) -> None:
    job = lab.ask(0, epochs=500, ignore_sigterm=True)
    lab.dispatcher(grace=0.5)
    wait_for(lambda: lab.starts(job))
    lab.queue.cancel(job, "ada")
    assert lab.ends(job) == ["cancelled"]
    assert not alive(lab.starts(job)[0])
    assert json.loads(lab.read(job, "record.json"))["state"] == "running"  # it never came to say more


@pytest.mark.nightly(but=["local"])
@pytest.mark.posix
@on_either
def test_a_dispatcher_that_is_stopped_queues_its_jobs_again_and_the_next_one_goes_on(lab: DispatcherHarness) -> None:
    job = lab.ask(0, hold=3)
    first = lab.dispatcher()
    wait_for(lambda: lab.waits(job))
    first.terminate()
    assert first.wait(timeout=30) == 0
    waiting = lab.queue.get(job.id)
    assert (waiting.state, waiting.crashes) == ("queued", 0)
    assert not alive(lab.starts(job)[0])
    lab.let_go(job)
    lab.dispatcher()
    assert lab.ends(job) == ["done"]
    assert len(lab.starts(job)) == 2
    assert lab.has_whole_history(job)


# -- a dispatcher is killed ------------------------------------------------------------------------------------------


def test_a_worker_outlives_its_dispatcher_and_the_next_one_watches_it_to_its_end(lab: DispatcherHarness) -> None:
    job = lab.ask(0, hold=3)
    first = lab.dispatcher()
    wait_for(lambda: lab.starts(job))
    first.kill()
    first.wait()
    lab.dispatcher()
    wait_for(lambda: "found job 1" in lab.log(), tell=lab.log)
    lab.let_go(job)
    assert lab.ends(job) == ["done"]
    assert len(lab.starts(job)) == 1
    assert lab.queue.get(job.id).attempts == 1


def test_a_worker_that_died_together_with_its_dispatcher_is_resumed(lab: DispatcherHarness) -> None:
    job = lab.ask(0, hold=3)
    first = lab.dispatcher()
    wait_for(lambda: lab.waits(job))
    first.kill()
    processes.kill(lab.starts(job)[0])
    first.wait()
    lab.let_go(job)
    lab.dispatcher()
    assert lab.ends(job) == ["done"]
    assert (len(lab.starts(job)), lab.queue.get(job.id).crashes) == (2, 0)
    assert lab.has_whole_history(job)


def test_a_host_that_dies_more_than_three_times_does_not_fail_its_trainings(lab: DispatcherHarness) -> None:
    """Each time worker and dispatcher end together, as with the host; the job goes on all the same."""
    job = lab.ask(0, hold=1)
    for time_ in range(1, 6):
        dispatcher = lab.dispatcher()
        wait_for(lambda count=time_: len(lab.starts(job)) == count, tell=lab.log)
        dispatcher.kill()
        processes.kill(lab.starts(job)[-1])
        dispatcher.wait()
    lab.let_go(job)
    lab.dispatcher()
    assert lab.ends(job) == ["done"], lab.log()
    assert (len(lab.starts(job)), lab.queue.get(job.id).crashes) == (6, 0)


def test_a_training_that_takes_its_host_down_again_and_again_fails_at_last(lab: DispatcherHarness) -> None:
    job = lab.ask(0)
    for _ in range(queue_module.MAX_ATTEMPTS):
        assert lab.queue.claim() is not None
        lab.queue.record_interruption(job)
    failed = lab.queue.get(job.id)
    assert (failed.state, failed.reason) == (
        "failed",
        "The training was started 25 times and interrupted each time: ask for it again.",
    )


def test_a_dispatcher_killed_right_after_a_start_allows_no_second_worker(lab: DispatcherHarness) -> None:
    """The lock is held from the worker's birth, long before its program has begun."""
    job = lab.ask(0)
    claimed = lab.queue.claim()
    assert claimed is not None
    slow = [sys.executable, "-c", "import time; time.sleep(30)"]
    worker = LocalRunner(lambda job: slow).start(claimed)
    assert process_lock.is_locked(settings.runs_dir() / job.key / "lock")
    lab.dispatcher()
    wait_for(lambda: "found job 1" in lab.log(), tell=lab.log)
    time.sleep(0.5)
    assert (lab.starts(job), lab.queue.get(job.id).state) == ([], "running")
    worker.kill()
    wait_for(worker.poll)
    assert lab.ends(job) == ["done"]


def test_an_adopted_worker_can_be_stopped(lab: DispatcherHarness) -> None:
    job = lab.ask(0, epochs=500)
    first = lab.dispatcher()
    wait_for(lambda: lab.starts(job))
    first.kill()
    first.wait()
    lab.queue.cancel(job, "ada")
    lab.dispatcher()
    assert lab.ends(job) == ["cancelled"]
    assert not alive(lab.starts(job)[0])


@pytest.mark.nightly(but=["local"])
@on_either
def test_a_training_started_by_hand_is_watched_and_never_stopped(lab: DispatcherHarness) -> None:
    job = lab.ask(0, epochs=500)
    command = [sys.executable, str(lab.home / "worker.py"), str(settings.runs_dir() / job.key), "500"]
    by_hand = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(settings.REPOSITORY)})
    lab.processes.append(by_hand)
    wait_for(lambda: lab.starts(job))
    process = lab.dispatcher()
    wait_for(lambda: lab.queue.get(job.id).state == "running")
    process.terminate()
    assert process.wait(timeout=30) == (0 if processes.CAN_ASK_TO_STOP else 1)  # which Windows ends by force
    lab.dispatcher()
    lab.queue.cancel(job, "ada")
    assert lab.ends(job) == ["cancelled"]
    assert by_hand.poll() is None
    assert lab.starts(job) == [by_hand.pid]


def test_a_job_that_was_claimed_and_never_started_is_no_crash(lab: DispatcherHarness) -> None:
    job = lab.ask(0)
    lab.queue.claim()
    lock = process_lock.acquire(
        settings.runs_dir() / job.key / "lock", write_owner=False
    )  # and no further came that dispatcher
    assert lock is not None
    lock.release()
    lab.dispatcher()
    assert lab.ends(job) == ["done"]
    assert (len(lab.starts(job)), lab.queue.get(job.id).crashes) == (1, 0)


def test_whoever_is_killed_at_whatever_moment_every_job_ends_done(lab: DispatcherHarness) -> None:
    rng = random.Random(5)
    jobs = [lab.ask(seed, epochs=10, seconds=0.06, hold=9, person=f"p{seed % 2}") for seed in range(4)]
    killed = dict.fromkeys([job.id for job in jobs], 0)
    current = lab.dispatcher(slots=2)
    while lab.queue.active() and sum(killed.values()) < 7:
        time.sleep(rng.uniform(0.0, 0.4))
        if rng.random() < 0.4 or current.poll() is not None:
            current.kill()
            current.wait()
            current = lab.dispatcher(slots=2)
        for job in lab.queue.running():
            holder = process_lock.lock_owner(settings.runs_dir() / job.key / "lock")
            if holder and killed[job.id] < 3 and rng.random() < 0.5:
                killed[job.id] += 1
                processes.kill(holder.pid)
        if sum(killed.values()) >= 3:
            lab.let_go(*jobs)
    assert lab.ends(*jobs) == ["done"] * 4, lab.log()
    assert all(lab.has_whole_history(job) for job in jobs)
    assert sum(killed.values()) >= 3
    assert "two workers at one run" not in "".join(lab.read(job, "worker.log") for job in jobs)
    with sqlite3.connect(lab.home / "jobs.sqlite") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


# -- started by the web process --------------------------------------------------------------------------------------


def test_pages_that_ask_at_once_start_one_dispatcher(lab: DispatcherHarness) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ensure_running(), range(40)))
    holder = process_lock.lock_owner(lock_path())
    assert is_running() and holder is not None and holder.inherited
    log = lab.home / "dispatcher.log"
    wait_for(lambda: "at work for" in log.read_text(), tell=log.read_text)
    os.kill(holder.pid, signal.SIGTERM)
    wait_for(lambda: not is_running())
    assert log.read_text().count("at work for") == 1
    assert "already" not in log.read_text()


def test_a_dispatcher_that_dies_at_once_is_started_at_a_limited_rate(
    lab: DispatcherHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    begun: list[object] = []
    start_detached = dispatcher_process.start_detached

    def counted(*command, **options):
        begun.append(1)
        return start_detached(*command, **options)

    monkeypatch.setattr(dispatcher_process, "start_detached", counted)
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        ensure_running()
        time.sleep(0.02)
    assert len(begun) == 1


def test_a_job_submitted_while_the_dispatcher_exits_is_run(
    lab: DispatcherHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is submitted after the last tick while the lock is held, so that the page starts no dispatcher."""
    asked: list[Job] = []

    def stop_workers(self: Dispatcher) -> None:
        if not asked:
            asked.append(lab.ask(0))

    monkeypatch.setattr(Dispatcher, "stop_workers", stop_workers)
    monkeypatch.setattr(dispatcher_service, "stop_signals", lambda _: nullcontext())
    runner = LocalRunner(lambda job: [sys.executable, "-c", ""])
    assert dispatch(idle=0.3, runner=runner) == 0
    assert lab.queue.get(asked[0].id).state == "done"


# -- the real thing --------------------------------------------------------------------------------------------------


@pytest.mark.nightly
def test_a_real_training_that_is_killed_ends_with_a_whole_history(lab: DispatcherHarness) -> None:
    small = {"dataset": "shapes", "train_images": 64, "filters": 4, "dense": 8, "depth": 1}
    experiment = Experiment(**small, epochs=3)  # type: ignore[arg-type]
    job = lab.queue.submit(experiment, "ada")
    lab.dispatcher(worker="train")
    folder = settings.runs_dir() / job.key
    wait_for(lambda: (folder / "history.csv").exists() or lab.queue.get(job.id).is_finished, 120)
    if holder := process_lock.lock_owner(folder / "lock"):
        processes.kill(holder.pid)
    assert lab.ends(job, seconds=150) == ["done"], (folder / "worker.log").read_text()
    run = runs.find_run(experiment)
    assert run is not None and run.state == "done"
    assert len(run.history()["epoch"]) == 4
    assert lab.queue.submit(experiment, "bob").state == "done"
