"""What an address says: read, checked, brought to what there is, and written again."""

import pytest
from streamlit.runtime.state.query_params import QueryParams
from streamlit.testing.v1 import AppTest

from cnnlab.experiment import Experiment
from cnnlab.formatting import quoted
from cnnlab.models.architecture import network_layers
from cnnlab.ui.experiment_params import experiment_params, parse_experiment
from cnnlab.ui.selection import Selection, fit_selection, parse_selection, selection_params

VIEW = Selection(run="3conv-dropout", image="test-41", epoch=10, layer="conv2", map=17, versus="46ea780b8d6c981f")
NETWORK = network_layers(Experiment(depth=3))
EPOCHS = [0, 1, 2, 3, 5, 10]


def test_what_is_written_is_read_again():
    assert parse_selection(selection_params(VIEW)) == (VIEW, [])


def test_an_empty_address_is_the_default_view_without_a_message():
    assert parse_selection({}) == (Selection(), [])
    assert parse_selection({"run": "", "epoch": ""}) == (Selection(), [])


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("run", "../../etc/passwd"),
        ("run", "x" * 65),
        ("versus", "A B"),
        ("image", "sample-20"),
        ("image", "test-10000"),
        ("image", "test--1"),
        ("image", "photo-../../x"),
        ("image", "dog.jpg"),
        ("epoch", "abc"),
        ("epoch", "-1"),
        ("epoch", "1.5"),
        ("epoch", "99999"),
        ("epoch", "\u0663"),
        ("map", "none"),
        ("layer", "<script>"),
        ("layer", "conv1;drop table"),
    ],
)
def test_a_word_that_means_nothing_costs_one_sentence_and_takes_its_default(name, word):
    words = selection_params(VIEW) | {name: word}
    found, problems = parse_selection(words)
    assert getattr(found, name) == getattr(Selection(), name)
    assert [getattr(found, other) for other in words if other != name] == [
        getattr(VIEW, other) for other in words if other != name
    ]
    assert len(problems) == 1
    assert problems[0].startswith("This address names ")
    assert f"Received: {name}=" in problems[0]


def test_leading_zeros_name_the_same_image():
    assert parse_selection({"image": "test-0041"})[0].image == "test-41"


def test_a_photo_is_named_by_sixteen_hex_digits():
    assert parse_selection({"image": "photo-0123456789abcdef"}) == (Selection(image="photo-0123456789abcdef"), [])


def test_without_an_epoch_the_last_one_is_looked_at_and_the_first_convolution():
    assert fit_selection(Selection(), NETWORK, EPOCHS) == (Selection(epoch=10, layer="conv1"), [])


def test_what_the_run_has_stays_as_it_is():
    asked = Selection(epoch=3, layer="relu2", map=63)
    assert fit_selection(asked, NETWORK, EPOCHS) == (asked, [])


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        (Selection(epoch=4), Selection(epoch=10, layer="conv1")),
        (Selection(layer="conv4", map=3), Selection(epoch=10, layer="conv1")),
        (Selection(layer="conv2", map=64), Selection(epoch=10, layer="conv2")),
    ],
)
def test_what_the_run_has_not_is_said_in_one_sentence(asked, shown):
    found, problems = fit_selection(asked, NETWORK, EPOCHS)
    assert found == shown
    assert len(problems) == 1


def test_a_run_without_weights_names_no_epoch():
    assert fit_selection(Selection(), NETWORK, [])[0].epoch is None


@pytest.mark.parametrize(
    "experiment",
    [
        Experiment(),
        Experiment(depth=3, regularizer="dropout", strength=0.25),
        Experiment(dataset="shapes", depth=1, filters=8, epochs=4, train_images=300, seed=7),
        Experiment(split="test", depth=3, regularizer="batchnorm", precision="bfloat16"),
        Experiment(augment="flip_shift", label_noise=0.4),
        Experiment(regularizer="l2", strength=1e-7, learning_rate=1.0, optimizer="sgd"),
    ],
)
def test_an_experiment_survives_its_address(experiment):
    words = experiment_params(experiment)
    assert parse_experiment(words, Experiment(dataset="shapes", depth=4, regularizer="l2")) == (experiment, [])


def test_the_default_settings_keep_an_address_short():
    assert experiment_params(Experiment(depth=3, regularizer="dropout")) == {
        "dataset": "cifar10",
        "depth": "3",
        "regularizer": "dropout",
    }


def test_a_named_regularizer_brings_its_own_strength():
    default = Experiment(regularizer="dropout", strength=0.5)
    assert parse_experiment({"regularizer": "l2"}, default) == (Experiment(regularizer="l2"), [])
    assert parse_experiment({"regularizer": "none"}, default) == (Experiment(), [])


@pytest.mark.parametrize(
    "words",
    [
        {"depth": "99"},
        {"depth": "deep"},
        {"kernel": "4"},
        {"dataset": "imagenet"},
        {"learning_rate": "nan"},
        {"epochs": "1e400"},
        {"strength": "-1"},
        {"seed": "0x10"},
    ],
)
def test_parameters_that_make_no_experiment_show_the_default_one_and_say_why(words):
    default = Experiment(depth=3)
    found, problems = parse_experiment(words, default)
    assert found == default
    assert len(problems) == 1
    assert "Received: " in problems[0]


def test_the_words_of_a_stranger_are_repeated_short_and_printable():
    assert quoted("a\x00b\n") == "'a?b?'"
    assert len(quoted("y" * 5000)) < 50


# -- one change of the address is one entry in the browser's history ---------------------------------------------------


def clicked_cell():
    from types import SimpleNamespace

    import streamlit as st

    from cnnlab.pages.mistakes import single_network

    st.session_state["matrix"] = SimpleNamespace(selection={"cell": [{"true_class": "cat", "predicted": "dog"}]})
    single_network.on_cell_clicked()


def chosen_map():
    from cnnlab.inspect import map_controls

    map_controls.select_map("conv2", 5)


def chosen_experiment():
    from cnnlab.experiment import Experiment
    from cnnlab.ui.experiment_params import EXPERIMENT_PARAMS, experiment_params
    from cnnlab.ui.selection import SELECTION_PARAMS, write_params

    write_params(experiment_params(Experiment(depth=3, seed=5)), [*EXPERIMENT_PARAMS, *SELECTION_PARAMS])


@pytest.mark.parametrize(
    ("script", "before", "after"),
    [
        (clicked_cell, {"run": "a", "predicted": "ship"}, {"run": "a", "true_class": "cat", "predicted": "dog"}),
        (
            chosen_map,
            {"run": "a", "layer": "conv1", "map": "3", "pixel": "7"},
            {"run": "a", "image": "sample-0", "layer": "conv2", "map": "5"},
        ),
        (
            chosen_experiment,
            {"run": "a", "epochs": "4", "add": "b"},
            {"add": "b", "dataset": "cifar10", "depth": "3", "regularizer": "none", "seed": "5"},
        ),
    ],
    ids=["cell", "map", "network"],
)
def test_a_click_changes_the_address_once(script, before, after, monkeypatch):
    sent, send = [], QueryParams._send_query_param_msg
    monkeypatch.setattr(QueryParams, "_send_query_param_msg", lambda self: (sent.append(1), send(self)))
    app = AppTest.from_function(script, default_timeout=60)
    app.query_params.update(before)
    app.run()
    assert not app.exception
    assert dict(app.query_params.items()) == after
    assert len(sent) == 1
