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
| whether a curve still rises or falls | `trend` | t of the least-squares slope |
| several comparisons behind one sentence | `adjust_for_multiple_comparisons` | Holm's adjusted p values |
| calibration | `expected_calibration_error` | none: the measure is biased upwards for few images |

- A difference is beyond chance where `Estimate.is_significant`: its p value, Holm-adjusted where several comparisons
  support one sentence, is at most 0.05. A range has no p value and is never significant.
- Two intervals that overlap do not show that two figures agree: look at the interval of their difference.
- Two runs on the same images are compared with `paired_difference`, never with `unpaired_difference`, whose interval is
  too wide for them: most images are easy or hard for both.
- A figure chosen because it is the best of several epochs, models or settings is biased upwards; no interval here
  corrects that.
- Values are fractions, not percent: a difference of 0.012 is 1.2 points.
"""

from cnnlab.analysis.statistics.calibration import (
    TemperatureScaling,
    expected_calibration_error,
    fit_temperature,
    temperature_scaling,
)
from cnnlab.analysis.statistics.ensembles import agreement, ensemble_logits
from cnnlab.analysis.statistics.estimate import Estimate, InsufficientData, adjust_for_multiple_comparisons, holm
from cnnlab.analysis.statistics.images import (
    accuracy_interval,
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
    "ensemble_logits",
    "expected_calibration_error",
    "fit_temperature",
    "generalization_gap",
    "holm",
    "paired_difference",
    "paired_difference_from_counts",
    "seed_difference",
    "seed_mean",
    "temperature_scaling",
    "trend",
    "unpaired_difference",
]
