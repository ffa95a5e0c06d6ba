"""Intervals, tests and agreement: how far a figure, or a difference of figures, may be chance.

Two sources of chance are kept apart; `Estimate.chance` names the one that an interval describes:

- "images": these networks, had other images been drawn from the same source (`images`). Nothing about retraining.
- "seeds": these experiments, had other seeds been used (`seeds`), on these same images. A claim about a regularizer or
  a depth, instead of about one trained network, needs this one.
- "epochs": how much a curve moves from epoch to epoch (`seeds.trend`).

The rules: which interval belongs to which figure.

| figure | function | interval |
| --- | --- | --- |
| accuracy of one run | `accuracy_interval` | Wilson's score interval |
| share of images on which two runs agree | `agreement` | Wilson's score interval |
| two runs on the same images | `paired_difference` | Tango's score interval; the p value of McNemar's test |
| two accuracies on different images (validation and test; the report's and ours) | `unpaired_difference` | Newcombe's |
| generalization gap (training minus validation, inference mode) | `generalization_gap` | Newcombe's |
| mean of a series (one experiment, several seeds) | `seed_mean` | t; the range where there are fewer than 3 seeds |
| two series | `seed_difference` | t of the differences by seed; the range for fewer than 3 common seeds |
| difference of two gaps | `gap_difference` | Newcombe's method again, of two gaps: wide |
| gap as a share of the plain network's | `explanations.learning_verdict.share_margin` | of a ratio (delta method) |
| gap as Keras reports it | `comparison.gap_estimate` | Newcombe's, approximate |
| whether two accuracies agree | `claims.check_agreement` | Newcombe's: they do where it lies within the tolerance |
| accuracy of several networks' average, of a larger training set | `paired_difference` | Tango's |
| whether two networks differ in a class | `paired_difference_from_counts` | McNemar's test, Holm-adjusted |
| whether a curve still rises or falls | `trend` | t of the least-squares slope |
| several comparisons behind one sentence | `adjust_for_multiple_comparisons` | Holm's adjusted p values |
| loss of two predictions of the same images | `loss_difference` | t of the differences by image |
| mean confidence minus accuracy | `confidence_difference` | t of the differences by image |
| calibration | `expected_calibration_error` | none: the measure is biased upwards for few images |

- A difference is beyond chance where `Estimate.is_significant`: its p value, Holm-adjusted where several comparisons
  support one sentence, is at most 0.05. A range has no p value and is never significant.
- With fewer than 3 seeds a comparison of two models is that of the first seed, over images; it must also have its sign
  in all seeds and in nine of the last ten epochs (`comparison.Comparison.is_steady`).
- Two intervals that overlap do not show that two figures agree: look at the interval of their difference.
- Two runs on the same images are compared with `paired_difference`, never with `unpaired_difference`, whose interval is
  too wide for them: most images are easy or hard for both.
- A figure chosen because it is the best of several epochs, models or settings is biased upwards; no interval here
  corrects that.
- The interval of a difference of two gaps takes their images for different ones: too wide where they are the same.
- Keras's training accuracy is a mean over the epoch, no accuracy of one network: the interval of its gap is only
  approximate.
- Values are fractions, not percent: a difference of 0.012 is 1.2 points.
"""

from cnnlab.analysis.statistics.calibration import (
    TemperatureScaling,
    confidence_difference,
    expected_calibration_error,
    fit_temperature,
    loss_difference,
    temperature_scaling,
)
from cnnlab.analysis.statistics.ensembles import agreement, ensemble_logits
from cnnlab.analysis.statistics.estimate import Estimate, InsufficientData, adjust_for_multiple_comparisons, holm
from cnnlab.analysis.statistics.images import (
    accuracy_interval,
    gap_difference,
    generalization_gap,
    paired_difference,
    paired_difference_from_counts,
    unpaired_difference,
)
from cnnlab.analysis.statistics.seeds import seed_difference, seed_mean, trend

__all__ = [
    "Estimate",
    "InsufficientData",
    "TemperatureScaling",
    "accuracy_interval",
    "adjust_for_multiple_comparisons",
    "agreement",
    "confidence_difference",
    "ensemble_logits",
    "expected_calibration_error",
    "fit_temperature",
    "gap_difference",
    "generalization_gap",
    "holm",
    "loss_difference",
    "paired_difference",
    "paired_difference_from_counts",
    "seed_difference",
    "seed_mean",
    "temperature_scaling",
    "trend",
    "unpaired_difference",
]
