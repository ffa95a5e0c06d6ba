"""Sentences about one network and one image: predictions, heat maps, ablations, the effect of a regularizer.

Probabilities (fractions 0..1) are printed in percent, differences between probabilities in points. Sentences are
Markdown; results are bold. Of a pair of sentences the first states the result, the second what to look for.
"""

from collections.abc import Sequence

import numpy as np

from cnnlab.analysis.attribution import GradCam, Occlusion
from cnnlab.analysis.regularizer_effects import BatchNormStats, DropoutSamples, WeightStats
from cnnlab.analysis.statistics import accuracy_interval
from cnnlab.array_types import Array
from cnnlab.formatting import percent, points

NOTICEABLE_CHANGE = 0.01  # a change of a probability below this is called small
WIDE_RANGE = 0.4  # a range of a probability above this is called wide
NORM_TOLERANCE = 0.02  # norms that differ by less than this share are called equal
MORE_ALIKE_RATIO = 0.85  # channels are called more alike if the ratio of their spreads fell below this share
NEAR_MAXIMUM_SHARE = 0.02  # values that differ from the largest by less than this share count as largest
IMAGE_THIRDS = {
    0: ("upper", "left"),
    1: ("middle", "middle"),
    2: ("lower", "right"),
}  # of an image: (vertical, horizontal)


def describe_prediction(probabilities: Array, classes: Sequence[str], truth: int | None) -> str:
    """'Prediction: **dog** (55 %), wrong. True class: **cat** (18 %).' `truth` is a class or None."""
    if not np.isfinite(probabilities).all():
        return "**No prediction**: the probabilities are not numbers, as after a training that diverged."
    best = int(probabilities.argmax())
    prediction = f"Prediction: **{classes[best]}** ({percent(float(probabilities[best]))})"
    if truth is None:
        return f"{prediction}."
    if truth == best:
        return f"{prediction}, correct."
    return f"{prediction}, wrong. True class: **{classes[truth]}** ({percent(float(probabilities[truth]))})."


def describe_test_accuracy(correct: int, count: int) -> str:
    """The share of `count` test images that a network classifies correctly, with its 95 % interval."""
    share = accuracy_interval(correct / count, count)
    low, high = percent(share.low, 1), percent(share.high, 1)
    return f"**{percent(correct / count, 1)}** of {count:,} test images correct (95 % interval {low} to {high})"


def describe_prediction_change(before: Array, after: Array, classes: Sequence[str]) -> str:
    """The effect of a change of image or weights on the prediction; probabilities (classes,) before and after it."""
    first, now = int(before.argmax()), int(after.argmax())
    if not np.isfinite(after).all():
        return "The network has **no prediction** any more: the probabilities are not numbers."
    if first != now:
        old = f"instead of {classes[first]} ({percent(float(before[first]))} before)"
        return f"The prediction changes: **{classes[now]}** ({percent(float(after[now]))}) {old}."
    change, share = float(after[first] - before[first]), percent(float(after[first]))
    if abs(change) < NOTICEABLE_CHANGE:
        return f"The prediction stays **{classes[first]}** ({share}): the probability changes by less than a point."
    direction = "higher" if change > 0 else "lower"
    return f"The prediction stays **{classes[first]}** ({share}): {points(abs(change))} {direction} than before."


def describe_occlusion(result: Occlusion, classes: Sequence[str]) -> str:
    """Which patch lowers the probability of the class most when it is covered."""
    name, most = classes[result.target], float(result.drop.max())
    uncovered = f"Uncovered, it gives {name} {percent(result.probability)}."
    if most < NOTICEABLE_CHANGE:
        return f"{uncovered} No patch of {result.patch}x{result.patch} pixels lowers that by as much as a point."
    worst = result.worst_patch
    return (
        f"{uncovered} Covering rows {worst.top} to {worst.bottom - 1}, columns {worst.left} to {worst.right - 1} costs "
        f"most: **{points(most)}**."
    )


def describe_occlusion_colors(result: Occlusion) -> str:
    """How to read the heat map, and why its scale ends below the drop caused by the worst patch."""
    most, worst = float(np.abs(result.heatmap).max()), float(result.drop.max())
    mean = f"A pixel's color is the mean of all patches that cover it, {points(most)} at most"
    apart = f"; the framed patch alone costs {points(worst)}" if worst >= NOTICEABLE_CHANGE else ""
    return f"{mean}{apart}. Orange: covering costs the class probability. Purple: covering helps."


def describe_grad_cam(result: GradCam, classes: Sequence[str]) -> str:
    """In which share of its pixels a layer is evidence for the class, and where; or that there is none."""
    name = classes[result.target]
    if not result.has_evidence:
        return (
            f"**No positive evidence:** no pixel of {result.layer_name} increases the logit of {name} for this image."
        )
    part = percent(float((result.coarse > 0).mean()))
    location = describe_location(result.heatmap)
    return f"{result.layer_name} is evidence for {name} in {part} of its pixels, {location}."


def describe_location(heat: Array) -> str:
    """The position of the positive maximum of a map (h, w): the mean position of all pixels close to it in value."""
    top = heat >= (1 - NEAR_MAXIMUM_SHARE) * heat.max()
    if top.all():
        return "**equally everywhere**"
    row, column = (round(float(indices.mean())) for indices in np.nonzero(top))
    if not top[row, column]:
        return "most in **several places**"
    down, across = IMAGE_THIRDS[row * 3 // heat.shape[0]][0], IMAGE_THIRDS[column * 3 // heat.shape[1]][1]
    return f"most in the **{'middle' if down == across else f'{down} {across}'}**"


def describe_filter_matching(same_initialization: bool, same_index_matches: int, filters: int) -> str:
    """Whether filters with the same index in two runs correspond to each other.

    `same_index_matches` of the first layer's `filters` are most similar to the filter with the same index.
    """
    name = f"filter {min(12, filters - 1)}"
    if not same_initialization:
        what = "what a filter learns depends on its random initial weights"
        return f"{name.capitalize()} of one run does not correspond to {name} of the other: {what}."
    start = "Both runs have the same initial weights"
    counted = f"**{same_index_matches} of {filters}** first-layer filters are most similar to their own number"
    if 2 * same_index_matches > filters:
        return f"{start}, and most filters still correspond: {counted}."
    return f"{start}, but most filters no longer correspond: {counted}."


def describe_dropout(samples: DropoutSamples, classes: Sequence[str]) -> tuple[str, str]:
    """How the prediction varies over the dropout masks, and what that means."""
    best, count = int(samples.full_network.argmax()), len(samples.probabilities)
    low, high = float(samples.probabilities[:, best].min()), float(samples.probabilities[:, best].max())
    same = round(samples.agreement * count)
    result = (
        f"**{same} of {count}** predictions with random dropout are {classes[best]}, as without dropout. Its "
        f"probability is "
        f"{percent(low)} to {percent(high)} with dropout and {percent(float(samples.full_network[best]))} without."
    )
    if same < 0.8 * count:
        return result, "The prediction for this image often changes when a few activations are dropped."
    if high - low > WIDE_RANGE:
        return (
            result,
            "Dropout seldom changes the prediction, but its confidence depends on which values are dropped.",
        )
    return result, "The prediction for this image depends little on which values are dropped."


def describe_weight_penalty(own: Sequence[WeightStats], plain: Sequence[WeightStats], epoch: int) -> tuple[str, str]:
    """How the norms of the weights of a run with L2 compare with those of the same run without, after this epoch."""
    shares = {a.layer: a.norm / b.norm - 1 for a, b in zip(own, plain, strict=True) if b.norm > 0}
    layer, most = max(shares.items(), key=lambda pair: abs(pair[1]))
    if abs(most) < NORM_TOLERANCE:
        result = f"No layer's weights differ from the plain run's by more than {percent(abs(most))} in norm."
        if epoch == 0:
            return result, "Before the training nothing has been penalized yet: choose a later epoch."
        return result, "A penalty this small hardly changes the weights."
    smaller = [name for name, share in shares.items() if share < -NORM_TOLERANCE]
    direction = "smaller" if most < 0 else "larger"
    result = (
        f"In **{len(smaller)} of {len(shares)}** layers the weights are smaller in norm than the plain run's; the "
        f"largest difference is {layer}, {percent(abs(most))} {direction}."
    )
    if not smaller:
        return result, "Two trainings differ in more than the penalty: these are one run each."
    return result, "Look for a histogram that is narrower than the plain run's: L2 penalizes large weights."


def describe_batchnorm(stats: BatchNormStats) -> tuple[str, str]:
    """The effect of one batch normalization on the spread (standard deviation) of its channels."""
    negative_sentence = (
        f"On average {percent(float(stats.negative_after.mean()))} of a channel's numbers are below zero after it, "
        f"where ReLU sets them to zero."
    )
    spreads = (stats.std_before, stats.std_after)
    if not all(np.quantile(spread, 0.1, method="nearest") > 0 for spread in spreads):
        return f"{negative_sentence} Not all channels of {stats.layer} have a spread here.", (
            "A map of one pixel, or with one value everywhere, has no spread on one image."
        )
    (median, ratio), (median_after, ratio_after) = (_spread(spread) for spread in spreads)
    result = (
        f"Before {stats.layer} the widest tenth of the channels spread at least **{ratio:.1f} times** as much as the "
        f"narrowest tenth, after it **{ratio_after:.1f} times**; the middle channel spreads by {median:.2g} before and "
        f"by {median_after:.2g} after. {negative_sentence}"
    )
    if not np.any(stats.learned.get("moving_mean", 1)):
        return (
            result,
            "Mean and variance still have their initial values, 0 and 1: before the training it changes nothing.",
        )
    if ratio_after < MORE_ALIKE_RATIO * ratio:
        return result, "Compare the lengths of the lines: more different before, more similar after."
    return result, (
        "On this one image the spreads are hardly more similar after it than before: in training it makes them equal "
        "over each batch, here it uses the moving averages, and it multiplies each channel by a learned factor."
    )


def _spread(deviations: Array) -> tuple[float, float]:
    """The median, and the ratio of the 90th to the 10th percentile (by nearest rank), of deviations (channels,)."""
    low, high = np.quantile(deviations, (0.1, 0.9), method="nearest")
    return float(np.median(deviations)), float(high / low)
