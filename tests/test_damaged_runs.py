"""Damaged runs: each is said in one sentence, only its own pages are about it, and it can be trained again or removed.

The matrix: each file of a run is damaged in every way of `damage.cases`, and every page is drawn by Streamlit's tester.
"""

import json
import os
import shutil
import tracemalloc
from pathlib import Path

import damage
import numpy as np
import pytest
from damage import DamageCase
from damaged_pages import (
    LEARNED,
    OTHER,
    VICTIM,
    VIEWS,
    WEIGHT_VIEWS,
    Outcome,
    View,
    compute_again,
    draw,
    home_of_two_runs,
    restore,
    tried,
    victim,
    words,
)
from history_factories import write
from streamlit.testing.v1 import AppTest

from cnnlab import settings
from cnnlab.data import load_dataset
from cnnlab.jobs import top_activations_file
from cnnlab.jobs.admin import Admin
from cnnlab.jobs.queue import Queue
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.report_models import REPORT
from cnnlab.storage import files, runs
from cnnlab.storage.runs import DamagedRun, Run

pytestmark = pytest.mark.slow

EVERY_DAMAGE = "CNNLAB_EVERY_DAMAGE" in os.environ  # an hour; otherwise one damage of each kind


@pytest.fixture
def home(tmp_path):
    """A home with two whole runs that a test may damage."""
    with home_of_two_runs(tmp_path / "home") as made:
        yield made


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A folder with the pictures of Shapes, which takes seconds to draw."""
    home = tmp_path_factory.mktemp("drawn")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_HOME", str(home))
        load_dataset("shapes")
    return home / "data"


@pytest.fixture
def pictures(home, drawn):
    """The pictures of Shapes in the test's home."""
    (home / "data").symlink_to(drawn)


@pytest.fixture
def whole(home, pictures):
    """The run as it was before any damage, with what pages have computed of it."""
    compute_again(Run(victim(), VICTIM))
    shutil.copytree(victim(), home / "whole", symlinks=True)
    return home / "whole"


FAST_VIEWS = [view for view in VIEWS if view.page in ("train", "compare", "admin", "sweeps")]  # that need no pictures
FAST_CASES = [
    ("record.json", "epoch_seconds is abc"),
    ("record.json", "a deep field of its own"),
    ("history.csv", "a word"),
    ("experiment.json", "of another seed"),
    ("model.keras", "cut at 50 %"),
]


def find_case(file: str, name: str) -> DamageCase:
    return next(case for case in damage.cases(file) if case.name == name)


# -- what the pages say, and the ways out ------------------------------------------------------------------------------


def damaged_by(file: str, name: str) -> None:
    find_case(file, name).apply(victim() / file)


def button(app: AppTest, label: str):
    return next(one for one in app.button if one.label.startswith(label))


def test_train_shows_what_is_whole_of_a_damaged_run_and_trains_it_again(home):
    damaged_by("record.json", "epoch_seconds is abc")
    app = draw(VIEWS[0])
    assert "record.json has a wrong epoch" in app.error[0].value
    assert len(app.get("vega_lite_chart")) == 2  # the history is whole
    button(app, "Train it again").click().run()
    assert not app.exception and Queue().for_key(VICTIM.key).state == "queued"
    assert "next in the queue" in app.info[0].value.lower()


def test_train_keeps_the_result_of_a_run_whose_predictions_are_damaged(home):
    damaged_by("predictions.npz", "cut at 50 %")
    app = draw(VIEWS[0])
    assert app.metric and "predictions.npz is no whole zip archive" in app.warning[0].value.replace("\\", "")
    button(app, "Train it again").click().run()
    assert Queue().for_key(VICTIM.key).state == "queued"


def test_what_is_damaged_of_a_finished_run_is_escaped_once(home):
    logits, labels = np.zeros((500, 10), np.float16), np.zeros(500)
    files.write_npz(victim() / "predictions.npz", {"test": logits, "test_labels": labels})
    with pytest.raises(DamagedRun):
        Run(victim(), VICTIM).predictions()
    assert r"holds test\_labels as float64" in draw(VIEWS[0]).warning[0].value


def test_a_damaged_run_of_the_report_is_not_called_untrained(home):
    experiment = REPORT["2conv-l2"].experiment
    write(settings.runs_dir() / experiment.key, experiment, LEARNED, state="stopped")
    (settings.runs_dir() / experiment.key / "history.csv").write_text("epoch\n")
    said = "\n".join(words(draw(VIEWS[2])))
    assert said.count("| damaged |") == 2 and "history" in said and "lacks the column accuracy" in said


def test_a_link_to_a_damaged_run_says_why_it_is_not_opened(home):
    link_says_why("train")


@pytest.mark.exhaustive
@pytest.mark.parametrize("page", ["look_inside", "mistakes"])
def test_a_link_to_the_pictures_of_a_damaged_run_says_why_too(home, pictures, page):
    link_says_why(page)


def link_says_why(page: str) -> None:
    damaged_by("experiment.json", "emptied")
    for _ in range(2):
        app = draw(View(page, "victim", (("run", VICTIM.key),)))
        said = [text.replace("\\", "") for text in words(app)]
        assert not app.exception and any("is damaged: experiment.json is empty." in text for text in said)
        assert not any("There is no run called" in text for text in said)


@pytest.mark.exhaustive
def test_look_inside_opens_another_epoch_where_the_weights_are_damaged(home, pictures):
    damaged_by("model.keras", "half an HDF5")
    app = draw(View("look_inside", "victim", (("run", VICTIM.key), ("epoch", "2"))))
    assert not app.exception and app.query_params["run"] == VICTIM.key
    assert "model.keras is not what Keras writes" in app.warning[0].value.replace("\\", "")
    assert list(app.select_slider[0].options) == ["0", "1"]


def test_damage_in_words_of_others_is_no_markdown(home):
    value = json.loads((victim() / "record.json").read_text()) | {"seconds": "![x](http://a.b/c.png)"}
    (victim() / "record.json").write_text(json.dumps(value))
    for view in [view for view in FAST_VIEWS if view.page == "admin" or view == VIEWS[0]]:
        assert not any("![x]" in text for text in words(draw(view)))


def test_a_teacher_removes_a_damaged_run_and_only_that(home):
    damaged_by("experiment.json", "binary")
    app = draw(next(view for view in VIEWS if view.page == "admin"))
    assert [one.label for one in app.button].count("Remove") == 1
    button(app, "Remove").click().run()
    assert not app.exception and not victim().exists()
    assert [run.name for run in runs.list_runs()] == [OTHER.key]


def test_nobody_but_a_teacher_removes_a_run(home):
    damaged_by("experiment.json", "binary")
    (home / "settings.json").write_text("{}")
    with pytest.raises(QuotaExceeded):
        Admin(Queue(), "carol").remove(VICTIM.key)
    assert victim().exists()


def test_a_damaged_file_of_top_images_is_computed_again(home):
    (victim() / "top.npz").write_bytes(b"PK")
    (victim() / "top.json").write_text(json.dumps({"state": "running", "done": "abc", "total": [7]}))
    run = Run(victim(), VICTIM)
    assert top_activations_file.load(run) is None and top_activations_file.COMPUTATION.status(run) is None


# -- the matrix --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("file", "name"), FAST_CASES)
def test_a_damaged_file_takes_no_page_down_and_those_about_it_say_so(home, file, name):
    found = tried(find_case(file, name), FAST_VIEWS)
    assert [one.detail for one in found if one.kind == "crash"] == []
    about = {str(view): one.kind for view, one in zip(FAST_VIEWS, found, strict=True) if view.about == "victim"}
    assert set(about.values()) == {"sentence"}, about


@pytest.mark.exhaustive
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("file", damage.FILES)
def test_no_damage_of_this_file_crashes_any_page(whole, file):
    found: list[Outcome] = []
    for case in damage.cases(file) if EVERY_DAMAGE else distinct_cases(file, whole):
        restore(whole)
        found += tried(case, VIEWS + WEIGHT_VIEWS * (file in ("weights/001.npz", "model.keras", "top.npz")))
    counts = {kind: sum(one.kind == kind for one in found) for kind in ("whole", "sentence", "crash")}
    print(f"{file}: tried {len(found)}, {counts}, slowest {max(one.cpu_seconds for one in found):.1f} s")
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


@pytest.mark.exhaustive
@pytest.mark.parametrize("file", [file for file in damage.FILES if file not in damage.COMPUTED_AGAIN])
def test_every_damage_of_this_file_is_found_by_the_thorough_look(whole, file):
    missed = []
    for case in damage.cases(file):
        restore(whole)
        case.apply(victim() / file)
        sentence = Run(victim(), VICTIM).damages(thorough=True).get(file, "")
        if not 5 < len(sentence) < 200 or "\n" in sentence:
            missed.append(str(case))
    assert set(missed) - UNNOTICED == ({"record.json: one epoch less"} if file == "record.json" else set())


@pytest.mark.exhaustive
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
        top_activations_file.load(Run(victim(), VICTIM))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 40e6, f"{case}: {peak / 1e6:.0f} MB"
