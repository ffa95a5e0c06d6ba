"""Sweeps: their experiments, their results, and trainings that are asked for a few at a time."""

import csv
import dataclasses
import io
import json
import time
import tracemalloc

import numpy as np
import pytest
from history_factories import history, write

from cnnlab.analysis.statistics import accuracy_interval, holm, paired_difference, seed_difference, seed_mean
from cnnlab.cli import main
from cnnlab.experiment import Experiment, ExperimentError
from cnnlab.explanations import sweeps as sentences
from cnnlab.explanations.strengths import describe_strengths
from cnnlab.jobs import sweep_jobs
from cnnlab.jobs.job import CANCELLED, DONE, FAILED, QUEUED, RUNNING
from cnnlab.jobs.queue import Queue
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.report_models import REPORT
from cnnlab.storage import files, runs, sweep_files
from cnnlab.storage.history_file import CHANGED_ACCURACY, CLEAN_ACCURACY, TRUE_ACCURACY
from cnnlab.sweep_results import (
    accuracy_difference,
    changed_count,
    early_stopping,
    gap_change,
    label_noise_result,
    strength_effects,
    sweep_results,
)
from cnnlab.sweeps import SHIPPED_SWEEPS, SweepError, create_sweep, sweep_from_json

BASE = Experiment(dataset="shapes", depth=3, epochs=3)
SIZES = create_sweep(BASE, {"train_images": (500, 1000), "augment": ("none", "flip_shift")})


@pytest.fixture
def queue(home):
    return Queue()


def finish_run(home, experiment, training=0.9, validation=0.7, correct=None):
    rows = history([0.1, 0.5, 0.8, training], [0.1, 0.5, 0.75, validation])
    folder = write(home / "runs" / experiment.key, experiment, rows, test_accuracy=validation)
    if correct is not None:
        labels = np.zeros(len(correct), np.uint8)
        logits = np.zeros((len(correct), 10), np.float16)
        logits[np.arange(len(correct)), np.where(correct, 0, 1)] = 1
        arrays = {
            name: values
            for one in ("test", "validation")
            for name, values in ((one, logits), (f"{one}_labels", labels))
        }
        files.write_npz(folder / "predictions.npz", arrays)
    return folder


# -- definitions -------------------------------------------------------------------------------------------------------


def test_a_sweep_is_every_combination_of_its_values():
    found = {(one.train_images, one.augment) for one in SIZES.experiments()}
    assert found == {(500, "none"), (1000, "none"), (500, "flip_shift"), (1000, "flip_shift")}
    assert {dataclasses.replace(one, train_images=None, augment="none") for one in SIZES.experiments()} == {BASE}


def test_equal_sweeps_have_equal_keys_whatever_order_and_base_they_were_made_of():
    other = create_sweep(
        dataclasses.replace(BASE, train_images=77, augment="flip_shift"),
        {"augment": ("flip_shift", "none", "none"), "train_images": (1000.0, 500)},
    )
    assert other == SIZES and other.key == SIZES.key
    assert create_sweep(BASE, {"train_images": (500, 1000)}).key != SIZES.key
    for sweep in (SIZES, *SHIPPED_SWEEPS.values()):
        assert sweep_from_json(sweep.to_json()) == sweep


def test_strength_0_is_the_network_without_a_regularizer_so_that_its_run_is_shared():
    sweep = create_sweep(Experiment(regularizer="dropout"), {"strength": (0, 0.1), "depth": (2, 3)})
    shared = {REPORT[name].experiment for name in ("2conv-none", "3conv-none", "2conv-dropout", "3conv-dropout")}
    assert set(sweep.experiments()) == shared


def test_fifty_thousand_images_of_cifar10_are_measured_on_the_test_images():
    sweep = SHIPPED_SWEEPS["cifar10-size"]
    assert [one.split for one in sweep.experiments()] == ["validation"] * 5 + ["test"]
    assert sweep.measured_on == "test" and SIZES.measured_on == "validation"
    assert {REPORT["3conv-dropout"].experiment, REPORT["final-3conv-dropout"].experiment} <= set(sweep.experiments())


def test_experiments_come_seed_by_seed():
    sweep = create_sweep(BASE, {"label_noise": (0, 0.4), "seed": (1, 0)})
    assert [(one.seed, one.label_noise) for one in sweep.experiments()] == [(0, 0), (0, 0.4), (1, 0), (1, 0.4)]


@pytest.mark.parametrize(
    ("base", "axes", "message"),
    [
        (BASE, {}, "varies one of train_images, strength, label_noise"),
        (BASE, {"augment": ("none",)}, "varies one of"),
        (BASE, {"train_images": (1,), "label_noise": (0,)}, "varies one of"),
        (BASE, {"train_images": (1,), "kernel": (3, 5)}, "varies one of"),
        (BASE, {"train_images": ()}, "at least one value"),
        (BASE, {"strength": (0.1,)}, "L2 or dropout"),
        (BASE, {"train_images": tuple(range(1, 102))}, "at most 100 trainings.*Received: 101"),
        (BASE, {"train_images": (500, 20_000)}, "the number of training images between 1 and 10000"),
        (BASE, {"label_noise": (2,)}, "the label noise between 0 and 1"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_in_one_sentence(base, axes, message):
    with pytest.raises((SweepError, ExperimentError), match=message):
        create_sweep(base, axes)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"axes":[],"base":{}}', '{"axes":5,"base":{}}', "[" * 100_000])
def test_text_that_is_no_sweep_is_refused(text):
    with pytest.raises((SweepError, ExperimentError)):
        sweep_from_json(text)


def test_an_address_with_a_million_trainings_is_refused_without_listing_them():
    axes = [["train_images", list(range(1, 1001))], ["seed", list(range(1000))]]
    text = json.dumps({"base": json.loads(BASE.to_json()), "axes": axes})
    tracemalloc.start()
    with pytest.raises(SweepError, match=r"at most 100 trainings.*Received: 1,000,000$"):
        sweep_from_json(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2e6  # bytes; the combinations would take 70 MB


# -- storage -----------------------------------------------------------------------------------------------------------


def test_a_stored_sweep_is_opened_by_its_key_and_a_damaged_one_is_left_out(home):
    sweep_files.write_sweep(SIZES)
    assert sweep_files.open_sweep(SIZES.key) == SIZES
    assert sweep_files.list_sweeps() == [*SHIPPED_SWEEPS.values(), SIZES]
    (home / "sweeps" / SIZES.key / "sweep.json").write_text('{"axes": ')
    assert sweep_files.list_sweeps() == list(SHIPPED_SWEEPS.values())
    for word in (SIZES.key, "nonsense", "../../etc/passwd"):
        with pytest.raises(sweep_files.UnknownSweep, match="Received"):
            sweep_files.open_sweep(word)


# -- trainings ---------------------------------------------------------------------------------------------------------


def states(queue):
    return {one.key: job.state for one in SIZES.experiments() if (job := queue.for_key(one.key))}


def test_a_sweep_asks_for_a_few_trainings_at_a_time_until_all_are_there(home, queue):
    sweep_jobs.request_sweep(SIZES, queue, "ada")
    trained = []
    while sweep_files.read_requests(SIZES):
        assert 1 <= len(queue.active()) <= 1 + sweep_jobs.WAITING_AHEAD
        job = queue.claim()
        finish_run(home, job.experiment)
        queue.finish(job, DONE)
        trained.append(job.key)
        sweep_jobs.advance_sweeps(queue)
    assert trained == [one.key for one in SIZES.experiments()]
    assert queue.active() == [] and not sweep_jobs.sweep_status(SIZES, queue).missing


def test_runs_that_are_there_are_not_trained_again(home, queue):
    first, *others = SIZES.experiments()
    finish_run(home, first)
    shipped = runs.shipped_seed_path(others[0])
    write(shipped, others[0], history([0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4]))
    sweep_jobs.request_sweep(SIZES, queue, "ada")
    assert set(states(queue)) == {one.key for one in others[1:]}
    assert len(sweep_jobs.sweep_status(SIZES, queue).done) == 2


def test_two_people_who_ask_for_one_sweep_share_its_trainings(home, queue):
    for person in ("ada", "bob"):
        sweep_jobs.request_sweep(SIZES, queue, person)
    assert all(set(job.requesters) == {"ada", "bob"} for job in queue.active())
    sweep_jobs.stop_sweep(SIZES, queue, "ada")
    assert all(job.requesters == ("bob",) for job in queue.active())
    assert sweep_jobs.sweep_status(SIZES, queue).requesters == ("bob",)


def test_a_stopped_sweep_asks_for_nothing_more(home, queue):
    sweep_jobs.request_sweep(SIZES, queue, "ada")
    sweep_jobs.stop_sweep(SIZES, queue, "ada")
    sweep_jobs.advance_sweeps(queue)
    assert queue.active() == [] and set(states(queue).values()) == {CANCELLED}
    assert not sweep_jobs.sweep_status(SIZES, queue).is_active


def test_a_training_that_failed_is_not_asked_for_again_and_the_others_go_on(home, queue):
    sweep_jobs.request_sweep(SIZES, queue, "ada")
    failed = queue.finish(queue.claim(), FAILED, "the disk was full")
    for _ in range(6):
        sweep_jobs.advance_sweeps(queue)
        if job := queue.claim():
            finish_run(home, job.experiment)
            queue.finish(job, DONE)
    assert sweep_files.read_requests(SIZES) == []
    status = sweep_jobs.sweep_status(SIZES, queue)
    assert [job.id for job in status.failed] == [failed.id] and len(status.done) == 3
    sweep_jobs.request_sweep(SIZES, queue, "ada")  # asking again tries it again
    assert states(queue)[failed.key] == QUEUED


def test_a_request_survives_the_web_process_and_the_dispatcher(home, queue):
    sweep_jobs.request_sweep(SIZES, queue, "ada")
    queue.close()
    later = Queue()
    for _ in range(2):
        job = later.claim()
        finish_run(home, job.experiment)
        later.finish(job, DONE)
    sweep_jobs.advance_sweeps(later)
    assert [job.state for job in later.active()] == [QUEUED, QUEUED]


def test_the_limits_of_a_person_hold_for_a_sweep(home, queue, monkeypatch):
    monkeypatch.setenv("CNNLAB_JOBS_PER_PERSON", "1")
    sweep_jobs.request_sweep(SIZES, queue, "ada")
    assert len(queue.active()) == 1
    sweep_jobs.advance_sweeps(queue)
    assert len(queue.active()) == 1


def test_a_sweep_with_a_training_that_costs_too_much_is_refused_and_not_stored(home, queue, monkeypatch):
    monkeypatch.setenv("CNNLAB_COST_PER_PERSON", "0.01")
    costly = create_sweep(Experiment(depth=3), {"train_images": (1000, 40_000)})
    with pytest.raises(QuotaExceeded, match="alone would cost"):
        sweep_jobs.request_sweep(costly, queue, "ada")
    assert queue.active() == [] and sweep_files.requested_sweeps() == []
    sweep_jobs.request_sweep(costly, queue, "mrs_smith", is_teacher=True)
    assert queue.active()


def test_a_closed_queue_refuses_a_sweep(home, queue):
    queue.set_accepting(False)
    with pytest.raises(QuotaExceeded, match="closed"):
        sweep_jobs.request_sweep(SIZES, queue, "ada")
    assert sweep_files.requested_sweeps() == []


def test_the_status_counts_epochs_and_jobs(home, queue):
    sweep_jobs.request_sweep(SIZES, queue, "ada")
    job = queue.claim()
    finish_run(home, job.experiment)
    rows = history([0.1, 0.5], [0.1, 0.5])
    write(home / "runs" / job.key, job.experiment, rows, state="running")
    status = sweep_jobs.sweep_status(SIZES, queue)
    assert (status.epochs_done, status.epochs) == (1, 12) and status.is_active
    assert [one.state for one in status.running] == [RUNNING] and len(status.waiting) == 1
    assert len(status.missing) == 4


@pytest.mark.parametrize(
    ("running", "waiting", "later", "slots", "expected"),
    [
        ([], [], [10, 20], 1, 30),
        ([], [], [10, 20], 2, 20),
        ([(5, True)], [(10, True)], [20], 1, 35),
        ([(5, False)], [(7, False), (10, True)], [], 1, 22),
        ([(5, True)], [(100, False)], [], 1, 5),
        ([(5, True)], [], [None], 1, None),
        ([(None, False)], [(10, True)], [], 1, None),
        ([(5, True)], [(None, False)], [], 1, 5),
        ([], [], [], 1, 0),
    ],
)
def test_the_time_left_is_that_of_the_last_training_in_the_line(running, waiting, later, slots, expected):
    assert sweep_jobs.seconds_until_done(running, waiting, later, slots) == expected


# -- results -----------------------------------------------------------------------------------------------------------


def test_points_without_a_finished_run_have_no_result(home):
    first = SIZES.experiments()[0]
    finish_run(home, first, 0.9, 0.7)
    (result,) = sweep_results(SIZES)
    assert dict(result.coordinates) == {"train_images": 500, "augment": "none"}
    assert result.accuracy == accuracy_interval(0.7, 1000) and result.training == accuracy_interval(0.9, 500)
    assert result.gap.value == pytest.approx(0.2) and result.gap.n == (500, 1000)


def test_from_three_seeds_on_the_interval_is_over_the_seeds(home):
    sweep = create_sweep(BASE, {"label_noise": (0,), "seed": (0, 1, 2)})
    for one, validation in zip(sweep.experiments(), (0.70, 0.72, 0.74), strict=True):
        finish_run(home, one, 0.9, validation)
    (result,) = sweep_results(sweep)
    assert result.accuracy == seed_mean({0: 0.70, 1: 0.72, 2: 0.74})
    assert result.accuracy.chance == "seeds" and result.gap.value == pytest.approx(0.18)


def test_points_with_few_and_with_many_seeds_have_the_chance_of_each_named(home):
    sweep = create_sweep(BASE, {"label_noise": (0, 0.4), "seed": (0, 1, 2)})
    for one in sweep.experiments():
        if one.seed == 0 or one.label_noise:
            finish_run(home, one)
    told = sentences.describe_intervals(sweep, sweep_results(sweep))
    assert "of points with 3 seeds or more chance of the seed, of the others chance of the 1,000" in told


def test_two_points_are_compared_on_the_same_images(home):
    rng = np.random.default_rng(0)
    outcomes = [rng.random(1000) < share for share in (0.6, 0.7)]
    plain = create_sweep(BASE, {"train_images": (500, 1000)})
    for one, correct in zip(plain.experiments(), outcomes, strict=True):
        finish_run(home, one, 0.9, float(correct.mean()), correct)
    small, large = sweep_results(plain)
    expected = paired_difference(outcomes[1], outcomes[0])
    assert accuracy_difference(large, small, "validation") == expected
    sentence, updates = sentences.describe_sizes(plain, [small, large])
    assert "24 with 500 images, 48 with 1,000" in updates  # 3 epochs of 8 and of 16 batches
    assert f"{100 * expected.value:+.1f} points" in sentence and "500" in sentence and "1,000" in sentence


def test_a_strength_is_compared_with_the_plain_network_of_its_depth(home):
    """At 2 layers dropout 0.1 gains 10 points and 0.3 one; at 3 layers the plain network is not trained."""
    base = dataclasses.replace(BASE, regularizer="dropout")
    sweep = create_sweep(base, {"strength": (0, 0.1, 0.3), "depth": (2, 3)})
    outcomes = {strength: np.arange(1000) < right for strength, right in ((0.0, 600), (0.1, 700), (0.3, 610))}
    outcomes[0.3][:9] = False  # one more image is right than without: ten are, nine are not
    for strength in outcomes:
        (one,) = sweep.points[("strength", strength), ("depth", 2)]
        finish_run(home, one, 0.9, float(outcomes[strength].mean()), outcomes[strength])
    finish_run(home, sweep.points[("strength", 0.1), ("depth", 3)][0])
    effects = strength_effects(sweep_results(sweep), "validation")
    expected = [paired_difference(outcomes[strength], outcomes[0.0]) for strength in (0.1, 0.3)]
    assert [one.accuracy.value for one in effects] == [one.value for one in expected]
    assert [one.accuracy.p_value for one in effects] == holm([one.p_value for one in expected])
    sentence = describe_strengths(sweep, sweep_results(sweep))[0]
    assert "accuracy higher with 2-conv, dropout 0.1" in sentence and "dropout 0.3" not in sentence
    assert "adjusted for 2 comparisons" in sentence and "not of the seed" in sentence


def test_from_three_seeds_on_a_strength_is_compared_seed_by_seed(home):
    sweep = create_sweep(dataclasses.replace(BASE, regularizer="l2"), {"strength": (0, 0.01), "seed": (0, 1, 2)})
    for one, validation in zip(sweep.experiments(), (0.70, 0.75, 0.72, 0.78, 0.74, 0.78), strict=True):
        finish_run(home, one, 0.9, validation)
    (effect,) = strength_effects(sweep_results(sweep), "validation")
    assert effect.accuracy == seed_difference({0: 0.75, 1: 0.78, 2: 0.78}, {0: 0.70, 1: 0.72, 2: 0.74})
    assert effect.gap.value == pytest.approx(-effect.accuracy.value) and effect.gap.chance == "seeds"


def test_the_file_of_a_sweep_has_coordinates_and_fractions(home):
    finish_run(home, SIZES.experiments()[0], 0.9, 0.7)
    (row,) = csv.DictReader(io.StringIO(sentences.sweep_csv(SIZES, sweep_results(SIZES))))
    assert (row["train_images"], row["augment"], row["seeds"], row["measured_on"]) == ("500", "none", "0", "validation")
    assert (row["training"], row["accuracy"], row["gap"]) == ("0.9000", "0.7000", "0.2000")
    assert float(row["accuracy_low"]) == pytest.approx(accuracy_interval(0.7, 1000).low, abs=1e-4)


def test_the_change_of_a_gap_by_augmentation_has_its_interval(home):
    sweep = create_sweep(BASE, {"train_images": (2000,), "augment": ("none", "flip_shift")})
    for one, training in zip(sweep.experiments(), (0.9, 0.8), strict=True):
        finish_run(home, one, training, 0.7)
    plain, augmented = sweep_results(sweep)
    expected = gap_change(augmented, plain)
    assert expected.value == pytest.approx(-0.1)
    variances = [share * (1 - share) / n for share, n in ((0.9, 2000), (0.7, 1000), (0.8, 2000), (0.7, 1000))]
    assert expected.margin == pytest.approx(1.96 * np.sqrt(sum(variances)), rel=0.02)
    (sentence,) = sentences.describe_sizes(sweep, [plain, augmented])
    assert f"gap -10.0 points ({100 * expected.low:+.1f} to {100 * expected.high:+.1f})" in sentence


def test_a_sweep_with_a_point_on_the_test_images_is_measured_on_them_throughout(home):
    sweep = create_sweep(Experiment(depth=3, epochs=3), {"train_images": (1000, 50_000)})
    for one in sweep.experiments():
        folder = finish_run(home, one, 0.9, 0.7)
        record = files.read_json(folder / "record.json")
        files.write_json(folder / "record.json", record | {"test_accuracy": 0.66})
    assert [one.accuracy.value for one in sweep_results(sweep)] == [0.66, 0.7]  # the last one's validation is the test


def noisy_history(clean, changed, true, share):
    rows = history(np.multiply(1 - share, clean) + np.multiply(share, changed), np.linspace(0.1, 0.5, len(clean)))
    for row, *figures in zip(rows, clean, changed, true, strict=True):
        row |= dict(zip((CLEAN_ACCURACY, CHANGED_ACCURACY, TRUE_ACCURACY), figures, strict=True))
    return {
        name: np.array([row.get(name, np.nan) for row in rows])
        for name in (*runs.HISTORY_COLUMNS, *runs.OPTIONAL_HISTORY_COLUMNS)
    }


def test_label_noise_is_told_apart_by_clean_and_changed_labels():
    found = noisy_history([0.1, 0.8, 1.0], [0.1, 0.2, 0.9], [0.1, 0.6, 0.1], share=0.36)
    result = label_noise_result(found, 2000)
    assert (result.clean, result.changed, result.true, result.validation) == (1.0, 0.9, 0.1, 0.5)
    assert result.changed_images == changed_count(found, 2000) == 720
    assert sentences.describe_label_noise(result, 10).startswith("It has memorized most of the changed labels")
    little = dataclasses.replace(result, changed=0.3)
    assert sentences.describe_label_noise(little, 10).startswith("It has not memorized")


def test_labels_are_memorized_only_where_the_whole_interval_says_so():
    found = noisy_history([0.1, 0.8, 1.0], [0.1, 0.2, 0.9], [0.1, 0.6, 0.1], share=0.36)
    result = dataclasses.replace(label_noise_result(found, 2000), changed=0.52)  # of 720: 48.3 to 55.6
    told = sentences.describe_label_noise(result, 10, "test")
    assert told.startswith("It has memorized about half") and "interval 48.3 to 55.6" in told
    assert "Test accuracy, with true labels" in told and "alidation" not in told


def test_without_label_noise_all_labels_are_clean():
    rows = history([0.1, 0.9], [0.1, 0.7])
    plain = {
        name: np.array([row.get(name, np.nan) for row in rows])
        for name in (*runs.HISTORY_COLUMNS, *runs.OPTIONAL_HISTORY_COLUMNS)
    }
    result = label_noise_result(plain, 2000)
    assert result.clean == 0.9 and np.isnan(result.changed) and result.changed_images == 0


def test_early_stopping_takes_the_first_best_epoch_and_says_its_gain_is_too_high():
    found = {"epoch": np.arange(5.0), "val_accuracy": np.array([0.1, 0.6, 0.72, 0.72, 0.65])}
    stop = early_stopping(found)
    assert (stop.best_epoch, stop.best, stop.last_epoch, stop.last) == (2, 0.72, 4, 0.65)
    sentence = sentences.describe_early_stopping(stop, 1000)
    assert "+7.0 points" in sentence and "too high" in sentence and "test set" in sentence
    assert early_stopping({"epoch": np.array([]), "val_accuracy": np.array([])}) is None


# -- the command line --------------------------------------------------------------------------------------------------


def test_a_sweep_is_defined_listed_and_shown_on_the_command_line(home, capsys):
    arguments = [
        "train_images=500,1000",
        "augment=none,flip_shift",
        "--dataset",
        "shapes",
        "--depth",
        "3",
        "--epochs",
        "3",
    ]
    assert main(["sweep", "define", *arguments]) == 0
    assert SIZES.key in capsys.readouterr().out and sweep_files.open_sweep(SIZES.key) == SIZES
    finish_run(home, SIZES.experiments()[0])
    assert main(["sweep", "list"]) == 0
    assert f"{SIZES.key}  1 of 4 trained" in capsys.readouterr().out
    assert main(["sweep", "show", SIZES.key]) == 0
    assert "70.0 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("shapes-size", "More images"),
        ("shapes-dropout", "Smallest gap"),
        ("shapes-label-noise", "20 % replaced: It has"),
    ],
)
def test_a_shipped_sweep_is_told_in_sentences_on_the_command_line(name, told, capsys):
    assert main(["sweep", "show", name]) == 0
    assert told in capsys.readouterr().out


@pytest.mark.parametrize("axes", [["depth=1,2"], ["train_images=few"], ["train_images"], ["label_noise=0,3"]])
def test_bad_axes_are_one_sentence_on_the_command_line(home, capsys, axes):
    assert main(["sweep", "define", *axes, "--dataset", "shapes"]) == 2
    told = capsys.readouterr().err
    assert "Received" in told and len(told.strip().splitlines()) == 1
    assert main(["sweep", "show", "nothing"]) == 2


def test_a_request_has_the_time_at_which_it_was_made():
    assert time.time() - sweep_files.new_request("ada").submitted < 60
