"""Standby workers in real processes: each becomes the worker of a job, or ends with its dispatcher."""

import os
import signal
import subprocess
import sys
import time

import pytest
from fake_worker import alive, wait_for

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.jobs import standby
from cnnlab.jobs.devices import CPU, DeviceSlots
from cnnlab.jobs.standby import StandbyPool, StandbyWorker
from cnnlab.storage import process_lock, run_record

pytestmark = [pytest.mark.slow, pytest.mark.posix]

WORKER = """if True:
    import sys, time
    from cnnlab import settings
    from cnnlab.storage import process_lock
    from cnnlab.training.standby import JobReceiver
    import socket
    receiver = JobReceiver(socket.socket(fileno=int(sys.argv[-1])))
    print("ready for a job", flush=True)
    receiver.received.wait()
    receiver.redirect_output()
    lock = process_lock.acquire(settings.home() / "run" / "lock", timeout=0)
    print("trains", receiver.experiment_json, lock is not None, flush=True)
    time.sleep(600)
"""
ONE_SLOT = DeviceSlots([], 1)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setenv("CNNLAB_STANDBY_WORKERS", "1")
    monkeypatch.setattr(standby, "available_bytes", lambda: 8e9)
    return tmp_path


@pytest.fixture
def workers(monkeypatch):
    """The workers are a program that needs no TensorFlow, and waits after the hand-over."""
    monkeypatch.setattr(standby, "cnnlab_command", lambda *words: [sys.executable, "-c", WORKER, *words])
    monkeypatch.setattr(standby, "START_SECONDS", 0.0)
    started = []
    start = StandbyWorker.__init__

    def remember(worker, *arguments):
        start(worker, *arguments)
        started.append(worker)

    monkeypatch.setattr(StandbyWorker, "__init__", remember)
    yield started
    for worker in started:
        worker.discard()


def new_pool(environment=lambda device: {}):
    return StandbyPool(environment, 0)


def hand_over(pool, home, threads=None):
    worker = pool.take(CPU, threads)
    with process_lock.acquire(home / "run" / "lock", write_owner=False) as lock:
        return worker.hand_over("{}", lock, home / "run" / "worker.log")


def test_a_standby_worker_takes_over_the_lock_and_the_log_of_its_job(home, workers):
    pool = new_pool()
    pool.maintain(ONE_SLOT)
    process = hand_over(pool, home)
    log, lock = home / "run" / "worker.log", home / "run" / "lock"
    assert process_lock.is_locked(lock)  # from the moment of the hand-over
    wait_for(lambda: log.read_text().endswith("trains {} True\n"), tell=log.read_text)
    owner = process_lock.lock_owner(lock)
    assert owner.pid == process.pid and owner.inherited
    process.kill()
    wait_for(lambda: not process_lock.is_locked(lock))


def test_one_that_was_used_is_replaced_and_serves_no_second_job(home, workers, monkeypatch):
    monkeypatch.setattr(standby, "REPLACE_SECONDS", 0.0)
    pool = new_pool()
    pool.maintain(ONE_SLOT)
    pool.maintain(ONE_SLOT)
    assert len(workers) == 1
    first = hand_over(pool, home)
    assert pool.take(CPU, None) is None
    pool.maintain(ONE_SLOT)
    assert len(workers) == 2 and pool.take(CPU, None).process.pid != first.pid


def test_one_that_was_killed_is_not_handed_out_and_later_replaced(workers, monkeypatch):
    pool = new_pool()
    pool.maintain(ONE_SLOT)
    workers[0].process.kill()
    wait_for(lambda: not workers[0].is_alive)
    assert pool.take(CPU, None) is None
    pool.maintain(ONE_SLOT)
    assert len(workers) == 1  # not at once: it may die again
    pool.next_start = time.monotonic()
    pool.maintain(ONE_SLOT)
    assert len(workers) == 2 and pool.workers == workers[1:]


def test_a_run_with_another_number_of_threads_gets_none(workers):
    pool = new_pool(lambda device: {"TF_NUM_INTRAOP_THREADS": "1"})
    pool.maintain(ONE_SLOT)
    assert pool.take(CPU, 2) is None
    assert pool.take(CPU, 1) is workers[0]


def test_one_with_other_variables_than_its_device_now_needs_is_replaced(workers):
    threads = ["2"]
    pool = new_pool(lambda device: {"TF_NUM_INTRAOP_THREADS": threads[0]})
    pool.maintain(ONE_SLOT)
    threads[0] = "1"
    pool.maintain(ONE_SLOT)
    wait_for(lambda: not workers[0].is_alive)
    assert pool.take(CPU, 1) is workers[1]


def test_they_are_given_up_when_memory_is_short(workers, monkeypatch):
    pool = new_pool()
    pool.maintain(ONE_SLOT)
    monkeypatch.setattr(standby, "available_bytes", lambda: standby.KEEP_BYTES - 1)
    pool.maintain(ONE_SLOT)
    wait_for(lambda: not workers[0].is_alive)
    assert pool.workers == []
    monkeypatch.setattr(standby, "available_bytes", lambda: standby.START_BYTES - 1)
    pool.maintain(ONE_SLOT)
    assert pool.workers == []


def test_the_settings_can_do_without_them(workers, monkeypatch):
    monkeypatch.setenv("CNNLAB_STANDBY_WORKERS", "0")
    new_pool().maintain(ONE_SLOT)
    assert workers == []


def test_a_standby_worker_ends_when_its_dispatcher_is_killed(home):
    script = f"""if True:
        import sys, time
        from cnnlab.jobs import standby
        standby.cnnlab_command = lambda *words: [sys.executable, "-c", {WORKER!r}, *words]
        worker = standby.StandbyWorker("CPU", {{}}, 0)
        print(worker.process.pid, flush=True)
        time.sleep(600)
    """
    environment = os.environ | {"PYTHONPATH": str(settings.REPOSITORY)}
    dispatcher = subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True)
    worker = int(dispatcher.stdout.readline())
    wait_for(lambda: "ready" in (home / "standby.log").read_text())
    assert alive(worker)
    dispatcher.send_signal(signal.SIGKILL)
    dispatcher.wait()
    wait_for(lambda: not alive(worker))


@pytest.mark.nightly
def test_a_training_by_a_standby_worker_is_that_of_a_fresh_process_to_the_last_bit(home, tmp_path_factory, monkeypatch):
    experiment = Experiment(dataset="shapes", depth=2, regularizer="dropout", filters=4, train_images=320, epochs=2)
    pool = new_pool(lambda device: {"TF_NUM_INTRAOP_THREADS": "1"})
    pool.maintain(ONE_SLOT)
    wait_for(lambda: standby.READY in standby.log_path().read_text(), 240, standby.log_path().read_text)
    folder = home / "runs" / experiment.key
    with process_lock.acquire(folder / "lock", write_owner=False) as lock:
        process = pool.take(CPU, None).hand_over(experiment.to_json(), lock, folder / "worker.log")
    assert process.wait(240) == 0, (folder / "worker.log").read_text()
    other = tmp_path_factory.mktemp("fresh")
    (other / "data").symlink_to(home / "data")
    monkeypatch.setenv("CNNLAB_HOME", str(other))
    command = [sys.executable, "-m", "cnnlab", "train", "--threads", "1", "--json", experiment.to_json()]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for name in ("history.csv", "weights/002.npz", "predictions.npz"):
        assert (folder / name).read_bytes() == (other / "runs" / experiment.key / name).read_bytes(), name
    records = [run_record.read_record(home / "runs" / experiment.key) for home in (home, other)]
    assert [record.threads for record in records] == [1, 1]
    assert "epoch 2" in (folder / "worker.log").read_text()
