"""The table of regularizers: an entry that a module does not implement is an error before anything is trained."""

import runpy
from pathlib import Path

import pytest

from cnnlab import regularizers
from cnnlab.experiment import Experiment
from cnnlab.pages.sweeps.controls import WITH_STRENGTH, parse_values, strength_values
from cnnlab.regularizers import Regularizer, Strength
from cnnlab.sweeps import create_sweep

PACKAGE = Path(regularizers.__file__).parent


def new_entry(**fields) -> Regularizer:
    given = {"name": "new", "title": "new", "label": "new", "color": "#000000", "reported_accuracy": "on"}
    return Regularizer(**{**given, "view": "weights", **fields})


@pytest.mark.parametrize(
    ("mechanism", "layer_kind", "module"),
    [
        ("layer", "noise", "models/architecture.py"),
        ("weight_penalty", None, "models/keras_calls.py"),
        ("loss", None, "lesson_report/keras_script.py"),
        pytest.param("loss", None, "training/compilation.py", marks=pytest.mark.slow),
    ],
)
def test_an_entry_that_a_module_does_not_implement_fails_at_import(mechanism, layer_kind, module, monkeypatch):
    runpy.run_path(str(PACKAGE / module))
    entry = new_entry(mechanism=mechanism, layer_kind=layer_kind)
    monkeypatch.setitem(regularizers.REGULARIZERS, "new", entry)
    with pytest.raises(ValueError, match=f"Expected .*{'noise' if layer_kind else 'new'}"):
        runpy.run_path(str(PACKAGE / module))


@pytest.mark.parametrize(
    "fields",
    [
        {"mechanism": "magic"},
        {"mechanism": "layer"},
        {"mechanism": "loss", "layer_kind": "dropout"},
        {"mechanism": "none", "view": "nowhere"},
    ],
)
def test_an_entry_without_a_mechanism_or_a_view_is_refused(fields):
    with pytest.raises(ValueError, match="Received: "):
        new_entry(**fields)


def test_a_default_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="between low and high"):
        Strength(default=0.5, low=0.0, high=0.4, step=0.1, sweep=(0,))


@pytest.mark.parametrize("regularizer", WITH_STRENGTH)
def test_the_form_of_a_sweep_proposes_strengths_that_make_a_sweep(regularizer):
    values = parse_values(strength_values(regularizer))
    sweep = create_sweep(Experiment(regularizer=regularizer), {"strength": values, "depth": [2, 3]})
    assert [value for value, _ in sweep.points] and len(sweep.experiments()) == 2 * len(values)
