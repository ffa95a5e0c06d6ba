"""The charts of a sweep with their data, and their alt texts."""

from collections.abc import Mapping, Sequence

import numpy as np

from cnnlab.array_types import History
from cnnlab.explanations.intervals import format_margin
from cnnlab.explanations.sweeps import describe_axis_value
from cnnlab.rendering.charts import Spec, cached_spec, with_data
from cnnlab.storage.history_file import CHANGED_ACCURACY, CLEAN_ACCURACY, TRUE_ACCURACY
from cnnlab.sweep_results import EarlyStopping, LabelNoiseResult, PointResult
from cnnlab.sweeps import describe_value

LIGHT_FROM = 0.55  # of the range of a heat map: from here on its color is light, with dark text on it


def accuracy_chart(results: Sequence[PointResult], measured_on: str) -> Spec:
    """Training and validation (or test: `measured_on`) accuracy with intervals against the size of the training set.

    The axis of the number of training images is logarithmic.
    """
    columns = {
        "training": [result.training for result in results],
        "validation": [result.accuracy for result in results],
    }
    data = {
        f"{name}{suffix}": [getattr(estimate, attribute) for estimate in estimates]
        for name, estimates in columns.items()
        for suffix, attribute in (("", "value"), ("_low", "low"), ("_high", "high"))
    }
    sizes = [training_set_size(result) for result in results]
    return with_data(cached_spec("sweep_chart_specs.accuracy_by_size", tuple(sizes), measured_on), size=sizes, **data)


def gap_chart(lines: Mapping[str, Sequence[PointResult]]) -> Spec:
    """The gap in points with intervals against the number of training images; `lines` by the augmentation's name."""
    rows = [(name, result) for name, results in lines.items() for result in results]
    sizes = [training_set_size(result) for _, result in rows]
    return with_data(
        cached_spec("sweep_chart_specs.gap_by_size", tuple(sorted(set(sizes)))),
        size=sizes,
        line=[name for name, _ in rows],
        gap=[100 * result.gap.value for _, result in rows],
        low=[100 * result.gap.low for _, result in rows],
        high=[100 * result.gap.high for _, result in rows],
    )


def training_set_size(point: PointResult) -> float:
    """The number of training images of this point."""
    return float(point.value("train_images"))


def heat_map(results: Sequence[PointResult], as_points: bool) -> Spec:
    """Accuracy, or with `as_points` the gap, by depth (rows) and strength (columns)."""
    factor = 100 if as_points else 1
    estimates = [result.gap if as_points else result.accuracy for result in results]
    values = np.array([estimate.value for estimate in estimates])
    spread = float(np.ptp(values)) or 1.0
    shares = (values - values.min()) / spread
    light = (1 - shares if as_points else shares) > LIGHT_FROM
    depths = [result.depth for result in results]
    return with_data(
        cached_spec("sweep_chart_specs.heat_map", as_points, len(set(depths))),
        column=[describe_value("strength", result.value("strength")) for result in results],
        row=[describe_axis_value("depth", depth) for depth in depths],
        value=factor * values,
        low=[factor * estimate.low for estimate in estimates],
        high=[factor * estimate.high for estimate in estimates],
        label=[f"{100 * estimate.value:.1f} {format_margin(estimate)}" for estimate in estimates],
        dark=~light,
    )


def label_noise_chart(history: History, epochs: int, stop: EarlyStopping | None, split: str) -> Spec:
    """The accuracies over the epochs, with a line at the epoch of the highest validation (or test: `split`) accuracy.

    Without label noise all labels are clean.
    """
    clean = history[CLEAN_ACCURACY]
    return with_data(
        cached_spec("sweep_chart_specs.label_noise_curves", epochs, split),
        epoch=history["epoch"],
        clean=clean if np.isfinite(clean).any() else history["train_eval_accuracy"],
        changed=history[CHANGED_ACCURACY],
        true=history[TRUE_ACCURACY],
        validation=history["val_accuracy"],
        best=np.full(len(history["epoch"]), stop.best_epoch if stop else np.nan),
    )


def label_noise_levels_chart(levels: Mapping[float, LabelNoiseResult], split: str) -> Spec:
    """The accuracies after the last epoch by the share of replaced labels; `split`: "validation" or "test"."""
    return with_data(
        cached_spec("sweep_chart_specs.label_noise_levels", split),
        share=list(levels),
        clean=[level.clean for level in levels.values()],
        changed=[level.changed for level in levels.values()],
        true=[level.true for level in levels.values()],
        validation=[level.validation for level in levels.values()],
    )
