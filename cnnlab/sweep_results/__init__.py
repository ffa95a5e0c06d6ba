"""The results of a sweep: its points, the effects of strengths, noisy labels and early stopping."""

from cnnlab.sweep_results.label_noise import (
    EarlyStopping,
    LabelNoiseResult,
    changed_count,
    early_stopping,
    label_noise_result,
)
from cnnlab.sweep_results.points import (
    PointResult,
    Predictions,
    RunResult,
    accuracy_difference,
    correct_images,
    gap_change,
    point_result,
    run_result,
    sweep_results,
)
from cnnlab.sweep_results.strengths import StrengthEffect, strength_effects

__all__ = [
    "EarlyStopping",
    "LabelNoiseResult",
    "PointResult",
    "Predictions",
    "RunResult",
    "StrengthEffect",
    "accuracy_difference",
    "changed_count",
    "correct_images",
    "early_stopping",
    "gap_change",
    "label_noise_result",
    "point_result",
    "run_result",
    "strength_effects",
    "sweep_results",
]
