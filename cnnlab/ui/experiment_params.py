"""An experiment as URL parameters, as on the page Train, and back.

/?depth=3&regularizer=dropout&strength=0.2
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any

from cnnlab.data import DatasetMissing, dataset_fields
from cnnlab.datasets import is_own_dataset
from cnnlab.experiment import NUMERIC_FIELDS, Experiment, ExperimentError
from cnnlab.formatting import quoted
from cnnlab.ui.page_address import Problems
from cnnlab.ui.state import url_param

EXPERIMENT_PARAMS = tuple(url_param(field.name) for field in fields(Experiment))


def parse_experiment(params: Mapping[str, str], default: Experiment) -> tuple[Experiment, Problems]:
    """The experiment that these URL parameters describe: `default`, with the fields that they name.

    A regularizer without a strength takes its own default strength. Where the parameters make no experiment, the result
    is `default`, and one sentence.
    """
    named = {name: params[name] for name in EXPERIMENT_PARAMS if params.get(name, "") != ""}
    if not named:
        return default, []
    if is_own_dataset(named.get("dataset", "")):  # whose fields are looked up on the disk
        return _parse_experiment(tuple(named.items()), default)
    experiment, problems = _parse_once(tuple(named.items()), default)
    return experiment, list(problems)


def _parse_experiment(params: tuple[tuple[str, str], ...], default: Experiment) -> tuple[Experiment, Problems]:
    named = dict(params)
    changed: dict[str, Any] = default.to_dict()
    changed |= {"strength": None} if "regularizer" in named else {}
    changed |= {"train_images": None} if {"dataset", "split"} & set(named) else {}
    try:
        changed |= _dataset_fields(named)
        changed |= {name: _read_number(name, word) if name in NUMERIC_FIELDS else word for name, word in named.items()}
        return Experiment.from_dict(changed), []
    except (ExperimentError, DatasetMissing) as error:
        return default, [f"This address describes no experiment; the default one is shown. {error}"]


_parse_once = lru_cache(maxsize=256)(_parse_experiment)  # a page asks for its experiment five times


def _dataset_fields(named: Mapping[str, str]) -> dict[str, Any]:
    """The fields of the data set that is named: those in the address, else those of the pictures on this machine."""
    name = named.get("dataset", "")
    if not is_own_dataset(name):
        return {"class_names": "", "image_counts": ""} if name else {}
    return {} if "class_names" in named else dataset_fields(name)


def _read_number(name: str, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise ExperimentError(f"{name} must be a number. Received: {name}={quoted(word)}") from None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def experiment_params(experiment: Experiment) -> dict[str, str]:
    """The URL parameters: data set, depth and regularizer, and what differs from their defaults."""
    return dict(_experiment_params(experiment))


@lru_cache(maxsize=256)  # a page has links to twenty experiments
def _experiment_params(experiment: Experiment) -> dict[str, str]:
    always: dict[str, Any] = {name: value for name, value in experiment.dataset_fields.items() if value}
    always |= {name: getattr(experiment, name) for name in ("depth", "regularizer")}
    default = Experiment(**always, split=experiment.split)
    other = {
        name: value
        for name, value in experiment.to_dict().items()
        if name not in always and value != getattr(default, name)
    }
    other |= {"split": experiment.split} if experiment.split != "validation" else {}
    return {name: str(value) for name, value in (always | other).items()}
