"""Statistics of feature maps after ReLU: strength, rank, inactive maps, dead filters, class selectivity.

After ReLU zero means "not detected". A map is *inactive* for an image when it is zero everywhere; a filter is *dead*
when its map is inactive for every image of a large set.
"""

from dataclasses import dataclass

import numpy as np

from cnnlab.array_types import Array


@dataclass(frozen=True)
class FeatureMapStats:
    """One map among its layer's: minimum, maximum and mean, its rank by mean and by maximum, whether it is inactive.

    Ranks count from 1, the strongest map.
    """

    minimum: float
    maximum: float
    mean: float
    rank_by_mean: int
    rank_by_max: int
    inactive: bool


def activation_strength(maps: Array, by: str = "mean") -> Array:
    """The strength of each map: maps (h, w, f) -> float32 (f,), its mean or its maximum (`by`: "mean" or "max")."""
    if by not in ("mean", "max"):
        raise ValueError(f"Expected by='mean' or by='max'. Received: by={by!r}")
    flat = maps.reshape(-1, maps.shape[-1])
    return np.asarray(flat.mean(axis=0) if by == "mean" else flat.max(axis=0))


def rank_feature_maps(maps: Array, by: str = "mean") -> Array:
    """The filters, strongest first: maps (h, w, f) -> int (f,). Equal maps keep their order."""
    return np.argsort(-activation_strength(maps, by), kind="stable")


def feature_map_stats(maps: Array, filter: int) -> FeatureMapStats:
    """The statistics of one map: maps (h, w, f). Raises ValueError where there is no such filter."""
    if not 0 <= filter < maps.shape[-1]:
        raise ValueError(f"Expected a filter from 0 to {maps.shape[-1] - 1}. Received: filter={filter}")
    values = maps[..., filter]
    rank_by_mean, rank_by_max = (
        int(np.flatnonzero(rank_feature_maps(maps, by) == filter)[0]) + 1 for by in ("mean", "max")
    )
    return FeatureMapStats(
        minimum=float(values.min()),
        maximum=float(values.max()),
        mean=float(values.mean()),
        rank_by_mean=rank_by_mean,
        rank_by_max=rank_by_max,
        inactive=bool(values.max() <= 0),
    )


def inactive_feature_maps(maps: Array) -> Array:
    """Which maps are zero everywhere: maps after ReLU (h, w, f) -> bool (f,)."""
    return np.asarray(activation_strength(maps, "max") <= 0)


def dead_filters(maxima: Array) -> Array:
    """Which filters are inactive for every image: maxima of the maps after ReLU (n, f) -> bool (f,)."""
    return np.asarray((maxima <= 0).all(axis=0))


def class_selectivity(activity: Array, labels: Array, target: int) -> Array:
    """How much each filter prefers images of class `target`: (own - other) / (own + other), float32 (f,).

    activity: (n, f), not negative, one number for each image and filter, such as the maximum of the map after ReLU;
    labels: (n,). `own` is the mean over the class's images, `other` over all others. 1: active for this class only;
    0: no preference, or never active; -1: active for all others only. The class selectivity index of Morcos et al.,
    "On the importance of single directions for generalization", 2018, for one class.

    Raises ValueError where no image, or every image, is of this class.
    """
    is_target = np.asarray(labels) == target
    if is_target.all() or not is_target.any():
        raise ValueError(
            f"Expected images of class {target} and of others. Received: {int(is_target.sum())} of {is_target.size}"
        )
    own, other = activity[is_target].mean(axis=0), activity[~is_target].mean(axis=0)
    total = own + other
    return np.asarray((own - other) / np.where(total > 0, total, 1))
