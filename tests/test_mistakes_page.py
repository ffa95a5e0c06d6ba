"""The page Mistakes on exams that were made by hand, so that every figure on it can be counted."""

import json
import re
from html import unescape

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from cnnlab import data, settings
from cnnlab.analysis import metrics
from cnnlab.analysis.statistics import expected_calibration_error
from cnnlab.data import shapes
from cnnlab.data.cifar10 import CLASSES
from cnnlab.data.samples import sample_images
from cnnlab.experiment import Experiment
from cnnlab.explanations import mistakes
from cnnlab.explanations.chart_descriptions import describe_class_accuracy, describe_confusion_matrix
from cnnlab.rendering import mistake_charts
from cnnlab.storage import files, runs
from cnnlab.ui import image_grid

CAT, DOG, SHIP, AIRPLANE = (CLASSES.index(name) for name in ("cat", "dog", "ship", "airplane"))
PLAIN, DROPOUT = Experiment(depth=2), Experiment(depth=2, regularizer="dropout")


def script():
    from cnnlab.pages import mistakes

    mistakes.page()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setattr(settings, "PRETRAINED", tmp_path / "none")
    return tmp_path


def logits_that_say(said, confidence=0.7):
    """Logits (n, 10) whose largest is that of the class said, with this softmax."""
    said, rows = np.asarray(said), np.arange(len(said))
    shares = np.tile(((1 - np.broadcast_to(confidence, said.shape)) / 9)[:, None], 10)
    shares[rows, said] = confidence
    return np.log(shares)


def finished(experiment, said, labels, confidence=0.7):
    """A run directory with what the page reads."""
    path = settings.runs_dir() / experiment.key
    path.mkdir(parents=True)
    (path / "experiment.json").write_text(experiment.to_json())
    files.write_json(path / "record.json", {"state": "done", "epochs_done": 1, "seconds": 1.0})
    rows = [dict.fromkeys(runs.HISTORY_COLUMNS, 0.1) | {"epoch": epoch} for epoch in (0, 1)]
    runs.write_history(path / "history.csv", rows)
    logits = logits_that_say(said, confidence).astype(np.float16)
    files.write_npz(path / "predictions.npz", {"test": logits, "test_labels": np.asarray(labels, np.uint8)})
    return experiment.key


def opened(**address):
    page = AppTest.from_function(script, default_timeout=30)
    for name, word in address.items():
        page.query_params[name] = word
    page.run()
    assert not page.exception
    return page


def shown(page):
    """The gallery: (address, alternative text) of each picture."""
    html = "".join(element.proto.body for element in page.get("html"))
    pairs = re.findall(r'<a href="([^"]+)".*?alt="([^"]+)"', html)
    return [(unescape(address), unescape(alt)) for address, alt in pairs]


def text(page):
    parts = [*page.title, *page.header, *page.subheader, *page.caption, *page.markdown, *page.info, *page.warning]
    return "\n".join(part.value for part in parts).replace("\N{NO-BREAK SPACE}", " ")


def truth_with(**answers):
    """The sample labels, and answers that are right but for these: p0=DOG says that picture 0 is a dog."""
    labels = sample_images()[1].astype(int)
    said = labels.copy()
    for picture, answer in answers.items():
        said[int(picture[1:])] = answer
    return labels, said


# -- one network -------------------------------------------------------------------------------------------------------


def test_the_mistakes_are_counted_and_the_surest_comes_first():
    labels, said = truth_with(p0=DOG, p1=AIRPLANE)  # a cat, and a ship
    confidence = np.full(20, 0.7)
    confidence[:2] = 0.5, 0.95
    key = finished(PLAIN, said, labels, confidence)
    page = opened(run=key)
    assert "misclassifies 2 of 20 test images (10.0 %)" in text(page)
    assert "at least 90 % in 1 of its mistakes" in text(page)
    assert [address for address, _ in shown(page)] == [
        f"look_inside?run={key}&image=sample-1",
        f"look_inside?run={key}&image=sample-0",
    ]
    assert shown(page)[0][1] == "Test image 1, true class ship, predicted airplane, confidence 95 %"


def test_least_sure_first_turns_the_order_round():
    labels, said = truth_with(p0=DOG, p1=AIRPLANE)
    confidence = np.full(20, 0.7)
    confidence[:2] = 0.5, 0.95
    page = opened(run=finished(PLAIN, said, labels, confidence), order="unsure")
    assert [alt.split(",")[0] for _, alt in shown(page)] == ["Test image 0", "Test image 1"]


@pytest.mark.parametrize(
    ("address", "pictures", "heading"),
    [
        ({"true_class": "cat"}, {0}, "1 image of a cat, predicted as another class"),
        ({"predicted": "airplane"}, {1, 2}, "2 images, predicted as an airplane"),
        ({"true_class": "ship", "predicted": "airplane"}, {1, 2}, "2 images of a ship, predicted as an airplane"),
        ({"true_class": "cat", "predicted": "cat"}, {8}, "1 image of a cat, predicted correctly"),
        ({"true_class": "cat", "predicted": "ship"}, set(), "0 images of a cat, predicted as a ship"),
    ],
    ids=["row", "column", "cell", "diagonal", "empty"],
)
@pytest.mark.slow
def test_a_row_a_column_or_a_cell_chooses_the_pictures(address, pictures, heading):
    labels, said = truth_with(p0=DOG, p1=AIRPLANE, p2=AIRPLANE)
    page = opened(run=finished(PLAIN, said, labels), **address)
    assert {int(address.rpartition("-")[2]) for address, _ in shown(page)} == pictures
    assert f"**{heading}**" in text(page)


def test_menus_choose_as_well_as_a_click_and_the_address_keeps_it():
    labels, said = truth_with(p0=DOG, p1=AIRPLANE)
    page = opened(run=finished(PLAIN, said, labels))
    page.selectbox(key="url.true_class").select("ship").run()
    assert [alt.split(",")[0] for _, alt in shown(page)] == ["Test image 1"]
    assert "ship" in page.query_params["true_class"]


def test_a_network_without_mistakes_has_none_to_show():
    labels, said = truth_with()
    page = opened(run=finished(PLAIN, said, labels))
    assert "misclassifies 0 of 20 test images (0.0 %)" in text(page)
    assert shown(page) == []


def test_without_the_data_set_figures_are_whole_and_the_samples_are_shown():
    labels, said = truth_with(p0=DOG)
    labels, said = np.append(labels, [CAT] * 30), np.append(said, [DOG] * 30)
    page = opened(run=finished(PLAIN, said, labels))
    assert "misclassifies 31 of 50 test images" in text(page)
    assert "31 times" in text(page)
    assert len(shown(page)) == 1
    assert "Only twenty of the test images are on this machine" in text(page)


def test_pictures_in_another_order_are_not_taken_for_these():
    labels, said = truth_with(p0=DOG)
    page = opened(run=finished(PLAIN, said[::-1], labels[::-1]))
    assert shown(page) == []
    assert "in another order" in text(page)


def test_many_mistakes_come_a_sheet_at_a_time():
    labels = sample_images()[1].astype(int)
    page = opened(run=finished(PLAIN, (labels + 1) % 10, labels))
    assert len(shown(page)) == 15
    assert "20 of 20" in text(page)


def test_a_network_on_shapes_has_its_own_classes_and_pictures(monkeypatch):
    for name in ("TRAIN_POOL", "VALIDATION", "TEST"):
        monkeypatch.setattr(shapes, name, 50)  # a moment's drawing
    experiment = Experiment(dataset="shapes", train_images=64)
    labels = data.load_dataset("shapes").y_test
    said = labels.astype(int).copy()
    first = int(np.flatnonzero(labels == 3)[0])
    said[first] = 7
    page = opened(run=finished(experiment, said, labels))
    assert "predicts a star for a heart: 1 time." in text(page)
    assert shown(page)[0][0].endswith(f"image=shapes-{first}")


# -- two networks ------------------------------------------------------------------------------------------------------


def two_networks():
    labels, mine = truth_with(p0=DOG, p5=DOG)
    _, other = truth_with(p0=SHIP, p1=AIRPLANE, p2=AIRPLANE)
    return finished(DROPOUT, mine, labels), finished(PLAIN, other, labels)


@pytest.mark.parametrize(("group", "pictures"), [("now_correct", {1, 2}), ("now_wrong", {5}), ("both_wrong", {0})])
@pytest.mark.slow
def test_what_one_network_fixed_and_broke_against_another(group, pictures):
    mine, other = two_networks()
    page = opened(run=mine, versus=other, group=group)
    assert {int(address.rpartition("-")[2]) for address, _ in shown(page)} == pictures
    assert (
        "dropout 0.1 instead of no regularizer: now correct: 2; now wrong: 1. So small a difference may be chance."
        in (text(page))
    )
    assert "Both are correct on 16 images, and both wrong on 1." in text(page)


def test_turned_round_what_was_fixed_is_broken():
    mine, other = two_networks()
    page = opened(run=other, versus=mine, group="now_wrong")
    assert {int(address.rpartition("-")[2]) for address, _ in shown(page)} == {1, 2}


def test_both_answers_stand_under_a_picture():
    mine, other = two_networks()
    page = opened(run=mine, versus=other, group="both_wrong")
    assert [alt for _, alt in shown(page)] == [
        "Test image 0, true class cat: dropout 0.1 predicts dog 70 %; no regularizer predicts ship 70 %"
    ]


def test_networks_tested_on_different_pictures_are_not_compared():
    labels, said = truth_with(p0=DOG)
    mine = finished(PLAIN, said, labels)
    other = finished(DROPOUT, said[:10], labels[:10])
    assert "tested on different images" in text(opened(run=mine, versus=other))


# -- what people type --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        {"run": "nonsense"},
        {"run": "../../etc"},
        {"versus": "nonsense"},
        {"versus": "<b>"},
        {"true_class": "unicorn"},
        {"predicted": "<script>"},
        {"order": "-1"},
        {"group": "x" * 500},
    ],
)
@pytest.mark.slow
def test_nonsense_in_the_address_shows_the_usual_page(address):
    labels, said = truth_with(p0=DOG)
    finished(PLAIN, said, labels)
    page = opened(**address)
    assert "misclassifies 1 of 20 test images" in text(page)
    assert len(shown(page)) == 1


def test_without_a_finished_network_it_says_what_to_do():
    assert "train one on the page Train" in text(opened())


def test_a_finished_network_without_predictions_is_said_so():
    labels, said = truth_with()
    key = finished(PLAIN, said, labels)
    (settings.runs_dir() / key / "predictions.npz").unlink()
    other = finished(DROPOUT, said, labels)
    page = opened(run=key)
    assert f"**{PLAIN.title}** has no predictions on the test images" in text(page)
    assert page.query_params["run"] == key  # and not, silently, the other network
    page.selectbox(key="selected_network.other").select(other).run()
    assert page.query_params["run"] == other and f"{DROPOUT.title}, trained here misclassifies" in text(page)


# -- sentences and charts ----------------------------------------------------------------------------------------------


def answers(labels, said, confidence=0.7):
    return metrics.classify(logits_that_say(said, confidence), labels)


@pytest.mark.parametrize(
    ("confidence", "right", "said"),
    [
        (0.9, 50, "overconfident by 40.0 points"),
        (0.2, 50, "underconfident by 30.0 points"),
        (0.5, 50, "no difference beyond chance"),
        (0.55, 50, "no difference beyond chance"),  # within 95 % of what 100 images tell
    ],
)
def test_confidence_is_judged_against_accuracy(confidence, right, said):
    labels = np.zeros(100, int)
    mistaken = (np.arange(100) >= right).astype(int)
    sentence = mistakes.describe_calibration("It", answers(labels, mistaken, confidence), 0.123)
    assert said in sentence and "(ECE): 12.3 points" in sentence


def test_the_interval_of_overconfidence_is_that_of_the_differences_by_image():
    """Right where it is sure and mostly wrong where it is not: less is left to chance than in the accuracy alone."""
    sure = metrics.classify(logits_that_say(np.zeros(300, int), 0.95), np.zeros(300, int))
    unsure = answers(np.zeros(100, int), (np.arange(100) >= 5).astype(int), 0.5)
    both = metrics.Predictions(
        *(np.concatenate(pair) for pair in zip(vars(sure).values(), vars(unsure).values(), strict=True))
    )
    excess = np.concatenate([np.full(300, 0.95 - 1), np.full(5, 0.5 - 1), np.full(95, 0.5)])
    margin = 1.966 * excess.std(ddof=1) / 20  # t quantile of 399 degrees of freedom
    assert f"overconfident by {100 * excess.mean():.1f} points ± {100 * margin:.1f}" in mistakes.describe_calibration(
        "It", both, 0.1
    )


def test_calibration_shows_the_error_over_bins_and_not_a_difference_of_means():
    """Half the images too sure and half too unsure: the means agree, the expected calibration error is 40 points."""
    labels = np.zeros(200, int)
    wrong = np.concatenate([np.arange(100) >= 50, np.arange(100) >= 90]).astype(int)
    logits = np.concatenate([logits_that_say(wrong[:100], 0.9), logits_that_say(wrong[100:], 0.5)])
    error = expected_calibration_error(logits, labels)
    assert error == pytest.approx(0.4)
    assert (
        "no difference beyond chance. Expected calibration error (ECE): 40.0 points"
        in mistakes.describe_calibration("It", metrics.classify(logits, labels), error)
    )


def outcomes(now_correct, now_wrong, images=200):
    first, second = np.arange(images) < now_correct, np.arange(images) >= images - now_wrong
    return metrics.PairedOutcomes(first, second, ~first & ~second, first & second)


@pytest.mark.parametrize(
    ("now_correct", "now_wrong", "chance"), [(0, 0, True), (59, 41, True), (60, 40, False), (3, 0, True), (4, 0, False)]
)
def test_a_network_is_called_better_only_beyond_the_chance_of_mcnemars_test(now_correct, now_wrong, chance):
    """z = (b - c) / sqrt(b + c): 1.8, 2.0, 1.73 and 2.0; 1.96 is the limit."""
    said = mistakes.comparison_headline("a", "b", outcomes(now_correct, now_wrong))
    assert ("may be chance" in said) is chance and ("a classifies" in said) is not chance


def test_the_difference_of_two_networks_has_its_interval_n_and_one_seed():
    """Of 1,000 images 60 are correct for the first only, 30 for the second only: +3.0 points, Wald's error 0.94."""
    said = mistakes.describe_accuracy_difference(outcomes(60, 30, 1000))
    assert "+3.0 points (+1.2 to +4.9, 95 %, paired over 1,000 images)" in said and "another seed" in said


def test_a_class_gained_or_lost_only_beyond_the_chance_of_ten_comparisons():
    """Ten classes of 100 images; +9 of 9 has p = 0.0027, times ten 0.027; +6 of 6 has 0.014, times nine 0.13."""
    truth = np.repeat(np.arange(10), 100)
    now_correct, now_wrong = np.zeros(1000, bool), np.zeros(1000, bool)
    now_correct[:9] = True
    now_correct[100:106] = True
    now_wrong[200:230] = True
    groups = metrics.PairedOutcomes(now_correct, now_wrong, ~now_correct & ~now_wrong, np.zeros(1000, bool))
    said = mistakes.describe_class_changes(groups, truth, [f"c{number}" for number in range(10)])
    assert said == ("Beyond chance (adjusted for 10 classes), these classes gained: c0 (+9); these lost: c2 (-30).")


def test_the_accuracy_of_a_class_has_the_interval_of_its_images():
    table = np.diag([50, 80]) + np.array([[0, 50], [20, 0]])
    said = mistakes.describe_class_interval(metrics.class_accuracy(table), table)
    assert said == "100 test images a class: an accuracy is known to within ±9.6 points (95 %)."


def test_classes_that_chance_may_put_first_or_last_stand_beside_the_best_and_worst():
    """Of 1,000 images each, 87.7 and 87.6 % differ by chance, 87.7 and 80 % do not; of 10 images nothing is certain."""
    right = np.array([877, 876, 800, 558, 571])
    table = np.diag(right) + np.roll(np.diag(1000 - right), 1, axis=1)
    assert mistakes.best_and_worst(table, tuple("abcde")) == (
        "Its accuracy is highest for a (88 %; perhaps as high: b) and lowest for d (56 %; perhaps as low: e)."
    )
    few = np.diag([8, 7, 7, 7, 6]) + np.roll(np.diag([2, 3, 3, 3, 4]), 1, axis=1)
    assert "highest for a (80 %; perhaps as high: 4 others)" in mistakes.best_and_worst(few, tuple("abcde"))


def test_a_clear_difference_names_the_better_one():
    labels = np.zeros(100, int)
    mine, other = answers(labels, labels), answers(labels, (np.arange(100) < 30).astype(int))
    said = mistakes.comparison_headline("dropout", "none", metrics.compare_predictions(mine, other))
    assert said == (
        "dropout instead of none: now correct: 30; now wrong: 0. dropout classifies 30 more images correctly than none."
    )


@pytest.mark.parametrize(
    ("mine", "other", "names"),
    [
        ({"depth": 3}, {"depth": 2}, ("3-conv", "2-conv")),
        ({"regularizer": "dropout"}, {"regularizer": "l2"}, ("dropout 0.1", "L2 0.00001")),
        ({"seed": 1}, {}, ("2-conv, no regularizer, seed 1", "2-conv, no regularizer")),
    ],
)
def test_two_networks_are_called_by_what_tells_them_apart(mine, other, names):
    assert mistakes.distinguishing_titles(Experiment(**mine), Experiment(**other)) == names


def test_the_margin_of_the_matrix_adds_up_mistakes_only():
    table = np.array([[5, 1, 2], [0, 7, 3], [4, 0, 9]])
    assert mistake_charts.with_error_totals(table).tolist() == [[5, 1, 2, 3], [0, 7, 3, 3], [4, 0, 9, 4], [4, 1, 5, 10]]


def test_charts_say_their_content_in_words():
    table = np.array([[5, 1, 2], [0, 7, 3], [4, 0, 9]])
    assert "cat 5 of 8 correct, 2 predicted as ship" in describe_confusion_matrix(table, ("cat", "dog", "ship"))
    assert describe_class_accuracy(np.array([0.5, np.nan, 0.75]), ("cat", "dog", "ship")).endswith(
        "ship 75 %, cat 50 %"
    )


def test_every_chart_is_json_but_for_its_figures():
    table, names = np.eye(10, dtype=int) * 3, CLASSES
    curve = metrics.calibration(logits_that_say([0, 1]), [0, 0])
    groups = metrics.compare_predictions(answers([0, 1], [0, 0]), answers([0, 1], [1, 1]))
    for spec in (
        mistake_charts.confusion_matrix_chart(table, names, ("", "")),
        mistake_charts.class_accuracy_chart(np.ones(10), names, "#000"),
        mistake_charts.calibration_chart({"a": curve, "b": curve}, ["#000", "#111"]),
        mistake_charts.outcome_chart(groups, np.array([0, 1]), names),
    ):
        figures = spec["datasets"]["figures"]
        assert isinstance(figures, bytes) and figures
        json.dumps({name: value for name, value in spec.items() if name != "datasets"})


def test_words_in_the_gallery_cannot_become_html():
    tile = image_grid.GridImage(
        pixels=np.zeros((32, 32, 3), np.uint8), params={"run": '"><i>'}, caption=["<i>"], alt='"><i>'
    )
    html = image_grid.image_html(tile)
    assert "<i>" not in html and "<b>&lt;i&gt;</b>" in html
