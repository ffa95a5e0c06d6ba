"""The queue: what people ask for, in which order it starts, and that nothing of it is lost."""

import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from history_factories import history, write

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.jobs import eta
from cnnlab.jobs.fair_scheduling import Request, fair_order
from cnnlab.jobs.job import UnknownJob
from cnnlab.jobs.queue import MAX_RESUMES, NotRequester, PersonError, Queue
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.settings import subprocess_environment
from cnnlab.storage.run_record import RunRecord


def shapes(seed: int, **fields: object) -> Experiment:
    return Experiment(dataset="shapes", epochs=5, seed=seed, **fields)  # type: ignore[arg-type]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setenv("CNNLAB_JOBS_PER_PERSON", "1000")  # the limits have tests of their own
    monkeypatch.setenv("CNNLAB_SUBMISSIONS_PER_MINUTE", "10000")
    return tmp_path


@pytest.fixture
def queue(home: Path) -> Queue:
    return Queue()


def is_intact(home: Path) -> bool:
    with sqlite3.connect(home / "jobs.sqlite") as db:
        return db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def people_served(queue: Queue) -> list[str]:
    served = []
    while job := queue.claim():
        served.append(job.requesters[0])
        queue.finish(job, "done")
    return served


# -- single flight ---------------------------------------------------------------------------------------------------


def test_thirty_people_who_ask_for_one_experiment_share_one_job(queue: Queue) -> None:
    jobs = [queue.submit(shapes(0), f"student{number}") for number in range(30)]
    assert {job.id for job in jobs} == {1}
    assert len(queue.get(1).requesters) == 30
    assert [job.id for job in queue.active()] == [1]


def test_an_experiment_that_is_over_can_be_asked_for_again(queue: Queue) -> None:
    first = queue.submit(shapes(0), "ada")
    queue.finish(first, "failed", "the disk was full")
    second = queue.submit(shapes(0), "ada")
    assert second.id != first.id
    assert second.state == "queued"
    assert queue.for_key(first.key) == second
    assert queue.get(first.id).reason == "the disk was full"


def test_an_experiment_with_a_finished_run_is_answered_as_done(queue: Queue) -> None:
    experiment = shapes(0)
    folder = settings.runs_dir() / experiment.key
    waiting = queue.submit(experiment, "ada")
    write(folder, experiment, history([0.1, 0.5], [0.1, 0.4]))
    assert waiting.state == "queued"
    assert queue.submit(experiment, "bob").state == "done"
    assert queue.get(waiting.id).state == "done"
    assert queue.claim() is None


def test_a_running_job_takes_in_who_asks_for_it_now(queue: Queue) -> None:
    queue.submit(shapes(0), "ada")
    running = queue.claim()
    assert running is not None
    assert queue.submit(shapes(0), "bob").id == running.id
    assert queue.get(running.id).requesters == ("ada", "bob")


# -- leaving ---------------------------------------------------------------------------------------------------------


def test_only_the_last_one_who_leaves_cancels_a_job(queue: Queue) -> None:
    job = queue.submit(shapes(0), "ada")
    queue.submit(shapes(0), "bob")
    assert queue.cancel(job, "ada").state == "queued"
    assert queue.cancel(job, "bob").state == "cancelled"
    assert queue.claim() is None


def test_a_running_job_that_nobody_wants_keeps_running_until_its_worker_has_stopped(queue: Queue) -> None:
    queue.submit(shapes(0), "ada")
    job = queue.claim()
    assert job is not None
    left = queue.cancel(job, "ada")
    assert (left.state, left.is_wanted) == ("running", False)
    assert queue.record_interruption(job).state == "cancelled"


def test_who_comes_back_before_the_worker_has_stopped_finds_the_job_resumed(queue: Queue) -> None:
    queue.submit(shapes(0), "ada")
    job = queue.claim()
    assert job is not None
    queue.cancel(job, "ada")
    assert queue.submit(shapes(0), "ada").id == job.id
    assert queue.record_interruption(job).state == "queued"


def test_a_stranger_cannot_stop_a_job(queue: Queue) -> None:
    job = queue.submit(shapes(0), "ada")
    with pytest.raises(NotRequester, match=r"Received: person='bob'"):
        queue.cancel(job, "bob")
    assert queue.get(job.id).requesters == ("ada",)


def test_who_answers_for_the_machine_can_stop_everybodys_job(queue: Queue) -> None:
    job = queue.submit(shapes(0), "ada")
    queue.submit(shapes(0), "bob")
    assert queue.stop(job).state == "cancelled"


# -- the line --------------------------------------------------------------------------------------------------------


def test_people_take_turns_however_much_one_of_them_asks_for(queue: Queue) -> None:
    for number in range(6):
        queue.submit(shapes(number), "greedy")
    for number in range(2):
        queue.submit(shapes(10 + number), "ada")
        queue.submit(shapes(20 + number), "bob")
    assert people_served(queue) == [
        "greedy",
        "ada",
        "bob",
        "greedy",
        "ada",
        "bob",
        "greedy",
        "greedy",
        "greedy",
        "greedy",
    ]


def test_who_comes_late_waits_for_one_turn_of_a_long_line_only(queue: Queue) -> None:
    for number in range(5):
        queue.submit(shapes(number), "greedy")
    for _ in range(2):
        job = queue.claim()
        assert job is not None
        queue.finish(job, "done")
    late = queue.submit(shapes(99), "ada")
    assert queue.position(late) in (1, 2)


def test_nobody_has_a_second_turn_while_somebody_waits_for_a_first_one(queue: Queue) -> None:
    served: list[str] = []
    for number in range(40):
        queue.submit(shapes(number), f"p{number * 7 % 13 % 6}")
        if number % 3 == 2:
            waiting = {person for job in queue.waiting() for person in job.requesters}
            job = queue.claim()
            assert job is not None
            assert served.count(job.requesters[0]) == min(served.count(person) for person in waiting)
            served.append(job.requesters[0])
            queue.finish(job, "done")
    assert len(served) == 13


def test_the_position_is_the_number_of_claims_until_the_job_starts(queue: Queue) -> None:
    for number, person in enumerate(["ada", "ada", "ada", "bob", "bob", "eve"]):
        queue.submit(shapes(number), person)
    expected = [job.id for job in queue.waiting()]
    assert sorted(queue.position(number) or 0 for number in expected) == [1, 2, 3, 4, 5, 6]
    claimed = []
    while job := queue.claim():
        assert queue.position(job) == 0
        claimed.append(job.id)
    assert claimed == expected
    assert queue.position(queue.finish(claimed[0], "done")) is None


def test_a_shared_job_starts_at_the_first_turn_of_any_who_asked() -> None:
    requests = [Request(1, 1, "ada"), Request(2, 2, "ada"), Request(3, 3, "ada"), Request(4, 3, "bob")]
    assert [(turn.job, turn.person) for turn in fair_order(requests, {}, 0)] == [(1, "ada"), (3, "bob"), (2, "ada")]


def test_every_waiting_job_stands_in_line_once() -> None:
    requests = [Request(n % 7, n % 11, f"p{n % 5}", resumed=n % 11 == 3) for n in range(200)]
    order = [turn.job for turn in fair_order(requests, {"p1": 4}, 2)]
    assert order[0] == 3
    assert sorted(order) == list(range(11))


def test_a_job_whose_worker_died_is_first_in_line(queue: Queue) -> None:
    for number in range(3):
        queue.submit(shapes(number), "ada")
    job = queue.claim()
    assert job is not None
    again = queue.record_interruption(job, crash="its process was killed.")
    assert (again.state, again.crashes, queue.position(again)) == ("queued", 1, 1)


def test_a_job_is_resumed_three_times_and_then_fails_with_the_reason(queue: Queue) -> None:
    queue.submit(shapes(0), "ada")
    for _ in range(MAX_RESUMES + 1):
        job = queue.claim()
        assert job is not None
        job = queue.record_interruption(job, crash="its process was killed.")
    assert (job.state, job.attempts) == ("failed", 4)
    assert job.reason == "The training was resumed 3 times and ended early again: its process was killed."


def test_a_stop_of_the_dispatcher_is_no_crash(queue: Queue) -> None:
    queue.submit(shapes(0), "ada")
    for _ in range(10):
        job = queue.claim()
        assert job is not None
        assert queue.record_interruption(job).state == "queued"


# -- the file --------------------------------------------------------------------------------------------------------


def test_the_stamp_grows_with_every_change_and_with_nothing_else(queue: Queue) -> None:
    other = Queue()
    stamps = [queue.revision()]
    job = queue.submit(shapes(0), "ada")
    stamps.append(other.revision())
    other.cancel(job, "ada")
    stamps.append(queue.revision())
    assert all(before < after for before, after in pairwise(stamps))
    queue.active(), queue.position(job), queue.jobs_for("ada")
    assert other.revision() == stamps[-1]


def test_the_queue_is_found_again_after_a_restart(queue: Queue) -> None:
    job = queue.submit(shapes(0), "ada")
    queue.close()
    assert Queue().get(job.id) == job
    assert queue.get(job.id).experiment == shapes(0)


def test_who_asked_learns_what_has_finished_since(queue: Queue) -> None:
    job = queue.submit(shapes(0), "ada")
    queue.submit(shapes(1), "bob")
    queue.claim()
    done = queue.finish(job, "done")
    assert done.finished is not None
    assert [found.id for found in queue.jobs_for("ada", finished_since=done.finished - 1)] == [job.id]
    assert queue.jobs_for("ada", finished_since=done.finished) == []
    assert queue.jobs_for("eve") == []
    assert [found.id for found in queue.recent()] == [job.id]


@pytest.mark.slow
def test_two_hundred_submissions_from_threads_and_processes_leave_the_queue_intact(home: Path) -> None:
    script = """if True:
        import sys, threading
        from cnnlab.experiment import Experiment
        from cnnlab.jobs.queue import Queue
        queue = Queue()
        def ask(thread):
            for number in range(10):
                queue.submit(Experiment(dataset="shapes", seed=number % 8), f"p{sys.argv[1]}.{thread}.{number}")
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(5)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    """
    environment = {"CNNLAB_HOME": str(home), "PYTHONPATH": str(settings.REPOSITORY), "PATH": ""}
    command = [sys.executable, "-c", script]
    processes = [subprocess.Popen([*command, str(number)], env=environment) for number in range(4)]
    assert [process.wait(timeout=200) for process in processes] == [0, 0, 0, 0]
    jobs = Queue().active()
    assert len(jobs) == 8
    assert sum(len(job.requesters) for job in jobs) == 200
    assert is_intact(home)


def test_ten_threads_that_claim_at_once_never_claim_the_same_job(queue: Queue, home: Path) -> None:
    for number in range(30):
        queue.submit(shapes(number), "ada")
    barrier = threading.Barrier(10)

    def claim_three(_: int) -> list[int]:
        own = Queue()
        barrier.wait()
        return [job.id for _ in range(3) if (job := own.claim())]

    with ThreadPoolExecutor(10) as pool:
        claimed = [number for numbers in pool.map(claim_three, range(10)) for number in numbers]
    assert sorted(claimed) == list(range(1, 31))
    assert is_intact(home)


def test_a_look_costs_the_same_few_steps_however_long_the_queue_is(queue: Queue) -> None:
    queue.submit(shapes(0), "ada")
    of_one = steps_of_a_look(queue)
    for number in range(60):
        queue.submit(shapes(number), f"student{number % 30}", is_teacher=True)
    assert steps_of_a_look(queue) == of_one < 100


def steps_of_a_look(queue: Queue) -> int:
    """How many instructions SQLite's machine executes for the stamp of the queue."""
    steps: list[None] = []
    with queue.read_transaction() as db:
        db.set_progress_handler(lambda: steps.append(None), 1)
        queue.revision()
        db.set_progress_handler(None, 1)
    return len(steps)


# -- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("person", ["", "a" * 65, "ada lovelace", "<script>", "ada\n", "../etc", 7, None])
def test_a_name_that_nobody_can_have_is_refused(queue: Queue, person: object) -> None:
    with pytest.raises(PersonError, match="Received: person="):
        queue.submit(shapes(0), person)  # type: ignore[arg-type]
    assert queue.active() == []


def test_only_an_experiment_can_be_asked_for(queue: Queue) -> None:
    with pytest.raises(TypeError, match="Ask for an Experiment"):
        queue.submit({"depth": 2}, "ada")  # type: ignore[arg-type]


def test_an_unknown_job_is_named_in_the_error(queue: Queue) -> None:
    for ask in (queue.get, queue.position, queue.stop):
        with pytest.raises(UnknownJob, match="Received: job=99"):
            ask(99)


def test_a_job_ends_in_one_of_three_states_and_only_once(queue: Queue) -> None:
    job = queue.submit(shapes(0), "ada")
    with pytest.raises(ValueError, match="Received: state='running'"):
        queue.finish(job, "running")
    queue.finish(job, "done")
    assert queue.finish(job, "failed", "too late").state == "done"
    assert queue.cancel(job, "ada").state == "done"


def test_a_damaged_file_is_named_with_the_remedy_and_can_be_moved_away(home: Path, queue: Queue) -> None:
    (home / "jobs.sqlite").write_bytes(b"not a database, " * 100)
    with pytest.raises(QueueError, match="move it away"):
        queue.submit(shapes(0), "ada")
    (home / "jobs.sqlite").rename(home / "damaged")
    assert queue.submit(shapes(0), "ada").state == "queued"


def test_a_file_of_a_newer_version_is_left_alone(home: Path, queue: Queue) -> None:
    queue.submit(shapes(0), "ada")
    queue.close()
    with sqlite3.connect(home / "jobs.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(QueueError, match="newer version"):
        queue.active()


def test_a_home_that_cannot_be_written_is_one_sentence(home: Path) -> None:
    (home / "file").touch()
    with pytest.raises(QueueError, match="look at"):
        Queue(home / "file" / "jobs.sqlite").submit(shapes(0), "ada")


# -- how long --------------------------------------------------------------------------------------------------------


def test_the_pace_of_the_same_network_is_the_median_of_its_measured_epochs() -> None:
    runs_here = [
        (shapes(7), RunRecord(epoch_seconds=(9.0, 2.0, 2.2, 2.1))),
        (shapes(1, depth=3), RunRecord(epoch_seconds=(50.0,))),
    ]
    assert eta.expected_pace(shapes(0), runs_here) == eta.EpochPace(2.1, 2.1, 2.1, runs=1, measured=True)
    assert eta.seconds_left(shapes(0), runs_here, epochs_done=2) == pytest.approx(eta.STARTUP_SECONDS + 3 * 2.1)


def test_the_pace_of_another_network_is_scaled_by_the_cost_of_its_epoch() -> None:
    """16 steps of 64 images become 32; the multiplications of an epoch grow with its forward passes."""
    measured = [(shapes(0, train_images=1000), RunRecord(epoch_seconds=(1.0, 1.0)))]
    scaled = eta.expected_pace(shapes(0, train_images=2000), measured)
    assert scaled is not None and not scaled.measured
    image = eta.epoch_multiplications(shapes(0, train_images=1000)) / (3 * 1000 + 1000 + 1000)
    once, twice = (image * passes + 6e7 * steps + 7e9 for passes, steps in ((5000, 16), (9000, 32)))
    assert scaled.seconds_per_epoch == pytest.approx(twice / once)


def test_the_pace_is_scaled_from_the_run_whose_epoch_costs_most_nearly_as_much() -> None:
    tiny, large = shapes(0, train_images=50, filters=4), shapes(0, train_images=9000)
    known = [(tiny, RunRecord(epoch_seconds=(5.0, 5.0))), (large, RunRecord(epoch_seconds=(9.0, 9.0)))]
    pace = eta.expected_pace(shapes(0, train_images=10_000), known)
    assert pace is not None and 9.0 < pace.seconds_per_epoch < 10.1


def test_a_tiny_network_with_a_slow_epoch_does_not_promise_hours_for_a_large_one() -> None:
    """The arithmetic alone would multiply the second of its epoch by more than 5,000."""
    tiny, large = shapes(0, train_images=50, filters=4), Experiment(depth=2)
    pace = eta.expected_pace(large, [(tiny, RunRecord(epoch_seconds=(1.0, 1.0)))])
    assert pace is not None and pace.seconds_per_epoch < 1000
    assert eta.epoch_multiplications(large) / eta.epoch_multiplications(tiny) > 5_000


MEASURED_TOGETHER = {  # on one core of a busy machine within half an hour: the median seconds of an epoch
    Experiment(dataset="shapes", depth=2, filters=8, train_images=400, epochs=4): 3.18,
    Experiment(dataset="shapes", depth=3, epochs=3): 71.6,
    Experiment(dataset="shapes", depth=3, train_images=10_000, epochs=2): 271.8,
}


@pytest.mark.parametrize("known", MEASURED_TOGETHER, ids=lambda one: one.title)
@pytest.mark.parametrize("asked", MEASURED_TOGETHER, ids=lambda one: one.title)
def test_a_promise_from_another_network_is_right_within_a_factor_of_three(known: Experiment, asked: Experiment) -> None:
    pace = eta.expected_pace(asked, [(known, RunRecord(epoch_seconds=(MEASURED_TOGETHER[known],)))])
    assert pace is not None
    assert 1 / 3 < pace.seconds_per_epoch / MEASURED_TOGETHER[asked] < 3


def test_one_run_on_a_loaded_machine_decides_nothing_against_what_the_others_say() -> None:
    """13 s an epoch, as once measured while three trainings ran; without load it takes 1.3 s."""
    loaded = (shapes(0), RunRecord(epoch_seconds=(13.0, 13.0)))
    others = [(shapes(0, regularizer=kind), RunRecord(epoch_seconds=(1.3, 1.3))) for kind in ("dropout", "l2")]
    pace = eta.expected_pace(shapes(1), [loaded, *others])
    assert pace is not None and not pace.measured and pace.runs == 3
    assert (pace.fastest, pace.seconds_per_epoch, pace.slowest) == pytest.approx((1.3, 1.3, 13.0))


def test_few_runs_of_a_network_count_where_others_agree_within_scalings_accuracy() -> None:
    others = [(shapes(0, regularizer=kind), RunRecord(epoch_seconds=(1.3, 1.3))) for kind in ("dropout", "l2")]
    pace = eta.expected_pace(shapes(1), [(shapes(0), RunRecord(epoch_seconds=(3.0, 3.0))), *others])
    assert pace == eta.EpochPace(3.0, 3.0, 3.0, runs=1, measured=True)


def test_the_median_of_three_runs_of_the_same_network_is_not_that_of_the_slow_one() -> None:
    runs_here = [(shapes(seed), RunRecord(epoch_seconds=(pace, pace))) for seed, pace in enumerate((13.0, 1.3, 1.4))]
    assert eta.expected_pace(shapes(9), runs_here) == eta.EpochPace(1.4, 1.3, 13.0, runs=3, measured=True)
    two = eta.expected_pace(shapes(9), runs_here[:2])
    assert two == eta.EpochPace(1.3, 1.3, 13.0, runs=2, measured=True)


def test_a_scaled_pace_is_the_median_of_similar_runs_also_with_other_regularizers() -> None:
    """No run had L2, and one of three was slow; all of them multiply as much."""
    plain = [(shapes(seed, depth=3), RunRecord(epoch_seconds=(2.0, 2.0))) for seed in range(2)]
    slow = (shapes(0, depth=3, regularizer="dropout"), RunRecord(epoch_seconds=(20.0, 20.0)))
    asked = eta.expected_pace(shapes(0, depth=3, regularizer="l2"), [*plain, slow])
    assert asked is not None and (asked.seconds_per_epoch, asked.runs, asked.measured) == (pytest.approx(2.0), 3, False)


def test_the_multiplications_of_the_reports_network_are_those_counted_by_hand() -> None:
    by_hand = 3 * 9 * 64 * 30 * 30 + 64 * 9 * 64 * 13 * 13 + 2304 * 100 + 100 * 10
    assert eta.epoch_multiplications(Experiment()) == by_hand * (3 * 40_000 + 5_000 + 10_000)


def test_without_a_measurement_nothing_is_promised() -> None:
    assert eta.expected_pace(shapes(0), []) is None
    assert eta.seconds_left(shapes(0), [(shapes(1), RunRecord())]) is None


def test_a_waiting_training_starts_when_those_before_it_are_through() -> None:
    assert eta.start_times([60.0], [100.0, 20.0, 5.0]) == [60.0, 160.0, 180.0]
    assert eta.start_times([60.0], [100.0, 20.0, 5.0], slots=2) == [0.0, 60.0, 80.0]
    assert eta.start_times([60.0, 30.0], [1.0], slots=1) == [60.0]


def test_behind_an_unknown_training_the_start_is_unknown() -> None:
    assert eta.start_times([None], [10.0, 10.0]) == [None, None]
    assert eta.start_times([10.0], [None, 10.0]) == [10.0, None]
    assert eta.start_times([None, 5.0], [10.0, 10.0], slots=2) == [5.0, 15.0]


@pytest.mark.slow
def test_the_command_says_a_damaged_queue_in_one_sentence(home: Path) -> None:
    (home / "jobs.sqlite").write_bytes(b"no database at all, whatever it is called" * 100)
    command = [sys.executable, "-m", "cnnlab", "dispatch", "--idle", "0.1"]
    said = subprocess.run(command, env=subprocess_environment(), capture_output=True, text=True, check=False)
    assert said.returncode == 1 and "is damaged: move it away" in said.stderr.splitlines()[-1]
    assert "Traceback" not in said.stderr
