"""Limits: each is kept however one asks, each refusal is a sentence with its number; the teacher answers for all."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from home_settings import write_settings

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.jobs import devices, quotas, top_activations_job
from cnnlab.jobs import dispatcher as dispatcher_module
from cnnlab.jobs import queue as queue_module
from cnnlab.jobs.admin import Admin, is_teacher
from cnnlab.jobs.devices import DeviceSlots, Gpu, RunningJob
from cnnlab.jobs.dispatcher import Dispatcher, StopFlag
from cnnlab.jobs.job import Job
from cnnlab.jobs.local_runner import LocalRunner, gpu_environment
from cnnlab.jobs.log_rotation import rotate
from cnnlab.jobs.queue import Queue
from cnnlab.jobs.queue_schema import MIGRATIONS
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.jobs.worker_outcome import outcome_from_exit_code, outcome_from_record
from cnnlab.operating_system import processes
from cnnlab.storage import files, process_lock, run_retention, runs


def shapes(seed: int, **fields: object) -> Experiment:
    return Experiment(dataset="shapes", seed=seed, **{"epochs": 5, **fields})  # type: ignore[arg-type]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    yield tmp_path
    for lock in settings.runs_dir().glob("*/lock"):
        if holder := process_lock.lock_owner(lock):
            processes.kill(holder.pid)


@pytest.fixture
def queue(home: Path) -> Queue:
    return Queue()


# -- asking ----------------------------------------------------------------------------------------------------------


def test_a_person_has_only_so_many_trainings_at_a_time_and_others_have_theirs(home: Path, queue: Queue) -> None:
    write_settings(jobs_per_person=2)
    first, _ = queue.submit(shapes(0), "ada"), queue.submit(shapes(1), "ada")
    with pytest.raises(
        QuotaExceeded, match=r"^2 trainings of yours wait or run, and 2 at a time are allowed: stop one"
    ):
        queue.submit(shapes(2), "ada")
    assert queue.submit(shapes(2), "bob").state == "queued"
    queue.cancel(first, "ada")
    assert queue.submit(shapes(3), "ada").state == "queued"


def test_a_running_training_counts_and_a_finished_one_does_not(home: Path, queue: Queue) -> None:
    write_settings(jobs_per_person=1)
    job = queue.submit(shapes(0), "ada")
    assert queue.claim() is not None
    with pytest.raises(QuotaExceeded, match=r"^A training of yours is on, and 1 at a time is allowed"):
        queue.submit(shapes(1), "ada")
    queue.finish(job, "done")
    assert queue.submit(shapes(1), "ada").state == "queued"


def test_what_somebody_asked_for_already_may_be_joined_beyond_the_limit(home: Path, queue: Queue) -> None:
    write_settings(jobs_per_person=1)
    queue.submit(shapes(0), "ada")
    other = queue.submit(shapes(1), "bob")
    assert queue.submit(shapes(1), "ada").id == other.id
    assert queue.get(other.id).requesters == ("bob", "ada")


def test_the_queue_has_a_maximum_length(home: Path, queue: Queue) -> None:
    write_settings(queue_length=2)
    for number in range(2):
        queue.submit(shapes(number), f"p{number}")
    with pytest.raises(QuotaExceeded, match=r"^2 trainings wait already, and no more than 2 may"):
        queue.submit(shapes(2), "eve")
    queue.claim()
    assert queue.submit(shapes(2), "eve").state == "queued"


def test_too_many_epochs_are_refused_with_both_numbers(home: Path, queue: Queue) -> None:
    write_settings(epochs=30)
    with pytest.raises(QuotaExceeded, match=r"^At most 30 epochs are trained here. Received: epochs=31$"):
        queue.submit(shapes(0, epochs=31), "ada")
    assert queue.submit(shapes(0, epochs=30), "ada").state == "queued"


def test_who_asks_too_often_within_a_minute_waits_and_who_leaves_again_gains_nothing(
    home: Path, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_settings(submissions_per_minute=3)
    for number in range(3):
        queue.cancel(queue.submit(shapes(number), "ada"), "ada")
    with pytest.raises(
        QuotaExceeded, match=r"^You have asked 3 times within a minute, the limit is 3: wait a moment.$"
    ):
        queue.submit(shapes(9), "ada")
    later = time.time() + 61
    monkeypatch.setattr(queue_module.time, "time", lambda: later)
    assert queue.submit(shapes(9), "ada").state == "queued"


def test_asking_twice_for_ones_own_training_is_never_refused(home: Path, queue: Queue) -> None:
    write_settings(submissions_per_minute=1, jobs_per_person=1, queue_length=1)
    job = queue.submit(shapes(0), "ada")
    assert [queue.submit(shapes(0), "ada").id for _ in range(5)] == [job.id] * 5


def test_a_refusal_leaves_the_queue_as_it_was(home: Path, queue: Queue) -> None:
    write_settings(jobs_per_person=1)
    queue.submit(shapes(0), "ada")
    before = queue.revision()
    with pytest.raises(QuotaExceeded):
        queue.submit(shapes(1), "ada")
    assert (queue.revision(), len(queue.active())) == (before, 1)


def test_thirty_clicks_at_the_same_moment_pass_no_limit(home: Path, queue: Queue) -> None:
    write_settings(jobs_per_person=2, queue_length=3)

    def click(number: int) -> bool:
        try:
            Queue().submit(shapes(number), f"p{number % 2}")
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(click, range(30))) == 3
    assert len(queue.active()) == 3


def test_the_teacher_is_held_to_no_limit_of_a_person_but_to_those_of_the_machine(home: Path, queue: Queue) -> None:
    write_settings(teacher="ada", jobs_per_person=1, submissions_per_minute=1, queue_length=3)
    for number in range(3):
        queue.submit(shapes(number), "ada")
    with pytest.raises(QuotaExceeded, match="no more than 3 may"):
        queue.submit(shapes(3), "ada")


# -- one visitor with many names ------------------------------------------------------------------------------------


def test_one_address_with_fresh_names_leaves_places_for_other_addresses(home: Path, queue: Queue) -> None:
    for number in range(45):
        queue.submit(shapes(number), f"fresh{number}", address="one")
    with pytest.raises(QuotaExceeded, match=r"^From your network 45 trainings wait already, and 45 may"):
        queue.submit(shapes(99), "fresh99", address="one")
    assert [queue.submit(shapes(100 + n), f"other{n}", address="two").state for n in range(15)] == ["queued"] * 15


def test_trainings_of_one_address_take_turns_with_those_of_others(home: Path, queue: Queue) -> None:
    for number in range(20):
        queue.submit(shapes(number), f"fresh{number}", address="one")
    for number in range(3):
        queue.submit(shapes(50 + number), f"other{number}", address="two")
    claimed = [queue.claim() for _ in range(8)]
    assert [job.requesters[0][:5] for job in claimed if job] == [
        "fresh",
        "other",
        "fresh",
        "other",
        "fresh",
        "other",
    ] + ["fresh"] * 2


def test_without_an_address_the_order_is_that_of_asking(home: Path, queue: Queue) -> None:
    for number in range(6):
        queue.submit(shapes(number), f"p{number}")
    assert [job.requesters[0] for job in queue.waiting()] == [f"p{number}" for number in range(6)]


def test_the_last_places_are_kept_for_people_who_have_none_waiting(home: Path, queue: Queue) -> None:
    write_settings(queue_length=8)
    for number in range(6):
        queue.submit(shapes(number), f"p{number // 2}")
    with pytest.raises(
        QuotaExceeded, match=r"^6 trainings wait, one of yours among them, and the last 2 places are kept"
    ):
        queue.submit(shapes(9), "p0")
    assert queue.submit(shapes(9), "new").state == "queued"
    write_settings(queue_length=8, reserved_percent=0)
    assert queue.submit(shapes(10), "p0").state == "queued"


def test_an_address_asks_only_so_often_whatever_the_names(home: Path, queue: Queue) -> None:
    write_settings(address_submissions_per_minute=3)
    for number in range(3):
        queue.cancel(queue.submit(shapes(number), f"p{number}", address="one"), f"p{number}")
    with pytest.raises(QuotaExceeded, match=r"^From your network 3 requests have come within a minute, the limit is 3"):
        queue.submit(shapes(9), "p9", address="one")
    assert queue.submit(shapes(9), "p9", address="two").state == "queued"


def test_the_cost_of_a_training_is_counted_in_trainings_of_the_reports_network() -> None:
    report = Experiment(depth=3)
    assert quotas.training_cost(report) == 1
    assert quotas.training_cost(Experiment(depth=3, epochs=60)) == 2
    assert quotas.training_cost(Experiment(depth=3, filters=256, epochs=200)) > 90


def test_what_one_person_asks_for_may_cost_only_so_much(home: Path, queue: Queue) -> None:
    with pytest.raises(QuotaExceeded, match=r"^Your trainings would cost as much as 91.5 of .*, and 30 at a time"):
        queue.submit(Experiment(depth=3, filters=256, epochs=200), "ada")
    write_settings(cost_per_person=3, address_cost=4)
    first = queue.submit(Experiment(depth=3, epochs=60), "ada", address="one")
    with pytest.raises(QuotaExceeded, match=r"^Your trainings would cost as much as 4 of"):
        queue.submit(Experiment(depth=3, epochs=60, seed=1), "ada", address="one")
    with pytest.raises(QuotaExceeded, match=r"^The trainings from your network would cost as much as 5 of"):
        queue.submit(Experiment(depth=3, epochs=90, seed=2), "bob", address="one")
    queue.cancel(first, "ada")
    assert queue.submit(Experiment(depth=3, epochs=60, seed=1), "ada", address="one").state == "queued"
    assert queue.submit(Experiment(depth=3, filters=256, epochs=200), "eve", is_teacher=True).state == "queued"


# -- the admin -------------------------------------------------------------------------------------------------------


def test_nobody_but_the_teacher_may_act_as_admin(home: Path, queue: Queue) -> None:
    with pytest.raises(QuotaExceeded, match="Only the teacher"):
        Admin(queue, "")
    write_settings(teacher="ada@school.org", teacher_key="correct horse battery")
    with pytest.raises(QuotaExceeded, match="Only the teacher"):
        Admin(queue, "bob", key="wrong horse battery")
    assert is_teacher("Ada@School.org") and is_teacher("bob", "correct horse battery")
    assert not is_teacher("bob") and not is_teacher("bob", "")


def test_a_student_stops_only_their_own_training_and_the_teacher_any(home: Path, queue: Queue) -> None:
    write_settings(teacher="ada")
    job = queue.submit(shapes(0), "bob")
    with pytest.raises(queue_module.NotRequester, match="Only who asked"):
        queue.cancel(job, "eve")
    assert Admin(queue, "ada").stop(job).state == "cancelled"


def test_what_failed_is_asked_for_again_in_the_teachers_name(home: Path, queue: Queue) -> None:
    write_settings(teacher="ada")
    job = queue.submit(shapes(0), "bob")
    queue.finish(job, "failed", "the disk was full")
    again = Admin(queue, "ada").retry(job)
    assert (again.state, again.requesters, again.key) == ("queued", ("ada",), job.key)


def test_a_closed_queue_takes_nothing_new_and_finishes_what_it_has(home: Path, queue: Queue) -> None:
    write_settings(teacher="ada")
    waiting = queue.submit(shapes(0), "bob")
    Admin(queue, "ada").set_accepting(False)
    assert not queue.is_accepting()
    with pytest.raises(QuotaExceeded, match=r"^No new trainings are accepted at the moment"):
        queue.submit(shapes(1), "bob")
    assert queue.submit(shapes(0), "eve").id == waiting.id
    claimed = queue.claim()
    assert claimed is not None and claimed.id == waiting.id
    Admin(queue, "ada").set_accepting(True)
    assert queue.submit(shapes(1), "bob").state == "queued"


# -- the clock -------------------------------------------------------------------------------------------------------

SLEEPER = "import time; time.sleep(600)"


def rounds(dispatcher: Dispatcher, queue: Queue, job: Job, *states: str) -> Job:
    deadline = time.monotonic() + 120  # much less than ten minutes
    while (found := queue.get(job.id)).state not in states:
        assert time.monotonic() < deadline, found
        dispatcher.heartbeat_at = 0.0
        dispatcher.tick()
        time.sleep(0.02)
    return found


def test_a_training_that_takes_too_long_is_ended_with_the_number(home: Path, queue: Queue) -> None:
    write_settings(job_minutes=0.01)
    job = queue.submit(shapes(0), "ada")
    dispatcher = Dispatcher(queue, LocalRunner(lambda job: [sys.executable, "-c", SLEEPER]))
    ended = rounds(dispatcher, queue, job, "failed", "done")
    assert ended.reason == "It reached the limit of 0.01 minutes for one training."
    assert not process_lock.is_locked(settings.runs_dir() / job.key / "lock")


def test_the_time_of_earlier_attempts_counts(home: Path, queue: Queue) -> None:
    write_settings(job_minutes=10)
    job = queue.submit(shapes(0), "ada")
    queue.claim()
    queue.record_interruption(job, crash="killed.", worked=599.5)
    assert queue.get(job.id).worked == 599.5
    dispatcher = Dispatcher(queue, LocalRunner(lambda job: [sys.executable, "-c", SLEEPER]))
    assert "10 minutes" in str(rounds(dispatcher, queue, job, "failed").reason)


# -- the disk --------------------------------------------------------------------------------------------------------


def finished_run(seed: int, age: float, megabytes: float = 1.0) -> str:
    """A finished run of about this size, last written `age` seconds ago; its key."""
    experiment = shapes(seed)
    folder = settings.runs_dir() / experiment.key
    files.write_bytes(folder / "experiment.json", experiment.to_json().encode())
    files.write_json(folder / "record.json", {"state": "done", "epochs_done": 0, "seconds": 1.0})
    (folder / "model.keras").write_bytes(os.urandom(int(megabytes * 1e6)))
    moment = time.time() - age
    for file in folder.iterdir():
        os.utime(file, (moment, moment))
    return experiment.key


def kept() -> set[str]:
    return {folder.name for folder in settings.runs_dir().iterdir()}


def test_the_longest_unused_run_goes_first_and_only_as_many_as_need_be(home: Path) -> None:
    old, middle, young = (finished_run(number, age=3000 - 1000 * number) for number in range(3))
    room = run_retention.evict_runs(2.5e6, [], viewed_seconds=60)
    assert room.removed == (old,)
    assert kept() == {middle, young}
    assert room.used_bytes == run_retention.total_bytes() <= 2.5e6


def test_what_is_pinned_looked_at_asked_for_or_trained_never_goes(home: Path) -> None:
    keys = [finished_run(number, age=9000 - 1000 * number) for number in range(5)]
    run_retention.pin(keys[0])
    run_retention.mark_viewed(keys[1])
    lock = process_lock.acquire(settings.runs_dir() / keys[3] / "lock")
    assert lock is not None
    with lock:
        room = run_retention.evict_runs(0.0, [keys[2]], viewed_seconds=60)
    assert room.removed == (keys[4],)
    assert kept() == set(keys[:4])
    assert room.used_bytes > 3e6


def test_a_run_that_was_looked_at_long_ago_goes_after_those_that_were_not(home: Path) -> None:
    first, second = finished_run(0, age=9000), finished_run(1, age=8000)
    run_retention.mark_viewed(first)
    long_ago = time.time() - 500
    os.utime(home / "marks" / f"{first}.viewed", (long_ago, long_ago))
    assert run_retention.evict_runs(1.5e6, [], viewed_seconds=60).removed == (second,)


@pytest.mark.parametrize("in_the_way", ["runs/{key}/lock/x", "removed"])
def test_a_run_that_cannot_be_taken_away_stays_and_the_next_one_goes_if_it_can(home: Path, in_the_way: str) -> None:
    """A folder where the lock should be, a file where the folder should be: as good as a disk that refuses."""
    old, young = finished_run(0, age=9000), finished_run(1, age=8000)
    path = home / in_the_way.format(key=old)
    path.parent.mkdir(exist_ok=True)
    path.touch()
    removed = run_retention.evict_runs(0.0, [], viewed_seconds=60).removed
    assert removed == (() if in_the_way == "removed" else (young,))
    assert old in kept()


def test_a_run_whose_top_images_are_looked_for_stays(home: Path) -> None:
    key = finished_run(0, age=9000)
    with process_lock.acquire(settings.runs_dir() / key / top_activations_job.COMPUTATION.lock_name) as lock:
        assert lock is not None and run_retention.evict_runs(0.0, [], viewed_seconds=60).removed == ()
    assert run_retention.evict_runs(0.0, [], viewed_seconds=60).removed == (key,)


def test_an_unpinned_run_may_go_again(home: Path) -> None:
    key = finished_run(0, age=100)
    run_retention.pin(key)
    assert run_retention.is_pinned(key)
    run_retention.pin(key, False)
    assert run_retention.evict_runs(0.0, [], viewed_seconds=60).removed == (key,)
    assert list((home / "marks").iterdir()) == []


def test_only_a_run_that_exists_can_be_pinned(home: Path) -> None:
    for name in ("0123456789abcdef", "../../etc"):
        with pytest.raises(runs.UnknownRun):
            run_retention.pin(name)


def test_the_runs_that_come_with_the_code_are_never_touched(
    home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path_factory.mktemp("pretrained")
    monkeypatch.setattr(settings, "PRETRAINED", shipped)
    (shipped / "3conv-none").mkdir()
    (shipped / "3conv-none" / "model.keras").write_bytes(bytes(10**6))
    assert run_retention.evict_runs(0.0, [], viewed_seconds=0).removed == ()
    assert (shipped / "3conv-none" / "model.keras").exists()


def test_a_training_without_disk_space_fails_and_removes_nothing_in_use(home: Path, queue: Queue) -> None:
    write_settings(runs_gigabytes=0.001)
    key = finished_run(0, age=100, megabytes=2)
    run_retention.pin(key)
    job = queue.submit(shapes(1), "ada")
    dispatcher = Dispatcher(queue, LocalRunner(lambda job: [sys.executable, "-c", ""]))
    dispatcher.tick()
    reason = str(queue.get(job.id).reason)
    assert reason.startswith("The runs take 0.002") and "of the 0.001 GB that they may take" in reason
    run_retention.pin(key, False)
    again = queue.submit(shapes(1), "ada")
    rounds(dispatcher, queue, again, "done")
    assert key not in kept()


@pytest.mark.slow
def test_a_disk_that_refuses_for_a_while_is_said_and_ends_no_dispatcher(
    home: Path, queue: Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dispatcher_module, "RETRY_SECONDS", 0.01)
    refusals, stop = iter([OSError(28, "No space left on device")] * 3), StopFlag()
    job = queue.submit(shapes(0), "ada")

    def room(*_: object) -> run_retention.EvictionResult:
        for refusal in refusals:
            raise refusal
        stop.request(0, None)
        return run_retention.EvictionResult(0)

    monkeypatch.setattr(run_retention, "evict_runs", room)
    Dispatcher(queue, LocalRunner(lambda job: [sys.executable, "-c", ""])).run(stop, idle=30)
    assert stop.requested and "No space left" in caplog.text
    assert queue.get(job.id).state == "running"  # it was begun at last


# -- devices and memory ----------------------------------------------------------------------------------------------


def job_on(device: str = "", alone: bool = False) -> Job:
    return Job(
        id=1, key="k", experiment_json="{}", state="running", reason=None, submitted=0, started=0, finished=None,
        attempts=1, crashes=0, worked=0, exclusive=alone, device=device, requesters=("ada",),
    )  # fmt: skip


def test_slots_are_dealt_out_over_the_gpus_in_turn() -> None:
    assert DeviceSlots(["GPU 0", "GPU 1"], 3).capacity == {"GPU 0": 2, "GPU 1": 1}
    assert DeviceSlots(["GPU 0", "GPU 1"], 1).capacity == {"GPU 0": 1}
    assert DeviceSlots([], 2).capacity == {"CPU": 2}


def test_a_training_goes_where_the_least_is_at_work() -> None:
    where = DeviceSlots(["GPU 0", "GPU 1"], 4)
    assert where.allocator([RunningJob("GPU 0", False)]).allocate(job_on()) == "GPU 1"
    full = [RunningJob(device, False) for device in ("GPU 0", "GPU 1") * 2]
    assert where.allocator(full).allocate(job_on()) is None


def test_a_training_alone_gets_an_empty_gpu_and_nothing_beside_it() -> None:
    where = DeviceSlots(["GPU 0", "GPU 1"], 4)
    assert where.allocator([RunningJob("GPU 0", False)]).allocate(job_on(alone=True)) == "GPU 1"
    assert where.allocator([RunningJob("GPU 0", True)]).allocate(job_on()) == "GPU 1"
    assert DeviceSlots(["GPU 0"], 2).allocator([RunningJob("GPU 0", True)]).allocate(job_on()) is None


def test_where_no_gpu_is_empty_one_takes_nothing_new_until_it_is() -> None:
    look = DeviceSlots(["GPU 0", "GPU 1"], 4).allocator([RunningJob("GPU 0", False), RunningJob("GPU 1", False)])
    assert look.allocate(job_on(alone=True)) is None
    assert look.allocate(job_on()) == "GPU 1"  # GPU 0 is being kept free
    assert DeviceSlots(["GPU 0"], 2).allocator([RunningJob("GPU 0", False)]).allocate(job_on(alone=True)) is None


def test_the_drivers_table_is_read_and_its_complaints_are_not() -> None:
    answer = "0, NVIDIA A100-SXM4-40GB, 40960, 512\n1, NVIDIA L4, 23034, 0\nUnable to determine the device handle\n\n"
    assert devices.parse_nvidia_smi(answer) == [
        Gpu(0, "NVIDIA A100-SXM4-40GB", 40960, 512),
        Gpu(1, "NVIDIA L4", 23034, 0),
    ]
    assert (
        devices.parse_nvidia_smi("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.") == []
    )


def test_gpus_are_asked_of_the_driver_and_may_be_hidden(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = home / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho '0, A, 100, 1'\necho '1, B, 200, 2'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [gpu.device for gpu in devices.list_gpus()] == ["GPU 0", "GPU 1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [gpu.device for gpu in devices.list_gpus()] == ["GPU 1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices.list_gpus() == []
    monkeypatch.setenv("PATH", str(home))
    assert devices.list_gpus() == []


def test_a_worker_on_a_gpu_sees_that_one_only_grows_as_it_needs_and_may_be_capped() -> None:
    found = gpu_environment(Gpu(1, "NVIDIA L4", 20_000, 0), 5_000)
    assert found["CUDA_VISIBLE_DEVICES"] == "1"
    assert found["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    assert found["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert found["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.2500"
    assert "XLA_PYTHON_CLIENT_MEM_FRACTION" not in gpu_environment(Gpu(1, "NVIDIA L4", 20_000, 0), 0)


def test_each_worker_is_born_with_the_variables_of_its_device(home: Path, queue: Queue) -> None:
    for number in range(2):
        queue.submit(shapes(number), f"p{number}")
    gpus = [Gpu(0, "A", 1000, 0), Gpu(1, "B", 1000, 0)]
    tell = "import os, sys; open(sys.argv[1], 'w').write(os.environ['CUDA_VISIBLE_DEVICES'])"

    def command(job: Job) -> list[str]:
        return [sys.executable, "-c", tell, str(home / f"saw{job.id}")]

    dispatcher = Dispatcher(queue, LocalRunner(command, gpus=gpus), 2)
    for number in (1, 2):
        rounds(dispatcher, queue, queue.get(number), "done")
    assert [(home / f"saw{number}").read_text() for number in (1, 2)] == ["0", "1"]
    assert [queue.get(number).device for number in (1, 2)] == ["GPU 0", "GPU 1"]


@pytest.mark.parametrize(
    "words",
    [
        "tensorflow...ResourceExhaustedError: {{function_node ...}} OOM when allocating tensor with shape[64,64]",
        "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1073741824",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB",
        "failed to allocate 1.00GiB from device: CUDA_ERROR_OUT_OF_MEMORY: out of memory",
    ],
)
def test_what_the_backends_say_when_memory_runs_out_is_understood(tmp_path: Path, words: str) -> None:
    (tmp_path / "worker.log").write_text(f"== attempt 1, GPU 0\nepoch 1\n{words}\n")
    assert outcome_from_exit_code(1, tmp_path, 0.0).kind == "out of memory"
    assert outcome_from_exit_code(-signal.SIGABRT, tmp_path, 0.0).kind == "out of memory"
    (tmp_path / "worker.log").write_text(f"== attempt 1, GPU 0\n{words}\n== attempt 2, GPU 0\nepoch 1\n")
    assert outcome_from_exit_code(1, tmp_path, 0.0).kind == "failed"


def test_a_record_that_tells_of_memory_is_understood_too(tmp_path: Path) -> None:
    reason = "The machine ran out of memory; choose fewer filters or a smaller batch."
    files.write_json(tmp_path / "record.json", {"state": "failed", "reason": reason})
    assert outcome_from_record(tmp_path, 0.0).kind == outcome_from_exit_code(1, tmp_path, 0.0).kind == "out of memory"


@pytest.mark.slow
def test_a_job_out_of_memory_is_retried_once_alone_then_fails_with_a_remedy(home: Path, queue: Queue) -> None:
    """Beside another there is too little memory for either; alone, enough for the first and not for the second."""
    script = """if True:
        import pathlib, sys, time
        folder, enough = pathlib.Path(sys.argv[1]), sys.argv[2] == "enough"
        tries = folder / "tries"
        number = len(tries.read_text()) + 1 if tries.exists() else 1
        tries.write_text("x" * number)
        if number == 1 or not enough:
            sys.exit("ResourceExhaustedError: OOM when allocating tensor")
    """

    def command(job: Job) -> list[str]:
        folder = str(settings.runs_dir() / job.key)
        return [sys.executable, "-c", script, folder, "enough" if job.experiment.seed == 0 else "never"]

    some, never = queue.submit(shapes(0), "ada"), queue.submit(shapes(1), "bob")
    dispatcher = Dispatcher(queue, LocalRunner(command, gpus=[Gpu(0, "A", 1000, 0)]), 2)
    waiting = rounds(dispatcher, queue, some, "done", "failed")
    assert (waiting.state, waiting.exclusive, waiting.attempts, waiting.crashes) == ("done", True, 2, 0)
    failed = rounds(dispatcher, queue, never, "failed", "done")
    assert failed.reason == (
        "The memory of GPU 0 was not enough, although no other training used it: "
        "choose fewer filters or a smaller batch."
    )
    assert failed.attempts == 2


def test_a_dispatcher_without_a_slot_is_refused_in_one_line(home: Path) -> None:
    command = [sys.executable, "-m", "cnnlab", "dispatch", "--slots", "0"]
    environment = os.environ | {"PYTHONPATH": str(settings.REPOSITORY)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "A dispatcher needs at least one slot. Received: slots=0\n")


def test_with_several_slots_on_the_processor_they_share_its_cores(home: Path, queue: Queue) -> None:
    queue.submit(shapes(0), "ada")
    tell = "import os, sys; open(sys.argv[1], 'w').write(os.environ['TF_NUM_INTRAOP_THREADS'])"
    runner = LocalRunner(lambda job: [sys.executable, "-c", tell, str(home / "saw")], threads=2)
    rounds(Dispatcher(queue, runner), queue, queue.get(1), "done")
    assert (home / "saw").read_text() == "2"


# -- logs and old files ----------------------------------------------------------------------------------------------


def test_a_full_log_begins_anew_while_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"old line\n" * 100)
        assert rotate(log, max_bytes=100)
        writer.write(b"new line\n")
    assert log.read_bytes() == b"new line\n"
    assert (tmp_path / "worker.log.1").read_bytes() == b"old line\n" * 100
    assert not rotate(log, max_bytes=100)
    assert not rotate(tmp_path / "none.log")


def test_a_queue_of_an_older_version_goes_on_with_what_it_held(home: Path) -> None:
    with sqlite3.connect(home / "jobs.sqlite") as db:
        db.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1;")
        db.execute(
            "INSERT INTO jobs (key, experiment, state, submitted) VALUES (?, ?, 'queued', 1.0)",
            (shapes(0).key, shapes(0).to_json()),
        )
        db.execute("INSERT INTO requests (job, person, submitted) VALUES (1, 'ada', 1.0)")
    found = Queue().active()
    assert [(job.id, job.requesters, job.worked, job.exclusive, job.device) for job in found] == [
        (1, ("ada",), 0.0, False, "")
    ]
    assert Queue().is_accepting()


def test_the_dispatcher_says_how_many_trainings_it_keeps_going(home: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(settings.REPOSITORY), "CNNLAB_SLOTS": "3", "PATH": ""}
    command = [sys.executable, "-m", "cnnlab", "dispatch", "--idle", "0.1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "3 at a time on CPU" in done.stderr
    assert Queue().slots() == 3
