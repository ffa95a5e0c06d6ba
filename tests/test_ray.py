"""Trainings on a real Ray cluster: whatever dies, a training goes on where it was, once, and nothing trains on unseen.

What holds on one machine and on a cluster alike is in test_dispatcher.py.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_worker import DispatcherHarness, alive, wait_for
from ray_nodes import Node, Nodes

from cnnlab import settings
from cnnlab.cli import main
from cnnlab.experiment import Experiment
from cnnlab.jobs.devices import ClusterSlots, RunningJob
from cnnlab.jobs.job import Job
from cnnlab.jobs.local_runner import AdoptedWorker
from cnnlab.jobs.ray import preflight
from cnnlab.jobs.ray.parent_death_signal import die_with_parent
from cnnlab.jobs.ray.runner import ClusterUnavailable, RayRunner, connect, forwarded_environment, gpu_fraction
from cnnlab.storage import process_lock

pytestmark = pytest.mark.slow

on_a_cluster = pytest.mark.parametrize("lab", [pytest.param("ray", marks=pytest.mark.ray)], indirect=True)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


# -- whoever is killed -----------------------------------------------------------------------------------------------


@pytest.mark.nightly
@on_a_cluster
def test_a_worker_ends_with_its_task_and_the_job_goes_on_from_its_last_epoch(lab: DispatcherHarness) -> None:
    job = lab.ask(0, hold=3)
    lab.dispatcher()
    wait_for(lambda: lab.waits(job))
    worker = lab.starts(job)[0]
    os.kill(parent(worker), signal.SIGKILL)
    wait_for(lambda: not alive(worker))
    lab.let_go(job)
    assert lab.ends(job) == ["done"], lab.log()
    assert (len(lab.starts(job)), lab.queue.get(job.id).crashes) == (2, 1)
    assert lab.has_whole_history(job)


@pytest.mark.nightly
@on_a_cluster
def test_workers_end_with_their_dispatcher_and_the_next_one_resumes_the_job(
    lab: DispatcherHarness,
) -> None:
    job = lab.ask(0, hold=3)
    first = lab.dispatcher()
    wait_for(lambda: lab.waits(job))
    first.kill()
    first.wait()
    lab.dispatcher()
    wait_for(lambda: len(lab.starts(job)) == 2, tell=lab.log)
    assert not alive(lab.starts(job)[0])
    lab.let_go(job)
    assert lab.ends(job) == ["done"], lab.log()
    assert (len(lab.starts(job)), lab.queue.get(job.id).crashes) == (2, 0)
    assert lab.has_whole_history(job)


@pytest.mark.nightly
@on_a_cluster
def test_a_training_whose_task_is_killed_has_the_history_of_an_uninterrupted_one(
    lab: DispatcherHarness, tmp_path: Path
) -> None:
    """To the last digit: on the cluster's processors each has one thread."""
    tiny = {"dataset": "shapes", "train_images": 64, "filters": 4, "dense": 8, "depth": 1, "epochs": 15}
    experiment = Experiment(**tiny)  # type: ignore[arg-type]
    alone = [sys.executable, "-m", "cnnlab", "train", "--threads", "1", "--json", experiment.to_json()]
    environment = os.environ | {"PYTHONPATH": str(settings.REPOSITORY), "CNNLAB_HOME": str(tmp_path / "other")}
    uninterrupted = subprocess.Popen(alone, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lab.processes.append(uninterrupted)
    job = lab.queue.submit(experiment, "ada")
    lab.dispatcher(worker="train")
    folder = settings.runs_dir() / job.key
    wait_for(lambda: len(lab.read(job, "history.csv").splitlines()) > 3, 120, lab.log)
    holder = process_lock.lock_owner(folder / "lock")
    assert holder is not None
    os.kill(parent(holder.pid), signal.SIGKILL)
    assert lab.ends(job, seconds=150) == ["done"], lab.read(job, "worker.log")
    assert lab.queue.get(job.id).crashes == 1
    assert uninterrupted.wait(120) == 0
    other = tmp_path / "other" / "runs" / job.key / "history.csv"
    assert lab.read(job, "history.csv") == other.read_text()


# -- GPUs ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gpu_machine(cluster: Nodes) -> Iterator[Node]:
    """A machine that joins the cluster. Ray is told of a GPU that is not there; the stand-in has no use for one."""
    machine = cluster.join("--num-cpus=0", "--num-gpus=1")
    yield machine
    cluster.leave(machine)


@pytest.mark.nightly
@on_a_cluster
def test_jobs_share_a_gpu_and_one_out_of_memory_is_retried_exclusively(
    lab: DispatcherHarness, gpu_machine: Node
) -> None:
    first = lab.ask(0, epochs=2, first="ResourceExhaustedError: OOM when allocating tensor")
    second = lab.ask(1, hold=3, person="bob")
    lab.dispatcher(slots=None, per_gpu=2)
    wait_for(lambda: lab.queue.get(first.id).exclusive and lab.waits(second), tell=lab.log)
    assert lab.queue.get(first.id).state == "queued"
    lab.let_go(second)
    assert lab.ends(first, second) == ["done"] * 2, lab.log()
    first, second = lab.queue.get(first.id), lab.queue.get(second.id)
    assert (lab.read(first, "gpus"), lab.read(second, "gpus")) == ("0", "0")
    assert (first.attempts, first.crashes) == (2, 0)
    assert first.started is not None and second.finished is not None and first.started >= second.finished


@pytest.mark.nightly
@on_a_cluster
def test_when_a_machine_is_lost_its_jobs_go_on_on_another(lab: DispatcherHarness, gpu_machine: Node) -> None:
    """All begin on the machine that has a GPU. When it is gone there are the processors of the other one."""
    jobs = [lab.ask(seed, hold=3) for seed in range(2)]
    lab.dispatcher(slots=None, per_gpu=2)
    wait_for(lambda: all(lab.waits(job) for job in jobs), tell=lab.log)
    workers = [lab.starts(job)[0] for job in jobs]
    assert {parent(worker) for worker in workers} <= set(gpu_machine.pids("ray::"))
    for pid in gpu_machine.pids():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(alive(worker) for worker in workers))
    lab.let_go(*jobs)
    assert lab.ends(*jobs) == ["done"] * 2, lab.log()
    assert all(len(lab.starts(job)) == 2 and lab.has_whole_history(job) for job in jobs)
    assert [lab.read(job, "gpus") for job in jobs] == ["-1"] * 2  # none
    assert [lab.queue.get(job.id).crashes for job in jobs] == [0, 0]  # it is not their fault


@pytest.mark.parametrize("per_gpu", range(1, 65))
def test_as_many_jobs_fit_on_a_gpu_as_are_asked_for(per_gpu: int) -> None:
    """Ray counts in whole ten-thousandths of a GPU."""
    parts = round(gpu_fraction(per_gpu) * 10_000)
    assert gpu_fraction(per_gpu) == parts / 10_000
    assert 10_000 // parts == per_gpu


# -- room on a cluster -----------------------------------------------------------------------------------------------


def job(alone: bool = False) -> Job:
    fields = dict.fromkeys(("reason", "started", "finished"))
    numbers = dict.fromkeys(("id", "attempts", "crashes", "submitted", "worked"), 0)
    texts = dict.fromkeys(("key", "experiment_json", "state", "device"), "")
    return Job(**fields, **numbers, **texts, exclusive=alone, requesters=())  # type: ignore[arg-type]


def test_a_cluster_takes_as_many_jobs_as_it_has_places_wherever_they_are() -> None:
    cluster = ClusterSlots("GPUs", slots=2, whole=1)
    assert cluster.allocator([RunningJob("GPUs", exclusive=False)]).allocate(job()) == "GPUs"
    assert (
        cluster.allocator([RunningJob("GPUs", exclusive=False), RunningJob("", exclusive=False)]).allocate(job())
        is None
    )
    assert ClusterSlots("GPUs", slots=0, whole=1).allocator([]).allocate(job()) is None


def test_an_exclusive_job_waits_for_a_whole_gpu_before_all_others() -> None:
    cluster, beside = ClusterSlots("GPUs", slots=4, whole=2), RunningJob("GPUs", exclusive=False)
    assert cluster.allocator([beside, beside]).allocate(job(alone=True)) == "GPUs"
    assert cluster.allocator([RunningJob("GPUs", exclusive=True), beside]).allocate(job()) == "GPUs"
    assert cluster.allocator([RunningJob("GPUs", exclusive=True), beside, beside]).allocate(job()) is None
    look = cluster.allocator([beside, beside, beside])
    assert look.allocate(job(alone=True)) is None
    assert look.allocate(job()) is None  # though there is a place for it: else the one before it would wait for ever


def test_a_job_alone_gets_its_gpu_though_fewer_jobs_are_allowed_than_would_share_it() -> None:
    assert ClusterSlots("GPUs", slots=1, whole=2).allocator([]).allocate(job(alone=True)) == "GPUs"


# -- what travels, and what does not ---------------------------------------------------------------------------------


def test_a_worker_on_another_machine_gets_the_home_and_the_cap_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setenv("CNNLAB_TEACHER_KEY", "correct horse battery")
    (tmp_path / "settings.json").write_text('{"gpu_megabytes": 4000}')
    variables = forwarded_environment()
    assert (variables["CNNLAB_HOME"], variables["CNNLAB_GPU_MEGABYTES"]) == (str(tmp_path), "4000")
    assert "correct horse battery" not in variables.values()


@pytest.mark.posix
def test_a_process_of_this_machine_gets_no_signal_that_is_meant_for_one_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same number, on another machine, holds the lock; here somebody else has it."""
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    lock = process_lock.acquire(settings.runs_dir() / job().key / "lock", write_owner=False)
    assert lock is not None
    with lock, monkeypatch.context() as elsewhere:
        elsewhere.setattr("socket.gethostname", lambda: "node-7")
        lock.write_owner(bystander.pid, inherited=True)
        elsewhere.undo()
        worker = AdoptedWorker(job())
        assert worker.stop()
        worker.kill()
        assert bystander.poll() is None
        lock.write_owner(bystander.pid, inherited=True)
        worker.kill()
        assert bystander.wait(20) == -signal.SIGKILL


@pytest.mark.linux
def test_a_command_dies_with_its_parent_process(tmp_path: Path) -> None:
    sleeper = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(60)"
    script = "import subprocess, sys; from cnnlab.jobs.ray.parent_death_signal import die_with_parent; "
    script += "subprocess.run(die_with_parent([sys.executable, '-c', *sys.argv[1:]]))"
    variables = tmp_path / "pid"
    environment = os.environ | {"PYTHONPATH": str(settings.REPOSITORY)}
    keeper = subprocess.Popen([sys.executable, "-c", script, sleeper, str(variables)], env=environment)
    wait_for(lambda: variables.exists() and variables.read_text())
    assert alive(int(variables.read_text()))
    keeper.kill()
    keeper.wait()
    wait_for(lambda: not alive(int(variables.read_text())))


@pytest.mark.linux
def test_a_command_whose_keeper_has_gone_already_never_begins(tmp_path: Path) -> None:
    command = die_with_parent([sys.executable, "-c", "open('begun', 'w')"])
    command[3] = "1"  # another than its parent
    environment = os.environ | {"PYTHONPATH": str(settings.REPOSITORY)}
    assert subprocess.run(command, env=environment, cwd=tmp_path, check=False).returncode == -signal.SIGKILL
    assert not (tmp_path / "begun").exists()


# -- is a machine fit to train? --------------------------------------------------------------------------------------


def checked(address: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cnnlab", "dispatch", "--runner", "ray", "--address", address, "--check"]
    environment = os.environ | {"PYTHONPATH": str(settings.REPOSITORY)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.nightly
@on_a_cluster
def test_every_machine_is_asked_whether_it_can_train(lab: DispatcherHarness, cluster: Nodes) -> None:
    done = checked(cluster.address)
    assert (done.returncode, done.stdout) == (0, f"ok    {socket.gethostname()}  trains here\n"), done.stderr
    assert not (settings.runs_dir() / ".check").exists()


def test_a_machine_that_does_not_share_the_runs_or_their_locks_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    assert preflight.check_this_machine() == f"does not share {tmp_path}/runs with the dispatcher's machine"
    lock = process_lock.acquire(settings.runs_dir() / ".check")
    assert lock is not None
    with lock:
        assert preflight.check_this_machine() == ""
    assert preflight.check_this_machine().startswith("does not see the dispatcher's lock")


# -- no Ray, no cluster ----------------------------------------------------------------------------------------------


def test_without_ray_one_sentence_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        ClusterUnavailable, match=r"^Ray is not installed here: pip install -r deploy/requirements-ray\.txt$"
    ):
        connect("auto")
    assert (settings.REPOSITORY / "deploy" / "requirements-ray.txt").is_file()


@pytest.mark.ray
@pytest.mark.nightly
def test_without_a_cluster_the_dispatcher_leaves_with_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cnnlab", "dispatch", "--runner", "ray", "--address"]
    environment = os.environ | {"PYTHONPATH": str(settings.REPOSITORY), "CNNLAB_HOME": str(tmp_path)}
    for address, reason in (("127.0.0.1:1", "(Connection refused)"), ("here", "")):
        done = subprocess.run([*command, address], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        [line] = done.stderr.splitlines()
        assert line.startswith(f"No Ray cluster answers at {address} {reason}")
        assert line.endswith(": start one with `ray start --head`.")


def test_what_is_about_a_cluster_is_refused_without_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dispatch", "--per-gpu", "2"]) == 2
    assert capsys.readouterr().err == "--address, --per-gpu and --check are about a cluster: add --runner ray.\n"


def test_a_gpu_for_less_than_one_training_is_refused() -> None:
    with pytest.raises(settings.SettingsError, match="Received: per_gpu=0"):
        RayRunner("127.0.0.1:1", per_gpu=0)
