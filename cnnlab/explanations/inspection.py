"""Sentences about one network and one image: predictions, heat maps, ablations, and what a regularizer did.

Probabilities are fractions and are told in percent; differences between probabilities in points. Sentences are
Markdown: what changes is bold. The first sentence of a pair states the result, the second says what to look for.
"""

from collections.abc import Sequence

import numpy as np

from cnnlab.analysis.attribution import GradCam, Occlusion
from cnnlab.analysis.regularizer_effects import BatchNormStats, DropoutSamples, WeightStats
from cnnlab.array_types import Array
from cnnlab.formatting import percent, points

NOTICEABLE_CHANGE = 0.01  # a probability that moves by less than this has hardly moved
WIDE_RANGE = 0.4  # a probability that ranges over more than this is swayed, whatever the answer
NORM_TOLERANCE = 0.02  # a norm that differs by less than this share is the same
MORE_ALIKE_RATIO = 0.85  # channels whose unequality fell below this share have become more alike
NEAR_MAXIMUM_SHARE = 0.02  # values within this share of the largest count as largest too
IMAGE_THIRDS = {0: ("upper", "left"), 1: ("middle", "middle"), 2: ("lower", "right")}  # of a picture, down and across


def describe_prediction(probabilities: Array, classes: Sequence[str], truth: int | None) -> str:
    """'It says **dog**, 55 %. Wrong: it is a cat, to which it gives 18 %.'"""
    if not np.isfinite(probabilities).all():
        return "It has **no answer**: its numbers are no numbers, as after a training that diverged."
    best = int(probabilities.argmax())
    says = f"It says **{classes[best]}**, {percent(float(probabilities[best]))}."
    if truth is None:
        return says
    if truth == best:
        return f"{says} That is right."
    return f"{says} Wrong: the truth is **{classes[truth]}**, {percent(float(probabilities[truth]))}."


def explain_prediction_change(before: Array, after: Array, classes: Sequence[str]) -> str:
    """What a change (filters off, a kernel edited, the picture turned) did to the answer: probabilities (10,) each."""
    first, now = int(before.argmax()), int(after.argmax())
    if not np.isfinite(after).all():
        return "The network has **no answer** any more: its numbers are no numbers."
    if first != now:
        was = f"instead of {classes[first]} ({percent(float(before[first]))} before)"
        return f"The answer changes: **{classes[now]}**, {percent(float(after[now]))}, {was}."
    moved = float(after[first] - before[first])
    if abs(moved) < NOTICEABLE_CHANGE:
        return f"The answer stays **{classes[first]}**, {percent(float(after[first]))}: hardly anything changed."
    way = "more" if moved > 0 else "less"
    return f"The answer stays **{classes[first]}**, {points(abs(moved))} {way} sure: {percent(float(after[first]))}."


def explain_occlusion(found: Occlusion, classes: Sequence[str]) -> str:
    """Where covering a piece of the picture costs the class most."""
    name, most = classes[found.target], float(found.drop.max())
    sure = f"Uncovered, it gives {name} {percent(found.probability)}."
    if most < NOTICEABLE_CHANGE:
        return f"{sure} No patch of {found.patch}x{found.patch} pixels lowers that by as much as a point."
    worst = found.worst_patch
    return (
        f"{sure} Covering rows {worst.top} to {worst.bottom - 1}, columns {worst.left} to {worst.right - 1} costs "
        f"most: **{points(most)}**."
    )


def explain_occlusion_colors(found: Occlusion) -> str:
    """How the map of `found` is to be read, and why its scale ends below what the worst patch costs."""
    most, worst = float(np.abs(found.heatmap).max()), float(found.drop.max())
    mean = f"A pixel's colour is the mean of all patches that cover it, {points(most)} at most"
    apart = f"; the framed patch alone costs {points(worst)}" if worst >= NOTICEABLE_CHANGE else ""
    return f"{mean}{apart}. Orange: covering costs the class probability. Purple: covering helps."


def explain_grad_cam(found: GradCam, classes: Sequence[str]) -> str:
    """Where a layer speaks for the class, or that it does not."""
    name = classes[found.target]
    if not found.has_evidence:
        return f"**No positive evidence:** nothing that {found.layer_name} found in this picture speaks for {name}."
    part = percent(float((found.coarse > 0).mean()))
    return (
        f"What {found.layer_name} found speaks for {name} in {part} of its places, {describe_location(found.heatmap)}."
    )


def describe_location(heat: Array) -> str:
    """Where a map (h, w), its largest value above zero, is strongest: the middle of all places that are about equal."""
    top = heat >= (1 - NEAR_MAXIMUM_SHARE) * heat.max()
    if top.all():
        return "**everywhere alike**"
    row, column = (round(float(places.mean())) for places in np.nonzero(top))
    if not top[row, column]:
        return "most in **several places**"
    down, across = IMAGE_THIRDS[row * 3 // heat.shape[0]][0], IMAGE_THIRDS[column * 3 // heat.shape[1]][1]
    return f"most in the **{'middle' if down == across else f'{down} {across}'}**"


def explain_filter_matching(same_initialization: bool, same_index_matches: int, filters: int) -> str:
    """What filter numbers of two runs mean: whether they began from the same random numbers, and how many of the
    first layer's `filters` are still most like the one with the same number (`same_index_matches`)."""
    name = f"filter {min(12, filters - 1)}"
    if not same_initialization:
        what = "which filter learns what is decided by the random start"
        return f"{name.capitalize()} of one run is not {name} of the other: {what}."
    start = "Both runs began from the same random numbers"
    counted = f"**{same_index_matches} of {filters}** first-layer filters are most like the one with the same number"
    if 2 * same_index_matches > filters:
        return f"{start}, so {name} of one often became what {name} of the other is: {counted}."
    return f"{start} and have gone ways of their own since: {counted}."


def explain_dropout(samples: DropoutSamples, classes: Sequence[str]) -> tuple[str, str]:
    """How the answer wobbles over the masks."""
    best, count = int(samples.full_network.argmax()), len(samples.probabilities)
    low, high = float(samples.probabilities[:, best].min()), float(samples.probabilities[:, best].max())
    same = round(samples.agreement * count)
    result = (
        f"**{same} of {count}** thinned networks say {classes[best]}, as the whole one does; they give it "
        f"{percent(low)} to {percent(high)} (whole: {percent(float(samples.full_network[best]))})."
    )
    if same < 0.8 * count:
        return result, "The others are swayed by a few missing numbers: this picture is a close call."
    if high - low > WIDE_RANGE:
        return result, "Losing some numbers seldom changes the answer, but how sure it is hangs on which."
    return result, "A network trained this way cannot lean on any one number, so losing some hardly sways it."


def explain_weight_penalty(own: Sequence[WeightStats], plain: Sequence[WeightStats]) -> tuple[str, str]:
    """How the weights of a run with L2 compare with those of the same run without."""
    shares = {a.layer: a.norm / b.norm - 1 for a, b in zip(own, plain, strict=True) if b.norm > 0}
    layer, most = max(shares.items(), key=lambda pair: abs(pair[1]))
    if abs(most) < NORM_TOLERANCE:
        result = f"No layer's weights differ from the plain run's by more than {percent(abs(most))} in norm."
        return result, "A penalty this small is hardly felt: do not expect to see it in the curves either."
    smaller = [name for name, share in shares.items() if share < -NORM_TOLERANCE]
    way = "smaller" if most < 0 else "larger"
    result = (
        f"In **{len(smaller)} of {len(shares)}** layers the weights are smaller in norm than the plain run's; the "
        f"largest difference is {layer}, {percent(abs(most))} {way}."
    )
    return result, "Look for a histogram that is narrower than the plain run's: large weights had to pay."


def explain_batchnorm(found: BatchNormStats) -> tuple[str, str]:
    """What one batch normalization did with the spread of its channels (each one's standard deviation)."""
    silenced = (
        f"On average {percent(float(found.negative_after.mean()))} of a channel's numbers are below zero after it, "
        f"where ReLU will silence them."
    )
    sides = (found.std_before, found.std_after)
    if not all(np.quantile(side, 0.1, method="nearest") > 0 for side in sides):
        return f"{silenced} Not all channels of {found.layer} have a spread here.", (
            "A map of one pixel, or one that is the same everywhere, cannot show on one picture what was done to it."
        )
    (middle, times), (middle_after, times_after) = (_spread(side) for side in sides)
    result = (
        f"Before {found.layer} the widest tenth of the channels spread at least **{times:.1f} times** as much as the "
        f"narrowest tenth, after it **{times_after:.1f} times**; the middle channel spreads by {middle:.2g} before and "
        f"by {middle_after:.2g} after. {silenced}"
    )
    if times_after < MORE_ALIKE_RATIO * times:
        return result, "Compare the lengths of the lines: less alike before, more alike after."
    return result, (
        "On this one picture the channels are hardly more alike after it than before: they were made alike over all "
        "training images, and then each was given the spread it had learned."
    )


def _spread(deviations: Array) -> tuple[float, float]:
    """The median, and how many times the 90th percentile is as large as the 10th; each is some channel's own."""
    low, high = np.quantile(deviations, (0.1, 0.9), method="nearest")
    return float(np.median(deviations)), float(high / low)
