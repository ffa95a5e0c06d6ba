"""The settings: from the environment, a file or the defaults, and one sentence for an invalid one."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab import settings
from cnnlab.data import photo_preprocessing
from cnnlab.photo_decoding.decoder import PhotoError
from cnnlab.settings import SettingsError, subprocess_environment


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.delenv("CNNLAB_STANDBY_WORKERS")
    return tmp_path


def source_of(name: str) -> str:
    return next(one.source for one in settings.list_settings() if one.name == name)


def picture(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_settings_have_their_defaults_without_file_and_environment(home: Path) -> None:
    assert settings.current() == settings.Settings()
    assert {one.source for one in settings.list_settings()} == {"default"}


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "settings.json").write_text(json.dumps({"jobs_per_person": 5, "epochs": 30}))
    monkeypatch.setenv("CNNLAB_EPOCHS", "40")
    loaded = settings.current()
    assert (loaded.jobs_per_person, loaded.epochs, loaded.queue_length) == (5, 40, settings.Settings().queue_length)
    assert source_of("epochs") == "CNNLAB_EPOCHS"
    assert source_of("jobs_per_person") == str(home / "settings.json")


def test_a_relative_home_is_the_same_folder_for_a_worker_in_another_directory(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("CNNLAB_HOME", "lab")
    script = "from cnnlab import settings; print(settings.home())"
    process = subprocess.run(
        [sys.executable, "-c", script],
        cwd="/",
        env=subprocess_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(process.stdout.strip()) == home / "lab" == settings.home()


def test_a_changed_file_counts_from_the_next_question_on(home: Path) -> None:
    assert settings.current().jobs_per_person == 3
    (home / "settings.json").write_text('{"jobs_per_person": 1}')
    assert settings.current().jobs_per_person == 1


@pytest.mark.parametrize("word", ["0", "-1", "2.5", "many", "", "1e3", "nan", "99999999999"])
def test_a_number_outside_its_range_is_refused_with_range_and_source(
    home: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setenv("CNNLAB_QUEUE_LENGTH", word)
    with pytest.raises(SettingsError, match=r"queue_length is a whole number from 1 to 10,000 .*CNNLAB_QUEUE_LENGTH"):
        settings.current()


@pytest.mark.parametrize("word", ["nan", "inf", "0", "-3", "1e99"])
def test_an_amount_outside_its_range_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("CNNLAB_RUNS_GIGABYTES", word)
    with pytest.raises(SettingsError, match="runs_gigabytes is a number from"):
        settings.current()


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("{", "cannot be read"),
        ("[1]", "must hold one object"),
        ('{"job_per_person": 1}', "Received: job_per_person"),
        ('{"jobs_per_person": true}', "whole number"),
        ('{"jobs_per_person": null}', "whole number"),
        ('{"teacher": 3}', "words in quotes"),
        ("[" * 100_000, "cannot be read"),
        ('{"teacher_key": "short"}', "12 letters or more"),
        ('{"class_code": "short"}', "6 letters or more"),
        ('{"trusted_proxies": "the proxy"}', "addresses or networks"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_the_reason(home: Path, text: str, complaint: str) -> None:
    (home / "settings.json").write_text(text)
    with pytest.raises(SettingsError, match=complaint):
        settings.current()


def test_a_teacher_is_who_is_named_whatever_the_capitals(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNLAB_TEACHER", "Ada@School.org, u0123456789ab")
    found = settings.current()
    assert found.is_teacher("ada@school.org")
    assert found.is_teacher("u0123456789ab")
    assert not found.is_teacher("bob@school.org")


def test_the_name_of_a_browser_makes_no_teacher(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNLAB_TEACHER", "b0123456789ab, B0123456789AB")
    assert not settings.current().is_teacher("b0123456789ab")


def test_proxies_are_addresses_and_networks(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNLAB_TRUSTED_PROXIES", "127.0.0.1, ::1,10.1.0.0/16")
    assert [str(one) for one in settings.current().proxy_networks] == ["127.0.0.1/32", "::1/128", "10.1.0.0/16"]


def test_nobody_is_the_teacher_where_none_is_named(home: Path) -> None:
    assert not settings.current().is_teacher("")
    assert not settings.current().is_teacher("ada")


def test_the_command_prints_each_setting_with_its_source_and_never_a_secret(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNNLAB_TEACHER_KEY", "correct horse battery")
    monkeypatch.setenv("CNNLAB_CLASS_CODE", "correct horse")
    done = subprocess.run([sys.executable, "-m", "cnnlab", "settings"], capture_output=True, text=True, check=True)
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert {one.name for one in settings.list_settings()} | {"home"} == set(lines)
    assert "(set)" in lines["teacher_key"] and "(set)" in lines["class_code"]
    assert "CNNLAB_TEACHER_KEY" in lines["teacher_key"]
    assert "horse" not in done.stdout


def test_the_command_says_in_one_line_which_setting_is_wrong(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNLAB_SLOTS", "two")
    done = subprocess.run([sys.executable, "-m", "cnnlab", "settings"], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "The setting slots is a whole number from 0 to 64 (from CNNLAB_SLOTS). Received: slots='two'"
    )


def test_a_photo_may_be_as_large_as_the_settings_say(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert photo_preprocessing.prepare_photo(picture(200, 100)).size == (200, 100)
    monkeypatch.setenv("CNNLAB_UPLOAD_MEGAPIXELS", "0.01")
    with pytest.raises(PhotoError, match=r"at most 0\.01 million pixels. Received: 200x100"):
        photo_preprocessing.prepare_photo(picture(200, 100))
    monkeypatch.setenv("CNNLAB_UPLOAD_MEGABYTES", "0.01")
    with pytest.raises(PhotoError, match=r"at most 0\.01 MB"):
        photo_preprocessing.prepare_photo(b"\x89PNG" + bytes(20_000))


def test_settings_are_read_again_at_the_moment_file_or_environment_change(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    before = settings.current()
    assert settings.current() is before, "a page asks often"
    (tmp_path / settings.SETTINGS_FILE).write_text('{"slots": 3}')
    assert settings.current().slots == 3
    monkeypatch.setenv("CNNLAB_SLOTS", "4")
    assert settings.current().slots == 4
    (tmp_path / settings.SETTINGS_FILE).unlink()
    monkeypatch.delenv("CNNLAB_SLOTS")
    assert settings.current() == before
