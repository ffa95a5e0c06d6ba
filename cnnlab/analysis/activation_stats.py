"""Maps ranked by strength; filters that say nothing; filters that prefer a class.

All functions look at maps after ReLU, where zero means "nothing found here". Two kinds of silence must be kept apart:
a filter *silent on this image* found nothing in it and may answer the next one; a *dead* filter answers none of many.
"""

from dataclasses import dataclass

import numpy as np

from cnnlab.array_types import Array


@dataclass(frozen=True)
class FeatureMapStats:
    """One map in figures: its lowest, highest and mean value, its rank by mean and by maximum, and silence.

    Ranks count from 1, the strongest map.
    """

    minimum: float
    maximum: float
    mean: float
    rank_by_mean: int
    rank_by_max: int
    inactive: bool


def activation_strength(maps: Array, by: str = "mean") -> Array:
    """How strong each map is: maps (h, w, f) -> float32 (f,), its mean or its maximum (`by`: "mean" or "max")."""
    if by not in ("mean", "max"):
        raise ValueError(f"Expected by='mean' or by='max'. Received: by={by!r}")
    flat = maps.reshape(-1, maps.shape[-1])
    return np.asarray(flat.mean(axis=0) if by == "mean" else flat.max(axis=0))


def rank_feature_maps(maps: Array, by: str = "mean") -> Array:
    """The filters, strongest first: maps (h, w, f) -> int (f,). Equal maps keep their order."""
    return np.argsort(-activation_strength(maps, by), kind="stable")


def feature_map_stats(maps: Array, filter: int) -> FeatureMapStats:
    """The figures of one map among its layer's: maps (h, w, f). Raises ValueError where there is no such filter."""
    if not 0 <= filter < maps.shape[-1]:
        raise ValueError(f"Expected a filter from 0 to {maps.shape[-1] - 1}. Received: filter={filter}")
    one = maps[..., filter]
    places = [int(np.flatnonzero(rank_feature_maps(maps, by) == filter)[0]) + 1 for by in ("mean", "max")]
    return FeatureMapStats(
        float(one.min()), float(one.max()), float(one.mean()), places[0], places[1], bool(one.max() <= 0)
    )


def inactive_feature_maps(maps: Array) -> Array:
    """Filters that found nothing in this image: maps after ReLU (h, w, f) -> bool (f,)."""
    return np.asarray(activation_strength(maps, "max") <= 0)


def dead_filters(maxima: Array) -> Array:
    """Filters that found nothing in any image: maxima after ReLU (n, f), see `responses` -> bool (f,)."""
    return np.asarray((maxima <= 0).all(axis=0))


def class_selectivity(activity: Array, labels: Array, target: int) -> Array:
    """How much each filter prefers images of class `target`: (own - other) / (own + other), float32 (f,).

    activity: (n, f), never negative, one number for each image and filter, such as the maximum of the map after ReLU;
    labels: (n,). `own` is the mean over the class's images, `other` over all the rest. 1: answers this class alone;
    0: no preference (or no answer at all); -1: answers everything else. The class selectivity index of Morcos et al.,
    "On the importance of single directions for generalization", 2018, asked for one class.

    Raises ValueError where the images have none of this class, or nothing else.
    """
    mine = np.asarray(labels) == target
    if mine.all() or not mine.any():
        raise ValueError(f"Expected images of class {target} and of others. Received: {int(mine.sum())} of {mine.size}")
    own, other = activity[mine].mean(axis=0), activity[~mine].mean(axis=0)
    total = own + other
    return np.asarray((own - other) / np.where(total > 0, total, 1))
