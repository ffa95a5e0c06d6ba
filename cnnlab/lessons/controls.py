"""The controls of each page that a lab sheet or a URL may lock or hide, by the name of their URL parameter."""

from collections.abc import Collection

CONTROLS: dict[str, tuple[str, ...]] = {
    "train": ("dataset", "depth", "regularizer", "strength", "more", "shipped"),
    "compare": ("data", "measure", "curves", "cost", "show"),
    "look_inside": (
        "run", "image", "epoch", "layer", "map", "versus", "view", "scale", "order", "class", "stage", "kernels",
        "why", "cam", "patch", "stride", "sanity", "maximize", "dropout", "sample", "weights", "bn", "strongest",
        "edit", "color", "step", "change_right", "change_down", "change_degrees", "change_brightness", "change_noise",
        "change_mirrored",
    ),
    "mistakes": ("run", "versus", "true_class", "predicted", "order", "group", "page"),
}  # fmt: skip
CONTROL_NAMES = frozenset(name for names in CONTROLS.values() for name in names)


def split_names(names: Collection[str]) -> tuple[frozenset[str], list[str]]:
    """The names that are controls, and the others in alphabetical order."""
    return CONTROL_NAMES & set(names), sorted(set(names) - CONTROL_NAMES)
