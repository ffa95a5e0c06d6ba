"""Words from outside are shown as words on the pages Lesson and Sweeps, in uploads of one's own, keys and workers."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec
from streamlit.testing.v1 import AppTest
from test_markdown import HOSTILE, PICTURE, calling, check, empty_home, raises

from cnnlab.data.picture_folder import PictureImportError
from cnnlab.inspect import imported_network
from cnnlab.jobs import access_keys, network_uploads, picture_uploads, sweep_jobs
from cnnlab.jobs.job import FAILED
from cnnlab.jobs.queue import Queue
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.lessons.prediction_verdict import describe_prediction
from cnnlab.lessons.sheet import Chapter, Sheet, Sketch, Step
from cnnlab.lessons.sheet_files import SheetFile
from cnnlab.pages import lesson as lesson_page
from cnnlab.pages.admin import access
from cnnlab.pages.lesson_board import vote
from cnnlab.pages.train import own_pictures
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage.background_process import BackgroundStatus
from cnnlab.storage.network_import import NetworkImportError
from cnnlab.sweeps import SHIPPED_SWEEPS
from cnnlab.ui import cache, class_code, lesson_answers, lesson_charts, lesson_store

pytestmark = pytest.mark.slow

STEP = Step(id="one", kind="choice", question="Which?", options=(HOSTILE, "other"), answer=HOSTILE)
SHEET = Sheet(name="mine", title=HOSTILE, summary=HOSTILE, chapters=(Chapter(title=HOSTILE, minutes=3, steps=(STEP,)),))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return empty_home(tmp_path, monkeypatch)


# -- lessons -----------------------------------------------------------------------------------------------------------


def test_title_summary_and_mistakes_of_a_sheet_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    check(calling(lambda: lesson_page.sheet_row(SHEET)), times=3)  # title, summary, help of the button
    broken = SheetFile(Path(f"{HOSTILE}.yaml".replace("/", "")), None, (HOSTILE,))  # type: ignore[arg-type]
    monkeypatch.setattr(lesson_store, "list_sheets", lambda: [broken])
    check(calling(lesson_page.sheet_list))


def test_the_code_of_a_class_in_an_address_is_text() -> None:
    app = AppTest.from_string("from cnnlab.pages import lesson\nlesson.page()\n", default_timeout=60)
    app.query_params["join"] = "![x](http://evil.test)"
    app.run()
    assert not app.exception and PICTURE not in app.warning[0].value


def test_options_of_a_vote_and_a_given_prediction_are_text() -> None:
    counted = SimpleNamespace(revealed=False, round=0)
    check(calling(lambda: vote.show_tally(STEP, counted, [HOSTILE])))  # type: ignore[arg-type]
    check(calling(lambda: st.caption(vote.describe_tally(STEP, [HOSTILE]))))
    check(calling(lambda: lesson_answers.show_prediction(STEP, HOSTILE)))
    order = dataclasses.replace(STEP, kind="order")
    check(calling(lambda: lesson_answers.show_prediction(order, [HOSTILE, "other"])))
    check(calling(lambda: st.markdown(describe_prediction(STEP, "other", None, escape_markdown)[1])))


def test_the_axis_of_a_sketch_is_text() -> None:
    axes = Sketch(x=(0.0, 1.0), low=0.0, high=1.0, x_label="epoch", y_label=HOSTILE)
    step = dataclasses.replace(STEP, kind="sketch", sketch=axes)
    check(calling(lambda: lesson_charts.sketch_chart(step, (0.1, 0.2), (), key="sketch")))


# -- sweeps ------------------------------------------------------------------------------------------------------------


def sweeps_page() -> AppTest:
    app = AppTest.from_string("from cnnlab.pages import sweeps\nsweeps.page()\n", default_timeout=60)
    app.query_params["sweep"] = "shapes-size"
    return app.run()


def test_why_a_sweep_was_refused_and_why_its_training_failed_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Queue().submit(SHIPPED_SWEEPS["shapes-size"].experiments()[0], "carol")
    Queue().claim(lambda job: "")
    Queue().finish(job, FAILED, HOSTILE)
    app = sweeps_page()
    check(app)
    monkeypatch.setattr(sweep_jobs, "request_sweep", raises(QuotaExceeded(HOSTILE)))
    check(app.button(key="train_sweep").click().run(), times=2)


def test_an_address_of_no_sweep_loads_nothing() -> None:
    app = AppTest.from_string("from cnnlab.pages import sweeps\nsweeps.page()\n", default_timeout=60)
    app.query_params["sweep"] = "![x](http://evil.test)"
    app.run()
    assert not app.exception and app.warning and PICTURE not in app.warning[0].value


# -- files of one's own, keys, workers ---------------------------------------------------------------------------------


def test_why_own_files_were_refused_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_uploads, "describe", raises(NetworkImportError(HOSTILE)))
    file = UploadedFile(UploadedFileRec("1", "net.keras", "", b"x"), None)  # type: ignore[arg-type]
    check(calling(lambda: imported_network.import_upload(file, "key", "mine", "", "0-1")))
    monkeypatch.setattr(picture_uploads, "import_archive", raises(PictureImportError(HOSTILE)))
    check(calling(lambda: own_pictures.import_upload(file, "key", "mine")))


def test_why_a_key_or_a_class_code_was_refused_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_keys, "check_teacher_key", raises(access_keys.KeyRefused(HOSTILE)))
    check(calling(lambda: access.check_key("typed")))
    monkeypatch.setattr(access_keys, "join_class", raises(access_keys.KeyRefused(HOSTILE)))
    monkeypatch.setattr(class_code, "is_class_code_needed", lambda: True)
    app = calling(class_code.require_class_code)
    check(app.button[0].click().run())


def test_why_a_worker_failed_is_text(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = SimpleNamespace(is_being_tested=False, predictions=dict, path=home, title="mine")
    monkeypatch.setattr(cache, "predictions", lambda network: {})
    monkeypatch.setattr(network_uploads, "can_be_tested", lambda network: True)
    monkeypatch.setattr(network_uploads, "test_status", lambda network: BackgroundStatus("failed", message=HOSTILE))
    check(calling(lambda: imported_network.test_accuracy(network)))  # type: ignore[arg-type]
