"""Every page about a damaged run and about a whole one beside it, drawn by Streamlit's tester; and what it comes to."""

import contextlib
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
import streamlit as st
from damage import DamageCase
from history_factories import history, write
from run_factories import some_weights, write_run
from step_meter import StepMeter
from streamlit.testing.v1 import AppTest

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.jobs import dispatcher_process, top_activations_job
from cnnlab.jobs.queue import Queue
from cnnlab.lessons import classes, learners
from cnnlab.storage import files
from cnnlab.storage.history_file import REESTIMATED_COLUMNS
from cnnlab.storage.reestimated_file import REESTIMATED_FILE
from cnnlab.storage.run import Run
from cnnlab.sweeps import create_sweep
from cnnlab.ui import app_shell, lesson_store

VICTIM = Experiment(dataset="shapes", depth=2, regularizer="l2", filters=4, dense=10, epochs=2)
OTHER = Experiment(dataset="shapes", depth=2, regularizer="none", filters=4, dense=10, epochs=2)
LEARNED = history([0.1, 0.4, 0.6], [0.1, 0.4, 0.5])
RECORD = {"epoch_seconds": [1.0, 1.2], "seconds": 2.2, "device": "AMD EPYC", "test_accuracy": 0.5, "versions": {}}


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


def compute_again(run: Run) -> None:
    """What is made of a whole run later: its top images, other accuracies, and the job of who asked for it."""
    top_activations_job.run_job(run.key)
    Queue().submit(run.experiment, "carol")
    figures = dict.fromkeys(REESTIMATED_COLUMNS, 0.4)
    files.write_json(run.path / REESTIMATED_FILE, {"epochs": [figures | {"epoch": epoch} for epoch in (1, 2)]})


@contextlib.contextmanager
def home_of_two_runs(home: Path) -> Iterator[Path]:
    """A home of two whole runs that belongs to the teacher who opens the pages; nothing starts a process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_HOME", str(home))
        patch.setattr(settings, "PRETRAINED", home / "pretrained")
        patch.setattr(app_shell, "current_person", lambda: "carol")
        patch.setattr(dispatcher_process, "ensure_running", lambda: None)
        for experiment in (VICTIM, OTHER):
            write_whole_run(settings.runs_dir() / experiment.key, experiment)
        files.write_json(home / "settings.json", {"teacher": "carol"})
        clear_caches()
        yield home


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
    View("lesson", "other"),
    View("sweeps", "victim", (("sweep", create_sweep(VICTIM, {"strength": (VICTIM.strength, 0.1)}).to_json()),)),
    View("look_inside", "other", (("run", OTHER.key),)),
    View("look_inside", "victim", (("run", VICTIM.key),)),
    View("lesson_board", "victim"),
]
WEIGHT_VIEWS = [  # of Look inside, which open the weights of other epochs or of two runs, or top.npz
    View("look_inside", "victim", (("run", VICTIM.key), ("epoch", "1"))),
    View("look_inside", "victim", (("run", VICTIM.key), ("view", "maps"), ("hold", "yes"))),
    View("look_inside", "victim", (("run", VICTIM.key), ("view", "map"), ("layer", "conv1"), ("map", "1"))),
    View("look_inside", "victim", (("run", OTHER.key), ("view", "versus"), ("versus", VICTIM.key))),
    View("look_inside", "victim", (("run", VICTIM.key), ("view", "xray"))),
]


def draw(view: View) -> AppTest:
    app = AppTest.from_string(f"from cnnlab.pages import {view.page}\n{view.page}.page()\n", default_timeout=120)
    app.query_params.update(dict(view.address))
    if view.page == "lesson_board":
        app.query_params["board"] = new_class().code
    return app.run()


def new_class() -> classes.LessonClass:
    """A class with one student, who has asked for the damaged run's training."""
    sheet = next(found.sheet for found in lesson_store.list_sheets() if found.sheet)
    file = lesson_store.lesson_file()
    made = classes.start_class(file, sheet)
    classes.join_class(file, learners.open_sheet(file, "carol", sheet.name, sheet.steps[0].id), made)
    return made


def words(app: AppTest) -> list[str]:
    """What the page warns of."""
    return [str(element.value) for kind in (app.warning, app.error, app.markdown) for element in kind]


def says_damaged(app: AppTest) -> bool:
    return any("damaged" in text and "Traceback" not in text for text in words(app))


@dataclass
class Outcome:
    """How a page came through a damage: "whole" (it needs nothing of the file), "sentence" or "crash"; what it took."""

    kind: str
    cpu_seconds: float
    megabytes: float
    detail: str = ""


def outcome(view: View, case: DamageCase) -> Outcome:
    with StepMeter() as used:
        app = draw(view)
    said = f": {app.exception[0].message}" if app.exception else ""
    kind = "crash" if app.exception else "sentence" if says_damaged(app) else "whole"
    return Outcome(kind, used.cpu_seconds, used.megabytes, f"{case} on {view}{said}")


def tried(case: DamageCase, views: list[View]) -> list[Outcome]:
    """The damage, done, and what every page says then."""
    clear_caches()
    case.apply(victim() / case.file)
    return [outcome(view, case) for view in views]
