"""One experiment, written down completely: equal ones are equal, and nonsense is refused in one sentence."""

import json

import pytest

from cnnlab.experiment import REPORT, Experiment, ExperimentError
from cnnlab.models.architecture import network_layers, parameter_count


def test_learning_rate_1_and_1_0_are_the_same_experiment():
    assert Experiment(learning_rate=1) == Experiment(learning_rate=1.0)
    assert Experiment(learning_rate=1).key == Experiment(learning_rate=1.0).key
    assert Experiment(depth=3.0).to_json() == Experiment(depth=3).to_json()


def test_no_strength_is_one_experiment_whatever_its_sign():
    assert Experiment(regularizer="l2", strength=-0.0).key == Experiment(regularizer="l2", strength=0.0).key


def test_what_is_left_out_is_the_same_as_saying_it():
    assert Experiment(regularizer="dropout").key == Experiment(regularizer="dropout", strength=0.1).key
    assert Experiment().key == Experiment(train_images=40_000).key
    assert Experiment(split="test").train_images == 50_000


def test_every_field_changes_the_key():
    other = {"dataset": "shapes", "split": "test", "depth": 3, "regularizer": "l2", "filters": 32, "kernel": 5}
    other |= {"dense": 50, "epochs": 3, "batch": 32, "optimizer": "sgd", "learning_rate": 0.01, "seed": 1}
    other |= {"train_images": 100, "precision": "bfloat16"}
    keys = {Experiment(**{name: value}).key for name, value in other.items()} | {Experiment().key}
    keys.add(Experiment(regularizer="l2", strength=0.5e-5).key)
    assert len(keys) == len(other) + 2
    assert set(other) | {"strength"} == set(Experiment().to_dict())


def test_json_there_and_back_gives_the_same_experiment():
    for model in REPORT.values():
        assert Experiment.from_json(model.experiment.to_json()) == model.experiment
    assert json.loads(Experiment().to_json())["learning_rate"] == 0.001


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"depth": 5}, "depth"),
        ({"depth": 2.5}, "depth"),
        ({"depth": True}, "depth"),
        ({"kernel": 4}, "odd"),
        ({"regularizer": "prayer"}, "regularizer"),
        ({"regularizer": "none", "strength": 0.1}, "strength"),
        ({"regularizer": "dropout", "strength": 1.0}, "strength"),
        ({"learning_rate": float("nan")}, "learning rate"),
        ({"learning_rate": "fast"}, "learning rate"),
        ({"epochs": 10**9}, "epochs"),
        ({"seed": 10**400}, "the seed between 0 and 2147483647"),
        ({"learning_rate": float("inf")}, "learning rate"),
        ({"train_images": 50_000}, "training images"),
        ({"dataset": "../../etc/passwd"}, "dataset"),
    ],
)
def test_nonsense_is_refused_with_the_field_and_what_was_received(fields, word):
    with pytest.raises(ExperimentError, match=f"{word}.*Received: "):
        Experiment(**fields)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"depth": 2, "color": "red"}', '"depth"', "[" * 100_000])
def test_text_that_is_no_experiment_is_refused(text):
    with pytest.raises(ExperimentError):
        Experiment.from_json(text)


def test_the_report_has_ten_models_of_its_two_sizes():
    assert len(REPORT) == 10
    bases = [parameter_count(network_layers(REPORT[name].experiment)) for name in ("2conv-none", "3conv-none")]
    assert bases == [270_230, 112_458]


def test_the_arithmetic_beside_each_layer_gives_its_parameter_count():
    for depth in (1, 2, 3, 4):
        for regularizer in ("none", "batchnorm"):
            for layer in network_layers(Experiment(depth=depth, regularizer=regularizer, kernel=5)):
                assert eval(layer.parameter_formula or "0") == layer.parameters


def test_the_report_convolution_maps_are_30_13_and_4_wide():
    shapes = [layer.output_shape for layer in network_layers(Experiment(depth=3)) if layer.kind == "conv"]
    assert shapes == [(30, 30, 64), (13, 13, 64), (4, 4, 64)]


def test_titles_say_what_differs_from_the_report():
    assert Experiment(depth=3, regularizer="dropout").title == "3-conv, dropout 0.1"
    assert Experiment(depth=2, regularizer="l2").title == "2-conv, L2 0.00001"
    assert "500 images" in Experiment(train_images=500).title and "shapes" in Experiment(dataset="shapes").title


@pytest.mark.parametrize(
    ("fields", "written"),
    [
        ({"regularizer": "l2", "strength": 1e-9}, "2-conv, L2 0.000000001"),
        ({"regularizer": "dropout", "strength": 0.1234567}, "2-conv, dropout 0.1234567"),
        ({"learning_rate": 1}, "2-conv, no regularizer, adam 1"),
        ({"learning_rate": 1.5e-6}, "2-conv, no regularizer, adam 0.0000015"),
    ],
)
def test_a_title_has_every_digit_so_that_no_two_experiments_share_it(fields, written):
    assert Experiment(depth=2, **fields).title == written
