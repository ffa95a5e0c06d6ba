"""Words from outside are shown as words: every place where a page repeats an address, a reason, a name or a record."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from history_factories import history, write, write_report
from streamlit.testing.v1 import AppTest

from cnnlab import data, settings
from cnnlab.data import download
from cnnlab.experiment import Experiment
from cnnlab.inspect import upload
from cnnlab.jobs import dispatcher_process, nicknames
from cnnlab.jobs.devices import Gpu
from cnnlab.jobs.job import FAILED
from cnnlab.jobs.queue import Queue
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.jobs.run_computation import JobStatus, RunComputation
from cnnlab.jobs.top_activations_file import COMPUTATION
from cnnlab.pages import train
from cnnlab.pages.admin import machine
from cnnlab.pages.train import form, live_training
from cnnlab.rendering.markdown import WORD_JOINER, escape_markdown
from cnnlab.report_models import REPORT
from cnnlab.storage import files, process_lock
from cnnlab.storage.runs import Run
from cnnlab.ui import app_shell, auth, training_corner, training_request

pytestmark = pytest.mark.slow

HOSTILE = "![x](http://evil.test/x.png) **b** :material/close: $x$"
PICTURE = "](http://evil.test"  # Markdown that loads a picture or leads away
SMALL = Experiment(dataset="shapes", depth=2, epochs=4)
LEARNED = history([0.1, 0.4, 0.6, 0.7, 0.75], [0.1, 0.4, 0.55, 0.6, 0.62])
ADDRESS = {"dataset": "shapes", "depth": "2", "regularizer": "none", "epochs": "4"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return empty_home(tmp_path, monkeypatch)


def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without runs, dispatcher and caches, visited by carol."""
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setattr(settings, "PRETRAINED", tmp_path / "pretrained")
    monkeypatch.setattr(dispatcher_process, "ensure_running", lambda: None)
    monkeypatch.setattr(app_shell, "current_person", lambda: "carol")
    st.cache_data.clear()
    st.cache_resource.clear()
    return tmp_path


# -- the function ------------------------------------------------------------------------------------------------------


def unescaped(markdown: str) -> str:
    """What CommonMark makes of backslashes before punctuation."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown).replace(WORD_JOINER, "")


@pytest.mark.parametrize(
    "words",
    [HOSTILE, "<b>&amp;</b>", "a_b__c__", "\\*\\", "- a -> b >= c", "www.a.b a@b.c", "12. a", "Größe 1,5 €", ""],
)
def test_escaped_words_read_as_before_and_no_markdown_is_left_unescaped(words: str) -> None:
    escaped = escape_markdown(words)
    assert unescaped(escaped) == words
    assert not set("`*_[]<~$|#") & set(re.sub(r"\\.", "", escaped))


def test_a_plain_sentence_stays_as_it_is() -> None:
    sentence = "At most 200 epochs are trained here. Received: epochs=300 (100 %, or more); epoch 2 of 4!"
    assert escape_markdown(sentence) == sentence


def test_lines_and_control_characters_become_spaces() -> None:
    assert escape_markdown("a\n\n    b\x00\u202ec\t") == "a b c"


@pytest.mark.parametrize(
    "replaced", [":smile:", ":material/close:", "->", "<-", ">=", "http://a.b", "www.a.b", "a@b.c"]
)
def test_what_streamlit_replaces_in_finished_text_is_broken_by_a_joiner(replaced: str) -> None:
    escaped = escape_markdown(replaced)
    assert WORD_JOINER in escaped
    assert unescaped(escaped) == replaced


# -- the places --------------------------------------------------------------------------------------------------------


def page(name: str, **words: str) -> AppTest:
    app = AppTest.from_string(f"from cnnlab.pages import {name}\n{name}.page()\n", default_timeout=60)
    app.query_params.update(words)
    return app.run()


def calling(function: Callable[[], object]) -> AppTest:
    """An app that calls this function."""
    app = AppTest.from_string("import streamlit as st\nst.session_state['call']()\n", default_timeout=60)
    app.session_state["call"] = function
    return app.run()


def drawn(app: AppTest) -> str:
    """Every text that the server sends: words, labels, help, options; but for code, which is not Markdown."""
    assert not app.exception
    elements = [one for one in app._tree if getattr(one, "proto", None) is not None and one.type != "code"]
    return "\n".join(one.proto.SerializeToString().decode(errors="replace") for one in elements)


def check(app: AppTest, times: int = 1) -> None:
    sent = drawn(app)
    assert sent.count(escape_markdown(HOSTILE)) >= times, sent
    assert PICTURE not in sent


def raises(error: Exception) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def failed_job() -> None:
    job = Queue().submit(SMALL, "carol")
    Queue().claim(lambda job: HOSTILE)
    Queue().finish(job, FAILED, HOSTILE)


@pytest.mark.nightly(but=["strange-train", "strange-look_inside", "strange-mistakes"])
@pytest.mark.parametrize("name", ["look_inside", "mistakes", "train"])
@pytest.mark.parametrize("word", ["run", "image", "versus", "layer", "epoch", "filters", "regularizer", "strange"])
def test_an_address_loads_nothing_from_elsewhere(name: str, word: str) -> None:
    write_report(settings.PRETRAINED, ["3conv-dropout", "3conv-none"])
    assert PICTURE not in drawn(page(name, **{word: HOSTILE}))


def test_a_run_that_compare_does_not_know_is_named_as_text() -> None:
    write_report(settings.PRETRAINED, ["3conv-dropout", "3conv-none"])
    sent = drawn(page("compare", add="![x](http://evil.test/x.png)"))
    assert escape_markdown("'![x](http://evil.test/x.png)'") in sent
    assert PICTURE not in sent


def test_the_record_of_a_run_is_text_on_compare() -> None:
    one, other = (REPORT[name].experiment for name in ("3conv-dropout", "3conv-none"))
    write(settings.PRETRAINED / "3conv-dropout", one, LEARNED, state=HOSTILE[:30])  # damage is told in 40 characters
    write(settings.PRETRAINED / "3conv-none", other, LEARNED, device=HOSTILE)
    app = page("compare")
    check(app)
    assert escape_markdown(HOSTILE[:30]) in drawn(app)


def test_the_record_of_a_finished_run_is_text_on_train() -> None:
    write(settings.runs_dir() / SMALL.key, SMALL, LEARNED, device=HOSTILE)
    check(page("train", **ADDRESS))


def test_the_reason_of_a_run_that_failed_is_text() -> None:
    write(settings.runs_dir() / SMALL.key, SMALL, LEARNED, state="failed", reason=HOSTILE)
    check(page("train", **ADDRESS))


def test_the_reason_of_a_job_that_failed_is_text_on_train_and_in_the_notice() -> None:
    failed_job()
    check(page("train", **ADDRESS))
    check(calling(lambda: st.toast(training_corner.finished_message(Queue().for_key(SMALL.key)))))  # type: ignore[arg-type]


@pytest.mark.parametrize("key", [training_request.SESSION_REFUSAL, form.SESSION_FORM_ERROR])
def test_why_a_training_or_a_form_was_refused_is_text(key: str) -> None:
    app = AppTest.from_string("from cnnlab.pages import train\ntrain.page()\n", default_timeout=60)
    app.session_state[key] = HOSTILE
    check(app.run())


def test_a_queue_that_fails_while_a_training_is_watched_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_training, "live_training", raises(QueueError(HOSTILE)))
    check(calling(lambda: live_training.watch_training(SMALL)))


@pytest.mark.parametrize("error", [QueueError(HOSTILE), settings.SettingsError(HOSTILE), OSError(5, HOSTILE)])
def test_an_error_of_a_whole_page_is_text(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "page", raises(error))
    check(AppTest.from_file(str(settings.REPOSITORY / "cnnlab/pages/entrypoint.py"), default_timeout=60).run())


def test_a_setting_from_the_environment_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNLAB_SLOTS", "![x](http://evil.test/x.png)")
    app = AppTest.from_file(str(settings.REPOSITORY / "cnnlab/pages/entrypoint.py"), default_timeout=60)
    app.query_params.update(ADDRESS)
    app = app.run()
    assert "evil" in drawn(app)
    assert PICTURE not in drawn(app)


@pytest.mark.parametrize("state", ["failed", "starting"])
def test_what_a_download_says_is_text(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = download.DownloadStatus(state=state, message=HOSTILE)
    monkeypatch.setattr(download, "download_status", lambda: told)
    monkeypatch.setattr(data, "is_dataset_available", lambda name: name == "shapes")
    check(page("train", depth="3", dataset="cifar10"))


def test_what_top_activations_say_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnlab.inspect.computation_panel import computation_panel

    status = JobStatus("failed", message=HOSTILE)
    monkeypatch.setattr(RunComputation, "status", lambda computation, run: status)
    run = Run(settings.PRETRAINED / "3conv-dropout", REPORT["3conv-dropout"].experiment)
    check(calling(lambda: computation_panel(run, COMPUTATION, "Which?")))


def test_what_a_photo_says_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = SimpleNamespace(steps=[], notes=(HOSTILE,), size=(1, 1), oriented=SimpleNamespace(size=(1, 1)))
    check(calling(lambda: upload.preprocessing_steps(picture)))  # type: ignore[arg-type]
    monkeypatch.setattr(upload, "decode_photo", raises(upload.PhotoError(HOSTILE)))
    monkeypatch.setattr(st, "file_uploader", lambda *_, **__: SimpleNamespace(file_id="1", getvalue=bytes))
    check(calling(lambda: upload.upload_controls("upload")))


def test_accounts_and_providers_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "is_enabled", lambda: True)
    monkeypatch.setattr(auth, "account_name", lambda: None)
    monkeypatch.setattr(auth, "provider_names", lambda: [HOSTILE])
    check(calling(auth.require_sign_in))
    monkeypatch.setattr(auth, "account_name", lambda: HOSTILE)
    check(calling(auth.sign_out_button))


@pytest.fixture
def teacher(home: Path) -> None:
    (home / "settings.json").write_text(json.dumps({"teacher_key": "correct horse battery"}))


def admin_page() -> AppTest:
    app = AppTest.from_string("from cnnlab.pages import admin\nadmin.page()\n", default_timeout=60)
    app.session_state[app_shell.SESSION_TEACHER_KEY] = "correct horse battery"
    return app.run()


@pytest.fixture
def resumed(teacher: None) -> Iterator[None]:
    """A training in its second attempt, on a device and after a crash with hostile names."""
    job = Queue().submit(SMALL, "carol")
    Queue().claim(lambda job: HOSTILE)
    Queue().record_interruption(job, HOSTILE)
    Queue().claim(lambda job: HOSTILE)
    folder = write(settings.runs_dir() / SMALL.key, SMALL, LEARNED[:2], state="running")
    files.write_json(folder / "progress.json", {"phase": "training", "epoch": 2, "batch": 1, "batches": 32})
    lock = process_lock.acquire(folder / "lock")
    assert lock is not None
    with lock:
        yield


def test_reasons_and_devices_of_running_jobs_are_text_on_the_admin_page(resumed: None) -> None:
    check(admin_page(), times=2)


def test_a_nickname_is_text_on_the_admin_page(resumed: None) -> None:
    hostile = "![x](http://evil.test/x.png)"
    nicknames.set_nickname(Queue(), "carol", hostile)
    sent = drawn(admin_page())
    assert escape_markdown(hostile) in sent and hostile not in sent.replace("`carol`", "")


def test_the_reason_of_a_failure_is_text_on_the_admin_page(teacher: None) -> None:
    failed_job()
    check(admin_page())


def test_the_name_of_a_graphics_card_is_text_on_the_admin_page(teacher: None, monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimpleNamespace(device=HOSTILE, name=HOSTILE, used_mib=1, memory_mib=2)
    assert {"device", "name", "used_mib", "memory_mib"} <= set(dir(Gpu)) | set(Gpu.__dataclass_fields__)
    monkeypatch.setattr(machine, "gpus", lambda: [card])
    check(admin_page(), times=2)


def test_why_the_teacher_was_refused_is_text(teacher: None, monkeypatch: pytest.MonkeyPatch) -> None:
    failed_job()
    app = admin_page()
    monkeypatch.setattr(Queue, "submit", raises(QuotaExceeded(HOSTILE)))
    check(next(one for one in app.button if one.label == "Retry").click().run(), times=2)
