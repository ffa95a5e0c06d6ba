"""Lab sheets: the shipped ones, answers that fit, conditions judged by the run, evidence that agrees with the runs."""

import csv
import dataclasses
import json
from itertools import combinations, pairwise

import numpy as np
import pytest
from run_factories import write_run

from cnnlab import report, settings
from cnnlab.analysis import curve_summary
from cnnlab.data.samples import sample_images
from cnnlab.experiment import Experiment
from cnnlab.explanations import lesson_evidence
from cnnlab.explanations.lesson_evidence import layers as layer_evidence
from cnnlab.formatting import duration
from cnnlab.lessons import run_conditions, sheet_files
from cnnlab.lessons.prediction_verdict import describe_prediction
from cnnlab.lessons.sheet import check_answer
from cnnlab.models import numpy_forward
from cnnlab.models.architecture import network_layers
from cnnlab.report_models import REPORT
from cnnlab.storage import runs


def test_the_shipped_sheets_have_no_mistakes_and_keep_to_their_times():
    shipped = {found.name: found.sheet for found in map(sheet_files.load_sheet, sheet_files.SHIPPED.glob("*.yaml"))}
    assert set(shipped) == set(sheet_files.SHIPPED_ORDER) and all(shipped.values())
    assert shipped["taster"].minutes <= 15 and shipped["seven-questions"].minutes <= 90
    assert all(chapter.minutes <= 10 for sheet in shipped.values() for chapter in sheet.chapters)
    numbered = [chapter for chapter in shipped["seven-questions"].chapters if chapter.title[0].isdigit()]
    assert len(numbered) == 7


def test_a_prediction_about_the_gap_is_resolved_with_the_honest_training_accuracy():
    sheets = [sheet_files.open_sheet(name) for name in sheet_files.SHIPPED_ORDER]
    results = [step.result for sheet in sheets for step in sheet.steps if step.result]
    assert any(result.startswith("ranking: gap") for result in results)
    assert not [result for result in results if "reported_gap" in result]


# -- answers and conditions --------------------------------------------------------------------------------------------


def test_an_answer_that_does_not_fit_its_step_is_refused():
    steps = {step.id: step for step in sheet_files.open_sheet("taster").steps}
    choice, sketch = steps["layers"], steps["memorize"]
    right, curve = choice.options[1], [0, 50.5, 60, 70, 100]
    assert check_answer(choice, right) == right and check_answer(sketch, curve) == curve
    for step, content in (
        (choice, "c"),
        (choice, ["a"]),
        (sketch, [0]),
        (sketch, [0, 1, 2, 3, 101]),
        (sketch, "curve"),
    ):
        with pytest.raises(ValueError, match="Expected"):
            check_answer(step, content)


def test_a_condition_is_judged_by_the_history_of_the_run(tmp_path):
    experiment = Experiment(dataset="shapes", depth=3, regularizer="dropout", epochs=2)
    run = write_run(tmp_path / experiment.key, experiment)
    summary = curve_summary.summarize_curves(run.history())
    figures = run_conditions.run_figures(run)
    assert figures["validation"] == pytest.approx(100 * summary.validation)
    held = run_conditions.check_terms("dataset = shapes and depth >= 3 and validation > 15 and gap < 5", figures)
    assert [result for _, result in held] == [True, True, True, True]
    missed = run_conditions.check_terms("dataset = cifar10 and validation > 20 and gap < 0", figures)
    assert [result for _, result in missed] == [False, False, False]
    assert (held[0][0], missed[0][0]) == ("dataset shapes", "dataset shapes instead of cifar10")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gap",
        "gap < five",
        "gap < inf",
        "gap < nan",
        "gap < 1e999",
        "dataset < shapes",
        "speed > 3",
        "gap < 5 or gap > 7",
    ],
)
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(run_conditions.ConditionError):
        run_conditions.parse_condition(text)


# -- evidence ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table():
    return report.report_rows()


def final_accuracies(name):
    """The validation accuracy after the last epoch of every shipped seed of a model."""
    experiment = REPORT[name].experiment
    found = [runs.find_run(experiment), *runs.shipped_seeds()]
    same = [run for run in found if dataclasses.replace(run.experiment, seed=0) == experiment]
    return [float(run.history()["val_accuracy"][-1]) for run in same]


def test_a_ranking_is_in_the_order_of_the_means_over_the_seeds(table):
    found = lesson_evidence.evidence("ranking: validation, 3", table)
    means = {}
    for name in ("3conv-none", "3conv-l2", "3conv-dropout", "3conv-batchnorm"):
        values = final_accuracies(name)  # with fewer than three seeds the first one stands for the model
        title = REPORT[name].experiment.regularizer_title
        means[title] = np.mean(values) if len(values) >= 3 else values[0]
        assert f"{title} {100 * means[title]:.1f} % ±" in found.sentence
    assert list(found.ranking) == sorted(means, key=means.__getitem__, reverse=True)


def test_neighbours_in_a_ranking_that_chance_may_exchange_are_named(table):
    """No regularizer and L2 at 3 layers differ by less than the seeds of either."""
    sentence = lesson_evidence.evidence("ranking: validation, 3", table).sentence
    assert "Not beyond chance, so these may change places" in sentence
    assert "L2 0.00001 and no regularizer" in sentence or "no regularizer and L2 0.00001" in sentence
    assert "dropout 0.1 and" not in sentence.partition("Not beyond chance")[2]


def test_a_pair_that_chance_may_exchange_is_no_mistake_of_a_prediction(table, monkeypatch):
    found = lesson_evidence.evidence("ranking: validation, 3", table)
    pair = {"L2 0.00001", "no regularizer"}
    assert pair in map(set, found.undecided)
    [step] = [one for one in sheet_files.open_sheet("seven-questions").steps if one.id == "q2-order"]
    first, second = (found.ranking.index(one) for one in pair)
    other = list(found.ranking)
    other[first], other[second] = other[second], other[first]
    pairs = 6 - len(found.undecided)
    for order in (list(found.ranking), other):
        _, told = describe_prediction(step, order, found, str)
        assert f"{pairs} of {pairs} pairs agree" in told and "chance may exchange them" in told


@pytest.mark.parametrize("specification", ["ranking: seconds, 3", "time"])
def test_seconds_are_those_measured_under_equal_conditions_and_no_wall_times(table, specification):
    measured = json.loads((settings.PRETRAINED / "epoch_seconds.json").read_text())["seconds"]
    sentence = lesson_evidence.evidence(specification, table).sentence
    assert f"{np.median(measured['3conv-none']):.1f} s" in sentence
    wall = duration(runs.open_run("3conv-none").record.seconds)
    assert wall.endswith("min") and wall not in sentence
    found = lesson_evidence.evidence("ranking: seconds, 3", table).ranking
    fastest = min((name for name in measured if name.startswith("3conv")), key=lambda name: np.median(measured[name]))
    assert found[0] == REPORT[fastest].experiment.regularizer_title


def test_a_curve_is_that_of_the_history_in_per_cent(table):
    found = lesson_evidence.evidence("curve: 2conv-none, val_accuracy", table)
    values = runs.open_run("2conv-none").history()["val_accuracy"]
    assert [value for _, value in found.curve] == pytest.approx(100 * values)


def needs_images(specification: str) -> bool:
    """Whether it is computed from images of the learner's data set; `test_own_training_evidence` has these."""
    return specification in ("own: layers", "own: filters")


def test_every_evidence_of_the_shipped_sheets_is_computed(table):
    """That of one's own training too; here a shipped run stands for it."""
    own = runs.open_run("2conv-none")
    for name in sheet_files.SHIPPED_ORDER:
        for step in sheet_files.open_sheet(name).steps:
            for specification in filter(None, (*step.evidence, step.result)):
                if needs_images(specification):
                    continue
                found = lesson_evidence.evidence(specification, table, own)
                assert any(letter.isdigit() for letter in found.sentence), (step.id, found)
            if step.result and step.kind == "choice":
                assert lesson_evidence.evidence(step.result, table).answer in step.options
            if step.result and step.kind == "order":
                assert sorted(lesson_evidence.evidence(step.result, table).ranking) == sorted(step.options)


def test_the_jumps_of_batch_normalization_are_shown_to_come_from_the_moving_averages(table):
    """The answer of the sheet; here from the file of the seed that has both accuracies after every epoch."""
    [step] = [one for one in sheet_files.open_sheet("seven-questions").steps if one.id == "q3-batchnorm"]
    assert "moving averages" in step.answer
    wanted = REPORT["3conv-batchnorm"].experiment.to_dict() | {"seed": 2}
    [run] = [one for one in runs.shipped_seeds() if one.experiment.to_dict() == wanted]
    rows = list(csv.DictReader((run.path / "history.csv").read_text().splitlines()))[-10:]
    steps = []
    for name in ("val_accuracy", "val_accuracy_reestimated"):
        values = [100 * float(row[name]) for row in rows]
        steps.append(sum(abs(b - a) for a, b in pairwise(values)) / 9)
    told = lesson_evidence.evidence("batchnorm: 3conv-batchnorm", table).sentence
    assert steps[0] > 4 * steps[1]
    assert f"by {steps[0]:.1f} points on average with the moving averages and by {steps[1]:.1f} re-estimated" in told


def test_the_difference_of_a_regularizer_says_its_number_of_comparisons(table):
    """An interval that excludes 0 beside "not beyond chance" needs the reason."""
    told = lesson_evidence.evidence("differences: batchnorm", table).sentence
    assert told.count("(adjusted for 8 comparisons)") == 4  # two depths, each by two measures; 3 regularizers, 2 depths
    assert told.count("moving averages") == told.count("re-estimated") == 2


def test_the_evidence_on_filters_agrees_with_kernels_set_to_zero(table):
    run = runs.open_run("3conv-dropout")
    layers, weights, image = network_layers(run.experiment), run.weights(30), sample_images()[0][:1]

    def classify(number: int | None) -> int:
        changed = {name: values.copy() for name, values in weights.items()}
        if number is not None:
            changed["conv1/kernel"][..., number] = changed["conv1/bias"][number] = 0
        return int(numpy_forward.logits(layers, changed, image)[0].argmax())

    different = sum(classify(number) != classify(None) for number in range(64))
    found = lesson_evidence.evidence("filters: 3conv-dropout", table)
    assert f"with {different} of them the class changes" in found.sentence
    step = next(step for step in sheet_files.open_sheet("seven-questions").steps if step.id == "q6-filter")
    assert found.answer == step.options[1] and different < 32
    assert {layer_evidence.ablation_answer(*figures) for figures in ((0.9, 0.3), (0.1, 0.02), (0, 0))} == set(
        step.options
    )


def test_the_evidence_on_probes_is_that_of_the_shipped_results(table):
    stored = json.loads((settings.PRETRAINED / "3conv-dropout" / "probes.json").read_text())
    evidence = lesson_evidence.evidence("probes: 3conv-dropout", table)
    accuracies = [stored["trained"][f"relu{name[-1]}"] for name in evidence.ranking]
    assert accuracies == sorted(accuracies, reverse=True) and len(accuracies) == 3
    errors = {a: (a * (1 - a) / stored["test_images"]) ** 0.5 for a in accuracies}
    apart = {frozenset((a, b)) for a in accuracies for b in accuracies if a - b > 1.96 * np.hypot(errors[a], errors[b])}
    pairs = {frozenset(accuracies[evidence.ranking.index(name)] for name in pair) for pair in evidence.undecided}
    assert apart and pairs and apart | pairs == set(map(frozenset, combinations(accuracies, 2))) and not apart & pairs
    found = evidence.sentence
    assert f"{100 * stored['trained']['relu3']:.0f} % from conv3" in found
    assert f"from the pixels {100 * stored['trained']['rescale']:.0f} %" in found
    assert f"{100 * stored['untrained']['relu1']:.0f} %" in found and "1,000 test images" in found


def test_without_runs_evidence_says_so_instead_of_failing(monkeypatch, tmp_path):
    monkeypatch.setattr("cnnlab.settings.PRETRAINED", tmp_path)
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    empty = report.report_rows()
    for name in sheet_files.SHIPPED_ORDER:
        for step in sheet_files.open_sheet(name).steps:
            for specification in filter(None, (*step.evidence, step.result)):
                assert lesson_evidence.evidence(specification, empty).sentence
