"""Training from the terminal without the queue, with real processes: the fake worker trains in a second."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fake_worker import DispatcherHarness, wait_for

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.jobs.foreground import TrainingTask, progress_text, train_tasks
from cnnlab.jobs.job import Job
from cnnlab.layer_order_study import STUDY_CASES, case_task
from cnnlab.operating_system import machine
from cnnlab.report_models import REPORT
from cnnlab.reproduce import model_task
from cnnlab.storage import process_lock
from cnnlab.storage.run_record import RunRecord

pytestmark = pytest.mark.slow
PROGRAM = """
import json, signal, sys
from pathlib import Path
from cnnlab.experiment import Experiment
from cnnlab.jobs.foreground import TrainingTask, train_tasks

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what runs in its background without it
tasks = [TrainingTask(name, Experiment.from_json(text), Path(folder), command)
         for name, text, folder, command in json.loads(sys.argv[1])]
print(train_tasks(tasks))
"""


def task(lab: DispatcherHarness, job: Job) -> TrainingTask:
    folder = settings.runs_dir() / job.key
    command = [sys.executable, str(lab.home / "worker.py"), str(folder), str(job.experiment.epochs)]
    return TrainingTask(f"run {job.id}", job.experiment, folder, command)


def start(lab: DispatcherHarness, *jobs: Job) -> subprocess.Popen[str]:
    tasks = [task(lab, job) for job in jobs]
    plain = [(one.name, one.experiment.to_json(), str(one.directory), list(one.command)) for one in tasks]
    environment = os.environ | {"PYTHONPATH": str(settings.REPOSITORY)}
    command = [sys.executable, "-c", PROGRAM, json.dumps(plain)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_all_runs_are_trained_one_on_each_core_and_failed_names_are_returned(lab: DispatcherHarness) -> None:
    jobs = [lab.ask(0, epochs=2), lab.ask(1, fail="The disk is full."), lab.ask(2, epochs=2)]
    assert train_tasks([task(lab, job) for job in jobs]) == ["run 2"]
    assert lab.has_whole_history(jobs[0]) and lab.has_whole_history(jobs[2])
    assert [len(lab.starts(job)) for job in jobs] == [1, 1, 1]


def test_with_one_slot_the_runs_are_trained_one_after_the_other(lab: DispatcherHarness) -> None:
    jobs = [lab.ask(seed, epochs=3) for seed in range(2)]
    assert train_tasks([task(lab, job) for job in jobs], slots=1) == []
    started = [(settings.runs_dir() / job.key / "starts").stat().st_mtime for job in jobs]
    assert (settings.runs_dir() / jobs[0].key / "history.json").stat().st_mtime <= started[1]


def test_a_killed_worker_is_resumed_from_its_last_epoch(lab: DispatcherHarness) -> None:
    job = lab.ask(0, die=[2, 3])
    assert train_tasks([task(lab, job)]) == []
    assert len(lab.starts(job)) == 3 and lab.has_whole_history(job)


def test_a_worker_that_dies_a_fourth_time_has_failed(lab: DispatcherHarness) -> None:
    job = lab.ask(0, die=[1, 2, 3, 4])
    assert train_tasks([task(lab, job)]) == ["run 1"]
    assert len(lab.starts(job)) == 4


def test_a_run_that_is_trained_already_is_watched_and_not_trained_twice(lab: DispatcherHarness) -> None:
    job, other = lab.ask(0, epochs=30), lab.ask(1, epochs=2)
    worker = subprocess.Popen(task(lab, job).command, env=os.environ | {"PYTHONPATH": str(settings.REPOSITORY)})
    lab.processes.append(worker)
    wait_for(lambda: lab.starts(job))
    assert train_tasks([task(lab, job), task(lab, other)], slots=1) == []
    assert lab.starts(job) == [worker.pid] and lab.has_whole_history(job) and lab.has_whole_history(other)


@pytest.mark.posix
def test_ctrl_c_stops_the_workers_and_the_same_call_resumes_them(lab: DispatcherHarness) -> None:
    jobs = [lab.ask(seed, hold=2) for seed in range(2)]
    first = start(lab, *jobs)
    wait_for(lambda: lab.waits(jobs[0]))
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=30)
    assert json.loads(lab.read(jobs[0], "record.json"))["state"] == "stopped"
    assert not any(process_lock.is_locked(settings.runs_dir() / job.key / "lock") for job in jobs)
    lab.let_go(*jobs)
    assert train_tasks([task(lab, job) for job in jobs]) == []
    assert len(lab.starts(jobs[0])) == 2 and all(lab.has_whole_history(job) for job in jobs)


def test_a_finished_run_starts_no_worker(lab: DispatcherHarness) -> None:
    job = lab.ask(0, epochs=1)
    assert train_tasks([task(lab, job)]) == train_tasks([task(lab, job)]) == []
    assert len(lab.starts(job)) == 1


def test_a_worker_is_pinned_to_one_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    program = "import sys; open(sys.argv[1], 'w').write(' '.join(sys.argv[2:]))"
    command = [sys.executable, "-c", program, str(tmp_path / "saw")]
    train_tasks([TrainingTask("one", Experiment(dataset="shapes"), tmp_path / "run", command)])
    option, core = (tmp_path / "saw").read_text().split()
    assert option == "--core" and int(core) in machine.cores()


def test_workers_of_reproduce_and_the_study_have_one_thread_or_their_recorded_number() -> None:
    assert "--threads 1 --json" in " ".join(model_task("2conv-none").command)
    study = case_task(1, 30, "float32")
    assert list(study.command[-7:]) == ["layer-order", "--case", "1", "--epochs", "30", "--precision", "float32"]
    assert study.directory.parent == settings.home() / "placements"
    assert case_task(0, 30, "float32").directory == settings.runs_dir() / REPORT["3conv-dropout"].experiment.key
    assert len({case_task(number, 30, "float32").name for number in range(len(STUDY_CASES))}) == len(STUDY_CASES)


def test_the_progress_names_epoch_accuracy_and_remaining_time() -> None:
    record = RunRecord(epochs_done=4, epoch_seconds=(90.0, 10.0, 10.0, 10.0, 10.0, 10.0), final={"val_accuracy": 0.5})
    assert progress_text(record, Experiment()) == "epoch 4 of 30, validation 0.5000, 4 min left"
    assert "test 0.5000" in progress_text(record, Experiment(split="test"))
    assert progress_text(RunRecord(), Experiment()) == "epoch 0 of 30, 0 s left"
