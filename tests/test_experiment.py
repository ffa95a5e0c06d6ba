"""One experiment: equal ones have equal keys, keys survive new fields, bad values are refused in one sentence."""

import dataclasses
import hashlib
import json

import pytest

from cnnlab import settings
from cnnlab.experiment import CHOICES, KEY_DEFAULT, Experiment, ExperimentError, added_field
from cnnlab.models.architecture import network_layers, parameter_count
from cnnlab.report_models import REPORT
from cnnlab.storage import run_retention, runs


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
    other = {name: next(word for word in CHOICES[name] if word != getattr(Experiment(), name)) for name in CHOICES}
    other |= {"depth": 3, "filters": 32, "kernel": 5, "dense": 50, "epochs": 3, "batch": 32, "seed": 1}
    other |= {"learning_rate": 0.01, "train_images": 100, "label_noise": 0.4}
    keys = {Experiment(**{name: value}).key for name, value in other.items()} | {Experiment().key}
    keys.add(Experiment(regularizer="l2", strength=0.5e-5).key)
    own = {"dataset": "own-0123456789ab-leaves", "class_names": "maple,oak", "image_counts": "30/6/6"}
    for changed in ({}, {"class_names": "maple,birch"}, {"image_counts": "30/7/6"}):
        keys.add(Experiment(**own | changed, train_images=30).key)
    assert len(keys) == len(other) + 5
    assert set(other) | {"strength", *own} == set(Experiment().to_dict())


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
        ({"regularizer": "none", "strength": 0.5}, "The regularizer none has no strength"),
        ({"learning_rate": float("nan")}, "learning rate"),
        ({"learning_rate": "fast"}, "learning rate"),
        ({"epochs": 10**9}, "epochs"),
        ({"seed": 10**400}, "the seed between 0 and 2147483647"),
        ({"learning_rate": float("inf")}, "learning rate"),
        ({"train_images": 50_000}, "training images"),
        ({"label_noise": 1.5}, "the label noise between 0 and 1"),
        ({"augment": "rotate"}, "augment from none, flip_shift"),
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


# -- the key of a run -------------------------------------------------------------------------------------------------

FIRST_VERSION_TEXT = (
    '{"batch":64,"dataset":"cifar10","dense":100,"depth":3,"epochs":30,"filters":64,"kernel":3,"learning_rate":0.001,'
    '"optimizer":"adam","precision":"float32","regularizer":"dropout","seed":1,"split":"validation","strength":0.1,'
    '"train_images":40000}'
)
FIRST_VERSION_KEY = "267e11a75dd65690"  # of a run that the first version trained under this text


@dataclasses.dataclass(frozen=True, kw_only=True)
class LaterExperiment(Experiment):
    """`Experiment` as a later version might have it: two more fields, one of which has changed its default since."""

    label_smoothing: float = added_field(0.0)
    mixup: str = dataclasses.field(default="pairs", metadata={KEY_DEFAULT: "none"})


def test_an_experiment_file_of_the_first_version_keeps_its_key():
    experiment = Experiment.from_json(FIRST_VERSION_TEXT)
    assert experiment.key == FIRST_VERSION_KEY
    assert experiment == Experiment(depth=3, regularizer="dropout", seed=1)


def test_the_key_is_the_digest_of_the_first_version_for_all_shipped_runs():
    for path in sorted(settings.PRETRAINED.glob("*/experiment.json")):
        text = path.read_text().strip()
        assert Experiment.from_json(text).key == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_a_field_added_later_leaves_existing_keys_as_they_are():
    later = LaterExperiment.from_json(FIRST_VERSION_TEXT)
    assert later.key == FIRST_VERSION_KEY
    assert (later.label_smoothing, later.mixup) == (0.0, "none")


def test_a_field_added_later_changes_the_key_where_it_differs():
    fields = json.loads(FIRST_VERSION_TEXT)
    keys = {
        LaterExperiment.from_dict(fields | changes).key
        for changes in ({"mixup": "none"}, {"label_smoothing": 0.1, "mixup": "none"}, {"mixup": "pairs"}, {})
    }
    assert len(keys) == 3
    assert FIRST_VERSION_KEY in keys


def test_a_run_made_before_a_field_was_added_is_found_after_it(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    folder = settings.runs_dir() / FIRST_VERSION_KEY
    folder.mkdir(parents=True)
    (folder / "experiment.json").write_text(FIRST_VERSION_TEXT + "\n")
    later = LaterExperiment(depth=3, regularizer="dropout", seed=1, mixup="none")
    result = runs.find_run(later)
    assert result is not None and result.path == folder


def test_a_pin_set_before_a_field_was_added_keeps_the_run_after_it(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    for key, text in (
        (FIRST_VERSION_KEY, FIRST_VERSION_TEXT),
        (Experiment(depth=2).key, Experiment(depth=2).to_json()),
    ):
        folder = settings.runs_dir() / key
        folder.mkdir(parents=True)
        (folder / "experiment.json").write_text(text)
    run_retention.pin(FIRST_VERSION_KEY)
    later = LaterExperiment.from_json(FIRST_VERSION_TEXT)
    assert run_retention.is_pinned(later.key)
    assert run_retention.evict_runs(0.0, [], viewed_seconds=0).removed == (Experiment(depth=2).key,)
    assert runs.find_run(later) is not None


def test_a_field_added_later_leaves_every_shipped_run_where_it_is():
    shipped = [path.read_text() for path in sorted(settings.PRETRAINED.glob("*/experiment.json"))]
    assert len(shipped) >= 10
    for text in shipped:
        found = runs.find_run(LaterExperiment.from_json(text))
        assert found is not None and found.is_pretrained
        assert (found.path / "experiment.json").read_text() == text


def test_augmentation_and_label_noise_leave_the_keys_of_existing_runs():
    assert Experiment(depth=3, regularizer="dropout", seed=1, augment="none", label_noise=0).key == FIRST_VERSION_KEY
    assert Experiment(depth=3, regularizer="dropout", seed=1).to_json() == FIRST_VERSION_TEXT
    other = Experiment(depth=3, regularizer="dropout", seed=1, augment="flip_shift", label_noise=0.4)
    assert other.key != FIRST_VERSION_KEY and Experiment.from_json(other.to_json()) == other
    assert other.title == "3-conv, dropout 0.1, seed 1, flip and shift, label noise 0.4"


def test_a_later_experiment_survives_json_with_its_new_fields():
    later = LaterExperiment(label_smoothing=0.05)
    assert LaterExperiment.from_json(later.to_json()) == later
