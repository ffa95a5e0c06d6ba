"""The teacher's page, signing in, and who is watching: what a teacher sees and may do, and what nobody else does."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from history_factories import history, write
from home_settings import write_settings
from streamlit.testing.v1 import AppTest
from test_own_pictures import write_pictures

from cnnlab import settings
from cnnlab.data import own_pictures
from cnnlab.data.picture_import import import_pictures
from cnnlab.experiment import Experiment
from cnnlab.jobs import dispatcher_process
from cnnlab.jobs.job import Job
from cnnlab.jobs.queue import Queue
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage import files, presence_files, process_lock, run_retention
from cnnlab.ui import app_shell, auth, presence
from cnnlab.ui.experiment_params import experiment_params

KEY = "correct horse battery"
LEARNED = history([0.1, 0.4, 0.6], [0.1, 0.4, 0.5])


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(settings, "PRETRAINED", tmp_path / "pretrained")
    monkeypatch.setattr(dispatcher_process, "ensure_running", lambda: None)
    monkeypatch.setattr(app_shell, "current_person", lambda: "carol")
    st.cache_data.clear()
    st.cache_resource.clear()
    (tmp_path / "home").mkdir()
    write_settings(teacher_key=KEY)
    return tmp_path / "home"


@pytest.fixture
def teacher() -> None:
    write_settings(teacher="Carol", jobs_per_person=50)


def shapes(seed: int) -> Experiment:
    return Experiment(dataset="shapes", seed=seed, epochs=4)


@pytest.fixture
def training() -> Iterator[Job]:
    """bob's training at work on a GPU, in its second epoch."""
    job = Queue().submit(shapes(1), "bob")
    Queue().claim(lambda job: "GPU 1")
    folder = write(settings.runs_dir() / job.key, shapes(1), LEARNED[:2], state="running", epoch_seconds=[4.0])
    told = {"phase": "training", "epoch": 2, "epochs": 4, "batch": 8, "batches": 32, "seconds_left": 110.0}
    files.write_json(folder / "progress.json", told)
    (folder / "worker.log").write_text("== attempt 1, GPU 1\nepoch 1: validation 0.4\n")
    lock = process_lock.acquire(folder / "lock")
    assert lock is not None
    with lock:
        yield job


def opened() -> AppTest:
    return AppTest.from_string("from cnnlab.pages import admin\nadmin.page()\n", default_timeout=60).run()


def text(app: AppTest) -> str:
    said = [element.value for kind in (app.markdown, app.caption, app.error, app.warning) for element in kind]
    return "\n".join([*said, *(f"{one.label} {one.value}" for one in app.metric)])


def button(app: AppTest, label: str) -> Any:
    return next(one for one in app.button if one.label == label)


# -- who sees it -----------------------------------------------------------------------------------------------------


def test_a_student_sees_nobodys_training_and_no_button(training: Job) -> None:
    app = opened()
    assert "bob" not in text(app)
    assert [one.label for one in app.button] == ["Open"]
    assert "Your name here is `carol`" in text(app)


def test_without_a_key_in_the_settings_none_is_asked_for(training: Job) -> None:
    write_settings()
    app = opened()
    assert not app.button and not app.text_input


@pytest.mark.slow
def test_a_wrong_key_opens_nothing_and_the_right_one_does(training: Job) -> None:
    app = opened()
    app.text_input[0].set_value("wrong horse battery")
    button(app, "Open").click().run()
    assert "That is not the teacher's key." in text(app)
    assert "bob" not in text(app)
    app.text_input[0].set_value(KEY)
    button(app, "Open").click().run()
    assert "bob" in text(app)


@pytest.mark.slow
def test_the_key_is_typed_once_and_lasts_over_a_reload_until_it_is_given_back(training: Job) -> None:
    app = opened()
    app.text_input[0].set_value(KEY)
    button(app, "Open").click().run()
    again = opened()
    assert "bob" in text(again)
    button(again, "Leave Admin on this computer").click().run()
    assert "bob" not in text(again) and "bob" not in text(opened())


@pytest.mark.slow
def test_the_page_stands_in_no_menu_and_a_teacher_finds_a_link_to_it(teacher: None) -> None:
    app = AppTest.from_file(str(settings.REPOSITORY / "cnnlab" / "pages" / "entrypoint.py"), default_timeout=60).run()
    assert not app.exception
    links = [one.proto.label for one in app.get("page_link")]
    assert "Admin: trainings and runs of this server" in links
    write_settings()
    links = [one.proto.label for one in app.run().get("page_link")]
    assert "Admin: trainings and runs of this server" not in links


# -- what a teacher sees and does ------------------------------------------------------------------------------------


def test_a_training_stands_there_with_owner_device_epoch_and_time_left(teacher: None, training: Job) -> None:
    app = opened()
    assert not app.exception
    assert "**2-conv, no regularizer, shapes, 4 epochs, seed 1**, GPU 1, for `bob`" in text(app).replace("  ", " ")
    assert "epoch 2 of 4, batch 8 of 32, 2 min left" in [one.proto.text for one in app.get("progress")]
    assert "Running 1 of 1" in text(app)


def test_what_waits_stands_in_its_order_with_the_time_of_its_start(teacher: None, training: Job) -> None:
    for seed, person in ((2, "ada"), (3, "bob")):
        Queue().submit(shapes(seed), person)
    said = text(opened())
    assert "**1st**" in said and "starts in about 2 min, for `ada`" in said
    assert said.index("`ada`") < said.index("**2nd**")


@pytest.mark.slow
def test_the_teacher_stops_anybodys_training(teacher: None, training: Job) -> None:
    app = opened()
    button(app, "Stop").click().run()
    assert not Queue().get(training.id).is_wanted


def test_a_teacher_who_is_one_no_longer_stops_nothing(teacher: None, training: Job) -> None:
    app = opened()
    stop = button(app, "Stop").click()
    write_settings()
    stop.run()
    assert Queue().get(training.id).is_wanted


@pytest.mark.slow
def test_one_switch_closes_the_queue_and_opens_it_again(teacher: None) -> None:
    app = opened()
    app.toggle[0].set_value(False).run()
    assert not Queue().is_accepting()
    assert "New trainings are refused" in text(app)
    app.toggle[0].set_value(True).run()
    assert Queue().is_accepting()


@pytest.mark.slow
def test_what_failed_stands_there_with_its_reason_and_is_asked_for_again(teacher: None) -> None:
    job = Queue().submit(shapes(5), "bob")
    Queue().claim()
    Queue().finish(job, "failed", "The disk was full.")
    app = opened()
    assert "The disk was full." in text(app)
    button(app, "Retry").click().run()
    assert [(again.key, again.requesters) for again in Queue().waiting()] == [(job.key, ("carol",))]


@pytest.mark.slow
def test_what_is_done_stands_there_with_result_owner_and_link(teacher: None, monkeypatch: pytest.MonkeyPatch) -> None:
    links: list[tuple[str, str, dict[str, str]]] = []
    monkeypatch.setattr(app_shell, "page_link", lambda page, label, words, icon="": links.append((page, label, words)))
    done, waiting = shapes(6), shapes(7)
    job = Queue().submit(done, "bob")
    Queue().claim()
    write(settings.runs_dir() / done.key, done, LEARNED, final=LEARNED[-1])
    Queue().finish(job, "done")
    Queue().submit(waiting, "ada")
    app = opened()
    assert not app.exception
    assert f"**validation {100 * LEARNED[-1]['val_accuracy']:.1f} %**" in text(app) and "for `bob`" in text(app)
    assert links == [("train", done.title, experiment_params(done))]
    assert "Done 1 of 2" in text(app)


@pytest.mark.slow
def test_a_log_can_be_read(teacher: None, training: Job) -> None:
    app = opened()
    app.selectbox[0].select_index(1).run()
    assert "epoch 1: validation 0.4" in app.get("html")[0].proto.body


def test_waiting_without_a_dispatcher_is_said_with_the_command(teacher: None) -> None:
    Queue().submit(shapes(1), "bob")
    assert "python -m cnnlab dispatch" in text(opened())


# -- who is watching -------------------------------------------------------------------------------------------------


def test_a_run_that_is_looked_at_is_known_as_such_and_counted() -> None:
    experiment = shapes(1)
    write(settings.runs_dir() / experiment.key, experiment, LEARNED)
    script = "from cnnlab.ui import presence\npresence.record_page('look_inside')\n"
    app = AppTest.from_string(script, default_timeout=60)
    app.query_params["run"] = experiment.key
    app.run()
    assert not app.exception
    assert time.time() - run_retention.last_viewed(experiment.key) < 30
    assert presence.count_views() == {("look_inside", experiment.key): 1}
    assert presence.count_tabs() == 1


def test_made_up_names_in_an_address_leave_nothing_on_the_disk(home: Path) -> None:
    app = AppTest.from_string(
        "from cnnlab.ui import presence\npresence.record_page('look_inside')\n", default_timeout=60
    )
    app.query_params["run"] = "0123456789abcdef"
    app.run()
    assert not app.exception
    assert not (home / "marks").exists()


def test_a_tab_that_does_not_ask_any_more_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    presence.tab_views()["gone"] = presence.TabView("train", (), time.monotonic() - presence.PRESENCE_SECONDS - 1)
    presence.tab_views()["here"] = presence.TabView("train", (), time.monotonic())
    assert presence.count_tabs() == 1


def test_tabs_of_all_web_processes_are_added_up_until_one_ends(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    presence.tab_views().clear()
    presence.tab_views()["here"] = presence.TabView("train", (), time.monotonic())
    monkeypatch.setattr(presence_files, "PROCESS", "another")
    presence_files.write_views(3, {("train", ""): 2, ("compare", ""): 1})
    (home / "presence" / "broken.json").write_text("{")
    monkeypatch.setattr(presence_files, "PROCESS", "this")
    assert presence.count_tabs() == 4
    assert presence.count_views() == {("train", ""): 3, ("compare", ""): 1}
    long_ago = time.time() - presence_files.FRESH_SECONDS - 1
    os.utime(home / "presence" / "another.json", (long_ago, long_ago))
    assert presence.count_tabs() == 1
    assert not (home / "presence" / "another.json").exists()


# -- signing in ------------------------------------------------------------------------------------------------------


def test_who_signed_in_goes_by_a_believed_address() -> None:
    assert auth.person_from_claims({"email": "Ada@School.org", "sub": "1"}) == "ada@school.org"
    assert auth.person_from_claims({"email": "ada@school.org", "email_verified": True}) == "ada@school.org"


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "teacher@school.org", "email_verified": False},
        {"email": "teacher@school.org", "email_verified": "false"},
        {"email": "teacher@school.org, eve@x.org"},
        {"email": "b0123456789ab"},
        {"email": "a" * 80 + "@school.org"},
        {"email": None},
        {},
    ],
)
def test_an_address_that_is_not_believed_becomes_a_digest_of_the_account(claims: dict[str, Any]) -> None:
    name = auth.person_from_claims(claims | {"iss": "https://id.school.org", "sub": "42"})
    assert name == auth.person_from_claims({"iss": "https://id.school.org", "sub": "42"})
    assert name != auth.person_from_claims({"iss": "https://id.school.org", "sub": "43"})
    assert name.startswith("u") and len(name) == 13


@pytest.mark.slow
def test_where_signing_in_is_asked_for_nothing_is_shown_before(
    teacher: None, training: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "is_enabled", lambda: True)  # AppTest's st.user knows nothing of secrets
    app = AppTest.from_file(str(settings.REPOSITORY / "cnnlab" / "pages" / "entrypoint.py"), default_timeout=60)
    app.secrets["auth"] = {"redirect_uri": "https://lab.school.org/oauth2callback", "cookie_secret": "x"}
    app.run()
    assert not app.exception
    assert [one.label for one in app.button] == ["Sign in"]
    assert not app.title[0].value.startswith("Does your network")
    monkeypatch.setattr(auth, "account_name", lambda: "ada@school.org")
    app.run()
    assert "Sign in" not in [one.label for one in app.button]
    assert f"Signed in as {escape_markdown('ada@school.org')}" in text(app)


def test_each_provider_that_is_named_has_a_button(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "is_enabled", lambda: True)
    app = AppTest.from_file(str(settings.REPOSITORY / "cnnlab" / "pages" / "entrypoint.py"), default_timeout=60)
    app.secrets["auth"] = {"redirect_uri": "x", "google": {"client_id": "a"}, "microsoft": {"client_id": "b"}}
    app.run()
    assert [one.label for one in app.button] == ["Sign in with google", "Sign in with microsoft"]


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_refusal_is_one_sentence_on_the_page() -> None:
    Queue().set_accepting(False)
    words = {"dataset": "shapes", "depth": "2", "regularizer": "none", "epochs": "4"}
    app = AppTest.from_file(str(settings.REPOSITORY / "cnnlab" / "pages" / "entrypoint.py"), default_timeout=60)
    app.query_params.update(words)
    app.run()
    next(one for one in app.button if one.label.startswith("Train it")).click().run()
    assert not app.exception
    assert "No new trainings are accepted at the moment: the teacher has closed the queue." in text(app)
    assert Queue().active() == []


def test_a_teacher_removes_own_pictures_after_a_question(teacher: None, tmp_path: Path) -> None:
    import_pictures(write_pictures(tmp_path / "pictures"), "leaves")
    page = opened()
    assert "**leaves**: 3 classes, 72 pictures (birch tree, maple, oak)" in [one.value for one in page.markdown]
    assert any("No run was trained on them." in one.value for one in page.markdown)
    button(page, "Yes, remove them").click().run()
    assert not page.exception and own_pictures.list_datasets() == []
    assert "Own pictures" not in [one.value for one in page.header]
