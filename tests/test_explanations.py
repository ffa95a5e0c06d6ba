"""The sentences of `explanations.inspection`, checked on constructed results."""

import dataclasses

import numpy as np
import pytest

from cnnlab import formatting
from cnnlab.analysis.attribution import GradCam, Occlusion
from cnnlab.analysis.receptive_field import Box
from cnnlab.analysis.regularizer_effects import BatchNormStats, DropoutSamples, weight_stats
from cnnlab.explanations import inspection

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def shares(**given: float) -> np.ndarray:
    """Probabilities by class name, the rest spread evenly."""
    left = (1 - sum(given.values())) / (10 - len(given))
    return np.array([given.get(name, left) for name in CLASSES], np.float32)


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (0, ("image",), "0 images"),
        (1, ("image",), "1 image"),
        (2639, ("image",), "2,639 images"),
        (1, ("place is", "places are"), "1 place is"),
        (2, ("place is", "places are"), "2 places are"),
    ],
)
def test_a_number_stands_before_the_singular_or_the_plural(number, words, text):
    assert formatting.pluralize(number, *words) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (1.0, "100 %"), (0.718, "72 %"), (0.004, "0.4 %"), (0.0001, "<0.1 %"), (0.9999, ">99.9 %"),
     (0.997, "99.7 %"), (float("nan"), "no number")],
)  # fmt: skip
def test_percent_never_claims_more_than_is_known(share, text):
    assert formatting.percent(share) == text


def test_a_line_may_not_end_inside_a_figure():
    told = formatting.keep_figures_whole("72 % of 9 shapes ± 1.3, 2 h 6 min").split(" ")
    assert [one.replace("\N{NO-BREAK SPACE}", "_") for one in told] == [
        "72_%", "of", "9", "shapes", "±_1.3,", "2_h", "6_min",
    ]  # fmt: skip


def test_a_changed_answer_names_both_classes():
    sentence = inspection.describe_prediction_change(shares(cat=0.7), shares(dog=0.6), CLASSES)
    assert "**dog** (60 %)" in sentence and "instead of cat (70 % before)" in sentence


def test_an_answer_that_stays_tells_how_much_surer_it_is():
    assert "(60 %): 10.0 points lower" in inspection.describe_prediction_change(
        shares(cat=0.7), shares(cat=0.6), CLASSES
    )
    assert "5.0 points higher" in inspection.describe_prediction_change(shares(cat=0.7), shares(cat=0.75), CLASSES)
    assert "changes by less than a point" in inspection.describe_prediction_change(
        shares(cat=0.7), shares(cat=0.705), CLASSES
    )


def occlusion(drop: float) -> Occlusion:
    return Occlusion(
        target=3,
        probability=0.9,
        drop=np.array([[drop]], np.float32),
        tops=np.array([0]),
        lefts=np.array([0]),
        patch=8,
        heatmap=np.zeros((32, 32), np.float32),
        worst_patch=Box(4, 6, 12, 14),
    )


def test_occlusion_names_the_patch_that_costs_most():
    sentence = inspection.describe_occlusion(occlusion(0.42), CLASSES)
    assert "rows 4 to 11, columns 6 to 13" in sentence and "**42.0 points**" in sentence


def test_occlusion_that_costs_nothing_is_said():
    assert "No patch of 8x8 pixels lowers that by as much as a point" in inspection.describe_occlusion(
        occlusion(0.001), CLASSES
    )


def test_the_mean_of_a_pixel_and_the_worst_patch_are_told_apart():
    occluded = dataclasses.replace(occlusion(0.663), heatmap=np.full((32, 32), -0.233, np.float32))
    sentence = inspection.describe_occlusion_colors(occluded)
    assert (
        "the mean of all patches that cover it, 23.3 points at most; the framed patch alone costs 66.3 points."
        in sentence
    )
    assert "alone" not in inspection.describe_occlusion_colors(occlusion(-0.2))  # no patch costs anything


def cam(heat: np.ndarray) -> GradCam:
    return GradCam(
        target=3,
        layer_name="relu3",
        importance=np.ones(4),
        signed=heat,
        coarse=heat,
        heatmap=heat,
        has_evidence=bool(heat.any()),
    )


def test_no_positive_evidence_is_said_in_words():
    assert "No positive evidence" in inspection.describe_grad_cam(cam(np.zeros((32, 32), np.float32)), CLASSES)


@pytest.mark.parametrize(
    ("row", "column", "place"),
    [(0, 31, "upper right"), (16, 16, "middle"), (31, 0, "lower left"), (16, 0, "middle left")],
)
def test_the_place_of_the_evidence_is_named(row, column, place):
    heat = np.zeros((32, 32), np.float32)
    heat[row, column] = 1
    assert f"most in the **{place}**" in inspection.describe_grad_cam(cam(heat), CLASSES)


def test_the_place_of_a_plateau_is_its_middle_and_not_its_first_corner():
    heat = np.full((32, 32), 0.2, np.float32)
    heat[14:, 14:] = 1
    heat[20, 25] = 0.99  # as good as equal
    assert "most in the **lower right**" in inspection.describe_grad_cam(cam(heat), CLASSES)


def test_evidence_that_is_the_same_everywhere_has_no_place():
    sentence = inspection.describe_grad_cam(cam(np.full((32, 32), 0.3, np.float32)), CLASSES)
    assert "100 % of its pixels, **equally everywhere**." in sentence


def test_evidence_in_two_corners_is_not_in_the_middle_between_them():
    heat = np.zeros((32, 32), np.float32)
    heat[0, 0] = heat[31, 31] = 1
    assert "most in **several places**" in inspection.describe_grad_cam(cam(heat), CLASSES)


def test_thinned_networks_are_counted():
    probabilities = np.stack([shares(cat=0.5)] * 24 + [shares(dog=0.6, cat=0.2)] * 6)
    samples = DropoutSamples(full_network=shares(cat=0.55), probabilities=probabilities, masks={}, activations={})
    result, look = inspection.describe_dropout(samples, CLASSES)
    assert "**24 of 30** predictions" in result and "20 % to 50 % with dropout and 55 % without" in result
    assert "depends little on which values" in look
    probabilities[0] = shares(cat=0.95)
    _, look = inspection.describe_dropout(samples, CLASSES)
    assert "its confidence depends on which values are dropped" in look


def test_l2_says_where_the_weights_are_smaller_and_where_nothing_is_to_be_seen():
    plain = {"conv1/kernel": np.full((3, 3), 1.0), "logits/kernel": np.full((3, 3), 1.0)}
    small = {"conv1/kernel": np.full((3, 3), 0.8), "logits/kernel": np.full((3, 3), 1.0)}
    result, _ = inspection.describe_weight_penalty(weight_stats(small, plain), weight_stats(plain, small), 30)
    assert "**1 of 2** layers" in result and "conv1, 20 % smaller" in result
    same, look = inspection.describe_weight_penalty(weight_stats(plain, plain), weight_stats(plain, plain), 30)
    assert "No layer's weights differ" in same and "hardly changes the weights" in look
    _, look = inspection.describe_weight_penalty(weight_stats(plain, small), weight_stats(small, plain), 30)
    assert "narrower" not in look  # the weights are larger
    _, look = inspection.describe_weight_penalty(weight_stats(plain, plain), weight_stats(plain, plain), 0)
    assert "hardly changes" not in look and "Before the training" in look


def normalized(before: list[float], after: list[float], learned: dict | None = None) -> str:
    nothing = np.zeros(3)
    occluded = BatchNormStats(
        layer="bn1", input_name="conv1", std_before=np.array(before), quantiles_before=nothing,
        std_after=np.array(after), quantiles_after=nothing,
        negative_after=np.array([0.5, 0.6, 0.7]), learned=learned or {},
    )  # fmt: skip
    return " ".join(inspection.describe_batchnorm(occluded))


def test_batch_normalization_tells_how_unequal_the_channels_were():
    sentence = normalized([0.5, 0.5, 4.0], [1.0, 1.0, 1.5])
    assert "at least **8.0 times**" in sentence and "after it **1.5 times**" in sentence
    assert "spreads by 0.5 before and by 1 after" in sentence
    assert "60 % of a channel's numbers" in sentence and "more different before, more similar after" in sentence


def test_channels_that_became_no_more_alike_are_not_said_to_have():
    sentence = normalized([1.0, 1.0, 2.0], [1.0, 1.0, 2.4])
    assert "**2.0 times**" in sentence and "**2.4 times**" in sentence
    assert "hardly more similar" in sentence and "more similar after." not in sentence
    untrained = normalized([1.0, 1.0, 2.0], [1.0, 1.0, 2.0], {"moving_mean": np.zeros(3)})
    assert "before the training it changes nothing" in untrained and "makes them equal" not in untrained


def test_maps_of_one_pixel_have_no_spread_to_tell_of():
    sentence = normalized([0.0, 0.0, 0.0], [0.0, 0.0, 0.0])
    assert "have a spread here" in sentence and "times" not in sentence


def test_equal_numbers_of_filters_mean_something_only_after_the_same_start():
    assert "Filter 12 of one run does not correspond to filter 12 of the other" in inspection.describe_filter_matching(
        False, 0, 64
    )
    assert "most filters still correspond: **46 of 64**" in inspection.describe_filter_matching(True, 46, 64)
    assert "no longer correspond: **3 of 64**" in inspection.describe_filter_matching(True, 3, 64)
    assert "Filter 7 of one run does not correspond to filter 7" in inspection.describe_filter_matching(
        False, 0, 8
    )  # a layer of 8 has no filter 12
