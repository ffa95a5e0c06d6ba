"""Damaged runs: each is said in one sentence, only its own pages are about it, and it can be trained again or removed.

The matrix: each file of a run is damaged in every way of `damage.cases`, and every page is drawn by Streamlit's tester.
"""

import io
import json
import os
import shutil
import time
import tracemalloc
import zipfile
from dataclasses import dataclass
from pathlib import Path

import damage
import h5py
import numpy as np
import pytest
import streamlit as st
from damage import DamageCase
from history_factories import history, write
from run_factories import some_weights, write_run
from streamlit.testing.v1 import AppTest

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.jobs import dispatcher_process, top_activations_job
from cnnlab.pages import train
from cnnlab.storage import files
from cnnlab.storage.runs import Run
from cnnlab.ui import app_shell

VICTIM = Experiment(dataset="shapes", depth=2, regularizer="l2", filters=4, dense=10, epochs=2)
OTHER = Experiment(dataset="shapes", depth=2, regularizer="none", filters=4, dense=10, epochs=2)
LEARNED = history([0.1, 0.4, 0.6], [0.1, 0.4, 0.5])
RECORD = {"epoch_seconds": [1.0, 1.2], "seconds": 2.2, "device": "AMD EPYC", "test_accuracy": 0.5, "versions": {}}
EVERY_DAMAGE = "CNNLAB_EVERY_DAMAGE" in os.environ  # an hour; otherwise one damage of each kind


def write_whole_run(folder: Path, experiment: Experiment) -> None:
    """A finished run with every file that a training leaves; as in shipped runs, model.keras has the last weights."""
    write_run(folder, experiment, (0, 1))
    write(folder, experiment, LEARNED, **RECORD)
    write_keras_file(folder / "model.keras", some_weights(experiment, seed=2))
    logits = np.random.default_rng(0).normal(size=(500, 10)).astype(np.float16)
    labels = np.tile(np.arange(10, dtype=np.uint8), 50)
    files.write_npz(folder / "predictions.npz", {"test": logits, "test_labels": labels})


def write_keras_file(path: Path, weights: dict[str, np.ndarray]) -> None:
    """What Keras writes of a network of convolutions and dense layers, as far as the weights are concerned."""
    content, layers, counts = io.BytesIO(), [], {"Conv2D": 0, "Dense": 0}
    with h5py.File(content, "w") as file:
        for name in dict.fromkeys(key.partition("/")[0] for key in weights):
            kind = "Conv2D" if name.startswith("conv") else "Dense"
            group = kind.lower() + (f"_{counts[kind]}" if counts[kind] else "")
            counts[kind] += 1
            layers.append({"class_name": kind, "config": {"name": name}})
            for number, variable in enumerate(("kernel", "bias")):
                file[f"layers/{group}/vars/{number}"] = weights[f"{name}/{variable}"]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": layers}}))
        archive.writestr("model.weights.h5", content.getvalue())


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """A home with two whole runs."""
    home = tmp_path_factory.mktemp("pristine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_HOME", str(home))
        for experiment in (VICTIM, OTHER):
            write_whole_run(settings.runs_dir() / experiment.key, experiment)
    return home


@pytest.fixture
def home(pristine, tmp_path, monkeypatch):
    """A copy of it that a test may damage."""
    shutil.copytree(pristine, tmp_path / "home", symlinks=True)
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(settings, "PRETRAINED", tmp_path / "home" / "pretrained")
    monkeypatch.setattr(app_shell, "current_person", lambda: "carol")
    for place in (dispatcher_process, train):
        monkeypatch.setattr(place, "ensure_running", lambda: None)
    (tmp_path / "home" / "settings.json").write_text(json.dumps({"teacher": "carol"}))
    clear_caches()
    return tmp_path / "home"


@pytest.fixture
def whole(home):
    """The run as it was before any damage, with the images that excite its filters most."""
    top_activations_job.run_job(VICTIM.key)
    shutil.copytree(victim(), home / "whole", symlinks=True)
    return home / "whole"


def restore(whole: Path) -> None:
    """Undo every damage."""
    shutil.rmtree(victim())
    shutil.copytree(whole, victim(), symlinks=True)


def clear_caches() -> None:
    st.cache_data.clear()
    st.cache_resource.clear()


def victim() -> Path:
    return settings.runs_dir() / VICTIM.key


@dataclass(frozen=True)
class View:
    """A page with an address; `about` it is the damaged run or another one."""

    page: str
    about: str
    address: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.page} about {self.about} {dict(self.address)}"


def experiment_address(experiment: Experiment) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(value)) for name, value in experiment.to_dict().items())


VIEWS = [
    View("train", "victim", experiment_address(VICTIM)),
    View("train", "other", experiment_address(OTHER)),
    View("compare", "victim", (("add", f"{VICTIM.key},{OTHER.key}"),)),
    View("mistakes", "victim", (("run", OTHER.key), ("versus", VICTIM.key))),
    View("admin", "other"),
    View("look_inside", "other", (("run", OTHER.key),)),
    View("look_inside", "victim", (("run", VICTIM.key),)),
]
WEIGHT_VIEWS = [  # of Look inside, which open the weights of other epochs or of two runs, or top.npz
    View("look_inside", "victim", (("run", VICTIM.key), ("epoch", "1"))),
    View("look_inside", "victim", (("run", VICTIM.key), ("view", "maps"), ("hold", "yes"))),
    View("look_inside", "victim", (("run", VICTIM.key), ("view", "map"), ("layer", "conv1"), ("map", "1"))),
    View("look_inside", "victim", (("run", OTHER.key), ("view", "versus"), ("versus", VICTIM.key))),
    View("look_inside", "victim", (("run", VICTIM.key), ("view", "xray"))),
]
FAST_VIEWS = [view for view in VIEWS if view.page != "look_inside"]
FAST_CASES = [
    ("record.json", "epoch_seconds is abc"),
    ("record.json", "a deep field of its own"),
    ("record.json", "cut at 50 %"),
    ("history.csv", "one epoch less"),
    ("history.csv", "a word"),
    ("experiment.json", "of another seed"),
    ("predictions.npz", "cut at 99 %"),
    ("model.keras", "deflated bomb"),
]


def draw(view: View) -> AppTest:
    app = AppTest.from_string(f"from cnnlab.pages import {view.page}\n{view.page}.page()\n", default_timeout=120)
    app.query_params.update(dict(view.address))
    return app.run()


def words(app: AppTest) -> list[str]:
    """What the page warns of."""
    return [str(element.value) for kind in (app.warning, app.error, app.markdown) for element in kind]


def says_damaged(app: AppTest) -> bool:
    return any("damaged" in text and "Traceback" not in text for text in words(app))


@dataclass
class Outcome:
    """How a page came through a damage: "whole" (it needs nothing of the file), "sentence" or "crash"."""

    kind: str
    seconds: float
    detail: str = ""


def outcome(view: View, case: DamageCase) -> Outcome:
    started = time.perf_counter()
    app = draw(view)
    seconds = time.perf_counter() - started
    if app.exception:
        return Outcome("crash", seconds, f"{case} on {view}: {app.exception[0].message}")
    return Outcome("sentence" if says_damaged(app) else "whole", seconds, f"{case} on {view}")


def tried(case: DamageCase, views: list[View]) -> list[Outcome]:
    """The damage, done, and what every page says then."""
    clear_caches()
    case.apply(victim() / case.file)
    return [outcome(view, case) for view in views]


def find_case(file: str, name: str) -> DamageCase:
    return next(case for case in damage.cases(file) if case.name == name)


# -- the matrix --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("file", "name"), FAST_CASES)
def test_a_damaged_file_takes_no_page_down_and_train_says_what_it_is(home, file, name):
    found = tried(find_case(file, name), FAST_VIEWS)
    assert [one.detail for one in found if one.kind == "crash"] == []
    assert found[0].kind == "sentence"  # Train, about the damaged run


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("file", damage.FILES)
def test_no_damage_of_this_file_crashes_any_page(whole, file):
    found: list[Outcome] = []
    for case in damage.cases(file) if EVERY_DAMAGE else distinct_cases(file, whole):
        restore(whole)
        found += tried(case, VIEWS + WEIGHT_VIEWS * (file in ("weights/001.npz", "model.keras", "top.npz")))
    counts = {kind: sum(one.kind == kind for one in found) for kind in ("whole", "sentence", "crash")}
    print(f"{file}: tried {len(found)}, {counts}, slowest {max(one.seconds for one in found):.1f} s")
    assert [one.detail for one in found if one.kind == "crash"] == []


def distinct_cases(file: str, whole: Path) -> list[DamageCase]:
    """One case of each reason: a page gets the reason and nothing else of the file, so others draw the same."""
    found: dict[str, DamageCase] = {}
    for case in damage.cases(file):
        restore(whole)
        case.apply(victim() / file)
        reason = Run(victim(), VICTIM).damages(thorough=True).get(file, case.name)
        found.setdefault(" ".join(reason.split()[:3]), case)
    return list(found.values())


# A letter of a word; numbers that the views themselves speak of.
UNNOTICED = {"record.json: one byte changed", "weights/001.npz: NaN", "weights/001.npz: infinite"}


@pytest.mark.slow
@pytest.mark.parametrize("file", damage.FILES[:-1])
def test_every_damage_of_this_file_is_found_by_the_thorough_look(whole, file):
    missed = []
    for case in damage.cases(file):
        restore(whole)
        case.apply(victim() / file)
        sentence = Run(victim(), VICTIM).damages(thorough=True).get(file, "")
        if not 5 < len(sentence) < 200 or "\n" in sentence:
            missed.append(str(case))
    assert set(missed) - UNNOTICED == ({"record.json: one epoch less"} if file == "record.json" else set())


@pytest.mark.slow
@pytest.mark.parametrize("file", ["model.keras", *damage.ARRAYS])
def test_no_archive_takes_more_memory_than_its_network_allows(whole, file):
    """A bomb expands to 100 MB, the whole run to less than one."""
    for case in damage.cases(file):
        if not any(word in case.name for word in ("bomb", "enormous", "huge", "members")):
            continue
        restore(whole)
        case.apply(victim() / file)
        tracemalloc.start()
        Run(victim(), VICTIM).damages(thorough=True)
        top_activations_job.load(Run(victim(), VICTIM))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 40e6, f"{case}: {peak / 1e6:.0f} MB"
