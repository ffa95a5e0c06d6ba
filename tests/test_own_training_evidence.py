"""Evidence from the learner's own training: each figure is computed again from the files of the run."""

import csv
import math
import shutil
from itertools import pairwise

import numpy as np
import pytest
from run_factories import some_weights, write_run

from cnnlab import settings
from cnnlab.data import Dataset
from cnnlab.experiment import Experiment
from cnnlab.explanations import lesson_evidence
from cnnlab.explanations.lesson_evidence import own_training as own_figures
from cnnlab.explanations.lesson_evidence.result import NO_VALIDATION, NOT_CHOSEN, NOT_READABLE
from cnnlab.lessons import own_training
from cnnlab.lessons.answers import Answer
from cnnlab.lessons.sheet_files import open_sheet
from cnnlab.models import numpy_forward
from cnnlab.storage import files, runs

PLAIN = Experiment(dataset="shapes", depth=2)
DROPOUT = Experiment(dataset="shapes", depth=2, regularizer="dropout")
NORMALIZED = Experiment(dataset="shapes", depth=3, regularizer="batchnorm", seed=1)
SHEET = open_sheet("seven-questions")
T_975_OF_4 = 2.776445  # Student's t, 97.5 % with 4 degrees of freedom, from a table
Z_975 = 1.959964


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    return tmp_path


def trained(experiment):
    """A training of this home with the results of a shipped seed, and with random weights."""
    folder = settings.runs_dir() / experiment.key
    shutil.copytree(shipped_folder(experiment), folder)
    files.write_npz(folder / "weights" / "030.npz", some_weights(experiment, seed=0))
    return runs.open_run(experiment.key)


def shipped_folder(experiment):
    return settings.PRETRAINED / "seeds" / experiment.key


def column(experiment, name="val_accuracy"):
    """A column of the history of a shipped seed, from its file."""
    rows = csv.DictReader((shipped_folder(experiment) / "history.csv").read_text().splitlines())
    return [float(row[name]) if row[name] else math.nan for row in rows]


def of_seeds(depth, regularizer):
    return [Experiment(dataset="shapes", depth=depth, regularizer=regularizer, seed=seed) for seed in range(5)]


def classes(experiment, split):
    """The predicted and the true classes of a shipped seed."""
    kept = runs.Run(shipped_folder(experiment), experiment).predictions()
    return kept[split].argmax(axis=1), kept[f"{split}_labels"]


def told(figure, run):
    return lesson_evidence.evidence(f"own: {figure}", (), run).sentence


def wilson(share, n):
    center = (share + Z_975**2 / (2 * n)) / (1 + Z_975**2 / n)
    half = Z_975 * math.sqrt(share * (1 - share) / n + (Z_975 / (2 * n)) ** 2) / (1 + Z_975**2 / n)
    return center - half, center + half


def newcombe(first, n, second, m):
    (low, high), (other_low, other_high) = wilson(first, n), wilson(second, m)
    below = math.hypot(first - low, other_high - second)
    return first - second - below, first - second + math.hypot(high - first, second - other_low)


def test_the_accuracy_of_one_training_stands_beside_the_seeds_with_their_interval():
    sentence = told("accuracy", trained(PLAIN))
    finals = [100 * column(one)[-1] for one in of_seeds(2, "none")]
    margin = T_975_OF_4 * np.std(finals, ddof=1) / math.sqrt(5)
    assert f"validation accuracy {finals[0]:.1f} % after the last epoch (one seed, 1,000 images)" in sentence
    assert f"The 5 shipped seeds of the same network have {min(finals):.1f} % to {max(finals):.1f} %" in sentence
    assert f"mean {np.mean(finals):.1f} % ± {margin:.1f} (half the 95 % interval, chance of the seed)" in sentence
    for regularizer, title in (("l2", "L2 0.00001"), ("dropout", "dropout 0.1"), ("batchnorm", "batch norm")):
        higher = sum(100 * column(one)[-1] > finals[0] for one in of_seeds(2, regularizer))
        assert f"{higher} of 5 with {title}" in sentence
    assert (
        f"One seed decides nothing: the seed alone changes this network by up to {np.ptp(finals):.1f} points"
        in sentence
    )


def test_a_regularized_training_is_compared_with_the_plain_network_only():
    sentence = told("accuracy", trained(DROPOUT))
    own = column(DROPOUT)[-1]
    higher = sum(column(one)[-1] > own for one in of_seeds(2, "none"))
    assert f"of the shipped seeds: {higher} of 5 with no regularizer." in sentence and "L2" not in sentence


def test_a_training_on_other_images_is_compared_with_no_shipped_seed():
    run = trained(PLAIN)
    record = (run.path / "record.json").read_text()
    (run.path / "record.json").write_text(record.replace(run.record.fingerprint, "0" * 64))
    assert "the program brings no other seeds of this network" in told("accuracy", run)
    assert "brings no other seed of this network" in told("seeds", run)


def test_two_seeds_agree_on_as_many_validation_images_as_counted():
    sentence = told("seeds", trained(PLAIN))
    other = of_seeds(2, "none")[1]
    share = float(np.mean(classes(PLAIN, "validation")[0] == classes(other, "validation")[0]))
    low, high = wilson(share, 1000)
    assert "the shipped seed 1 of the same network" in sentence
    assert f"{100 * column(PLAIN)[-1]:.1f} % and {100 * column(other)[-1]:.1f} %" in sentence
    assert f"{100 * share:.1f} % of 1,000 validation images" in sentence
    assert f"(95 % interval {100 * low:.1f} % to {100 * high:.1f} %)" in sentence


@pytest.mark.parametrize("experiment", [PLAIN, DROPOUT])
def test_the_gap_is_told_by_both_training_accuracies(experiment):
    sentence = told("gap", trained(experiment))
    validation, inference, reported = (
        column(experiment, name)[-1] for name in ("val_accuracy", "train_eval_accuracy", "accuracy")
    )
    low, high = newcombe(inference, 2000, validation, 1000)
    assert f"the gap is {100 * (inference - validation):.1f} points" in sentence
    assert f"(95 % interval {100 * low:+.1f} to {100 * high:+.1f})" in sentence
    assert f"and {100 * (reported - validation):.1f} points with the one that Keras reports" in sentence
    assert ("with dropout on" in sentence) == (experiment is DROPOUT)


def test_the_lowest_validation_loss_is_found_in_the_history():
    sentence = told("loss", trained(PLAIN))
    losses, accuracies = column(PLAIN, "val_loss"), column(PLAIN)
    lowest = losses.index(min(losses))
    assert lowest < 30 and f"lowest after epoch {lowest} with {min(losses):.2f} and is {losses[-1]:.2f}" in sentence
    assert f"changes by {100 * (accuracies[-1] - accuracies[lowest]):+.1f} points" in sentence


def test_a_validation_loss_that_never_rises_is_said_not_to(home):
    rows = [dict.fromkeys(runs.HISTORY_COLUMNS, 0.5) | {"epoch": e, "val_loss": 2.0 - e / 10} for e in range(5)]
    experiment = Experiment(dataset="shapes", depth=2, epochs=4)
    run = write_run(settings.runs_dir() / experiment.key, experiment, epochs=(0, 4))
    runs.write_history(run.path / "history.csv", rows)
    assert "lowest after the last epoch with 1.60: it does not rise" in told("loss", run)


def step(values):
    return sum(100 * abs(b - a) for a, b in pairwise(values[-11:])) / 10


def test_the_jumps_of_a_training_stand_beside_those_of_batch_normalization():
    sentence = told("jumps", trained(PLAIN))
    others = [step(column(one)) for one in of_seeds(2, "batchnorm")]
    assert f"changes by {step(column(PLAIN)):.1f} points from one epoch to the next" in sentence
    assert f"In the 5 shipped seeds with batch normalization it is {min(others):.1f} to {max(others):.1f}" in sentence


def test_the_jumps_of_batch_normalization_are_told_by_both_of_its_measures():
    run = trained(NORMALIZED)
    rows = list(csv.DictReader((run.path / "history.csv").read_text().splitlines()))
    anew = [0.5 + 0.001 * epoch * (-1) ** epoch for epoch in range(31)]
    table = [
        {name: float(text) if text else math.nan for name, text in row.items()} | {"val_accuracy_reestimated": value}
        for row, value in zip(rows, anew, strict=True)
    ]
    full = dict.fromkeys((*runs.HISTORY_COLUMNS, *runs.OPTIONAL_HISTORY_COLUMNS), 0.5)
    runs.write_history(run.path / "history.csv", [full | row for row in table])
    sentence = told("jumps", run)
    assert f"by {step(column(NORMALIZED)):.1f} points" in sentence
    assert f"and by {step(anew):.1f} points with re-estimated mean and variance" in sentence


def test_parameters_and_time_are_those_of_the_network_and_of_the_record():
    run = trained(PLAIN)
    sentence = told("time", run)
    assert f"{sum(values.size for values in run.weights(30).values()):,} parameters" in sentence
    other = some_weights(Experiment(dataset="shapes", depth=3), seed=0)
    assert f"With 3 convolution layers: {sum(values.size for values in other.values()):,} parameters" in sentence
    minutes, seconds = divmod(round(run.record.seconds), 60)
    assert f"{minutes} min {seconds:02} s for 30 epochs" in sentence and "ranks no network" in sentence


def test_validation_and_test_accuracy_are_those_of_the_predictions():
    sentence = told("test", trained(PLAIN))
    shares = {split: float(np.mean(np.equal(*classes(PLAIN, split)))) for split in ("validation", "test")}
    low, high = newcombe(shares["test"], 1000, shares["validation"], 1000)
    assert f"{100 * shares['test']:.1f} % of 1,000 test images" in sentence
    assert f"{100 * (shares['test'] - shares['validation']):+.1f} points" in sentence
    assert f"(95 % interval {100 * low:+.1f} to {100 * high:+.1f}," in sentence
    assert sentence.endswith("not beyond chance." if low < 0 < high else "seed), beyond chance.")


def test_the_most_frequent_confusions_are_counted_on_the_validation_images():
    sentence = told("confusion", trained(PLAIN))
    predicted, true = classes(PLAIN, "validation")
    names = PLAIN.dataset_info.classes
    counts = {(a, b): int(((true == a) & (predicted == b)).sum()) for a in range(10) for b in range(10) if a != b}
    most = max(counts.values())
    assert f"{sum(counts.values())} of 1,000 validation images are misclassified" in sentence
    [first, *_] = [f"{names[a]} predicted as {names[b]}" for (a, b), count in counts.items() if count == most]
    assert f"Most often: {first}, {most} of {int((true == names.index(first.split()[0])).sum())} images" in sentence
    assert sentence.count(" predicted as ") == 3


@pytest.fixture
def pictures(monkeypatch):
    """Random images in the place of Shapes, which takes seconds to draw."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (11_000, 32, 32, 3), np.uint8), rng.integers(0, 10, 11_000, np.uint8)
    found = Dataset("shapes", PLAIN.dataset_info.classes, images, labels, images[:1], labels[:1], "")
    monkeypatch.setattr(own_figures, "load_dataset", lambda name: found)
    return found


def test_dead_maps_and_zeros_are_those_of_the_validation_images(pictures):
    run = trained(PLAIN)
    weights, images = run.weights(30), pictures.x_train[10_000:10_100]
    sentence = told("layers", run)
    for number, (size, field) in enumerate(((30, 3), (13, 8)), start=1):
        maps = np.concatenate(
            [numpy_forward.compute_activations(run.layers, weights, one[None])[f"relu{number}"] for one in images]
        )
        dead = sum(not maps[..., index].any() for index in range(64))
        assert f"conv{number}: maps of {size}x{size}, each value sees {field}x{field} pixels" in sentence
        assert f"{100 * (maps == 0).mean():.0f} % of the values are zero after ReLU, {dead} of 64 maps" in sentence
    assert "100 validation images" in sentence


def test_a_map_that_is_zero_on_every_image_is_counted_as_dead(pictures):
    run = trained(PLAIN)
    before = int(told("layers", run).partition(" of 64 maps")[0].rpartition(" ")[2])
    weights = {name: values.copy() for name, values in run.weights(30).items()}
    alive = [
        index
        for index in range(64)
        if numpy_forward.compute_activations(run.layers, weights, pictures.x_train[10_000:10_001])["relu1"][
            ..., index
        ].any()
    ]
    for index in alive[:5]:
        weights["conv1/kernel"][..., index], weights["conv1/bias"][index] = 0, -1
    files.write_npz(run.path / "weights" / "030.npz", weights)
    assert int(told("layers", run).partition(" of 64 maps")[0].rpartition(" ")[2]) == before + 5


def test_filters_are_switched_off_for_the_first_validation_image(pictures):
    run = trained(PLAIN)
    image, label = pictures.x_train[10_000:10_001], int(pictures.y_train[10_000])
    weights = run.weights(30)
    before = numpy_forward.logits(run.layers, weights, image)[0].argmax()
    changed = 0
    for number in range(64):
        off = dict(weights) | {name: weights[name].copy() for name in ("conv1/kernel", "conv1/bias")}
        off["conv1/kernel"][..., number] = off["conv1/bias"][number] = 0
        changed += int(numpy_forward.logits(run.layers, off, image)[0].argmax() != before)
    sentence = told("filters", run)
    assert f"validation image 0 ({PLAIN.dataset_info.classes[label]}), 64 filters of conv1" in sentence
    assert f"with {changed} of them the class changes" in sentence


# -- without a training, or with one that cannot be read ---------------------------------------------------------------


def test_without_a_training_the_evidence_says_so():
    assert {lesson_evidence.evidence(f"own: {figure}", ()).sentence for figure in own_figures.FIGURES} == {NOT_CHOSEN}


def test_a_training_whose_files_are_gone_is_said_to_be_unreadable():
    run = trained(PLAIN)
    for name in ("history.csv", "predictions.npz", "weights/030.npz", "model.keras"):
        (run.path / name).unlink(missing_ok=True)
    for figure in set(own_figures.FIGURES) - {"time"}:  # which counts layers
        assert told(figure, run) == NOT_READABLE, figure


def test_a_training_measured_on_test_images_tells_nothing_of_them():
    experiment = Experiment(dataset="shapes", depth=2, split="test", epochs=4)
    run = write_run(settings.runs_dir() / experiment.key, experiment, epochs=(0, 4))
    assert {told(figure, run) for figure in own_figures.FIGURES} == {NO_VALIDATION}


# -- the sheet ---------------------------------------------------------------------------------------------------------


def test_every_chapter_of_the_seven_questions_asks_the_learners_own_training_too():
    own = {
        chapter.title[0]: [one for step in chapter.steps for one in step.evidence if lesson_evidence.is_own(one)]
        for chapter in SHEET.chapters
    }
    assert all(own[str(number)] for number in range(1, 8))
    assert sorted(one for found in own.values() for one in found) == sorted(f"own: {f}" for f in own_figures.FIGURES)


def test_ones_own_test_accuracy_stays_covered_until_the_sheet_uncovers_it():
    step = SHEET.steps[SHEET.index("q5-uncover")]
    assert SHEET.covered["final_models"] == step.id
    given = {"q1-predict": [Answer("q1-predict", 0, "2", 1.0)]}
    assert "own: test" in step.evidence and "own: test" not in own_training.shown_evidence(SHEET, step, given)
    given[step.id] = [Answer(step.id, 0, step.options[0], 2.0)]
    assert "own: test" in own_training.shown_evidence(SHEET, step, given)


def test_the_training_is_the_one_of_the_last_run_step_up_to_the_step():
    chosen = {"start-run": [Answer("start-run", 0, {"run": PLAIN.key}, 1.0)]}
    first, choosing, *_, last = SHEET.steps
    assert own_training.chosen_run(SHEET, first, chosen) == ""
    assert own_training.chosen_run(SHEET, choosing, chosen) == own_training.chosen_run(SHEET, last, chosen) == PLAIN.key
    assert own_training.open_chosen(PLAIN.key) is None
    assert own_training.open_chosen(trained(PLAIN).name).experiment == PLAIN
