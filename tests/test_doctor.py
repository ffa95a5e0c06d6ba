"""The doctor: says what is here and what is missing, each with its remedy, and its exit status can be relied on."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from test_own_pictures import write_pictures

from cnnlab import doctor, settings
from cnnlab.data.picture_import import import_pictures
from cnnlab.doctor import installation, stored_files
from cnnlab.doctor.finding import FAIL, NOTE, OK, Finding
from cnnlab.experiment import Experiment
from cnnlab.jobs import devices, dispatcher_process
from cnnlab.jobs.queue import Queue
from cnnlab.storage import process_lock


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setattr(stored_files, "MIN_FREE_BYTES", 0.0)
    return tmp_path


def findings(subject: str) -> list[Finding]:
    return [finding for finding in doctor.run_checks(ask_keras=False) if finding.subject == subject]


def test_without_a_dispatcher_the_doctor_says_how_to_start_one(home: Path) -> None:
    [finding] = findings("dispatcher")
    assert (finding.state, finding.message) == (FAIL, "none is at work")
    assert "python -m cnnlab dispatch" in finding.remedy


def test_a_dispatcher_at_work_is_found_and_one_that_hangs_is_not_taken_for_it(home: Path) -> None:
    lock = process_lock.acquire(dispatcher_process.lock_path())
    assert lock is not None
    with lock:
        dispatcher_process.heartbeat_path().touch()
        assert [finding.state for finding in findings("dispatcher")] == [OK]
        long_ago = time.time() - 500
        for path in (dispatcher_process.heartbeat_path(), dispatcher_process.lock_path()):
            os.utime(path, (long_ago, long_ago))
        [finding] = findings("dispatcher")
        assert (
            finding.state == FAIL and "has done nothing for 500 s" in finding.message and "restart it" in finding.remedy
        )


@pytest.mark.posix
def test_a_real_dispatcher_is_well_and_one_that_is_held_up_is_not(home: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(settings.REPOSITORY)}
    process = subprocess.Popen([sys.executable, "-m", "cnnlab", "dispatch"], env=environment, stdout=subprocess.DEVNULL)
    try:
        give_up = time.monotonic() + 30
        while dispatcher_process.seconds_since_heartbeat() is None and time.monotonic() < give_up:
            time.sleep(0.05)
        assert [finding.state for finding in findings("dispatcher")] == [OK]
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)  # until it has stopped
        long_ago = time.time() - 100
        for path in (dispatcher_process.heartbeat_path(), dispatcher_process.lock_path()):
            os.utime(path, (long_ago, long_ago))
        assert [finding.state for finding in findings("dispatcher")] == [FAIL]
    finally:
        process.kill()
        process.wait()


def test_a_damaged_queue_is_a_failure_with_its_remedy(home: Path) -> None:
    with closing(Queue()) as queue:  # an open connection would go on reading the old file
        queue.submit(Experiment(dataset="shapes"), "ada")
    assert [finding.message for finding in findings("queue")] == ["0 running, 1 waiting"]
    (home / "jobs.sqlite-wal").unlink(missing_ok=True)
    (home / "jobs.sqlite").write_bytes(b"not a database, " * 100)
    [finding] = findings("queue")
    assert finding.state == FAIL and "move it away" in finding.message


def test_a_closed_queue_is_worth_a_note(home: Path) -> None:
    Queue().set_accepting(False)
    assert [finding.state for finding in findings("queue")] == [OK, NOTE]


def test_a_setting_that_makes_no_sense_is_named(home: Path) -> None:
    (home / "settings.json").write_text(json.dumps({"slots": -1}))
    [finding] = findings("settings")
    assert finding.state == FAIL and "slots is a whole number" in finding.message


def test_signing_in_needs_its_packages_and_a_readable_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = home / "secrets.toml"
    monkeypatch.setattr(installation, "SECRETS", secrets)
    assert findings("sign-in") == []
    secrets.write_text("[auth]\nclient_id = 'a'\n")
    monkeypatch.setattr(installation, "AUTH_PACKAGES", ("json",))
    assert [finding.state for finding in findings("sign-in")] == [OK]
    monkeypatch.setattr(installation, "AUTH_PACKAGES", ("json", "no_such_package"))
    [finding] = findings("sign-in")
    assert finding.state == FAIL and "no_such_package" in finding.message and "requirements-auth.txt" in finding.remedy
    secrets.write_text("[auth")
    [finding] = findings("sign-in")
    assert finding.state == FAIL and "cannot be read" in finding.message


def test_a_home_that_cannot_be_written_is_a_failure(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").touch()
    monkeypatch.setenv("CNNLAB_HOME", str(home / "file"))
    [finding] = findings("disk")
    assert finding.state == FAIL and "cannot be written" in finding.message


def test_too_little_free_disk_is_a_failure_with_both_numbers(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_files, "MIN_FREE_BYTES", 1e18)
    [finding] = findings("disk")
    assert finding.state == FAIL and "GB free, runs take 0.00 GB" in finding.message


def test_a_network_file_system_is_recognized_by_the_deepest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sda1 / ext4 rw 0 0\nserver:/home /home nfs4 rw 0 0\n/dev/sdb1 /home/local xfs rw 0 0\n")
    assert stored_files.network_file_system_type(Path("/home/ada/cnnlab"), mounts) == "nfs4"
    assert stored_files.network_file_system_type(Path("/home/local/cnnlab"), mounts) is None
    assert stored_files.network_file_system_type(Path("/srv/cnnlab"), mounts) is None
    assert stored_files.network_file_system_type(Path("/srv"), tmp_path / "none") is None


def test_gpus_are_listed_with_their_memory(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "list_gpus", lambda: [devices.Gpu(0, "NVIDIA L4", 23034, 3034)])
    assert [finding.message for finding in findings("device")] == ["GPU 0: NVIDIA L4, 22 GiB, 20 GiB free"]


def test_a_gpu_that_keras_does_not_see_is_a_failure(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "KERAS_PROBE", 'print(\'["tensorflow", ["cpu:0"]]\')')
    assert [finding.state for finding in installation.check_keras()] == [OK]
    monkeypatch.setattr(devices, "list_gpus", lambda: [devices.Gpu(0, "NVIDIA L4", 23034, 0)])
    assert [finding.state for finding in installation.check_keras()] == [OK, FAIL]
    monkeypatch.setattr(installation, "KERAS_PROBE", "raise ImportError")
    [finding] = installation.check_keras()
    assert finding.state == FAIL and "cannot be imported" in finding.message


def test_the_health_check_asks_nothing_slow_and_fails_where_something_fails(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(installation, "check_keras", lambda: pytest.fail("too slow for a health check"))
    assert doctor.print_report(exit_code=True) == 1
    lock = process_lock.acquire(dispatcher_process.lock_path())
    assert lock is not None
    with lock:
        dispatcher_process.heartbeat_path().touch()
        assert doctor.print_report(exit_code=True) == 0
    assert "FAIL" in capsys.readouterr().out


def test_the_command_imports_no_keras_into_its_own_process(home: Path) -> None:
    script = "import sys; from cnnlab.cli import main; code = main(['doctor', '--exit-code']); "
    script += "print('loaded', [name for name in ('keras', 'tensorflow', 'streamlit') if name in sys.modules]); "
    script += "sys.exit(code)"
    environment = os.environ | {"PYTHONPATH": str(settings.REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "loaded []" in done.stdout
    assert "FAIL  dispatcher" in done.stdout


def test_a_reader_that_leaves_early_gets_no_traceback(tmp_path: Path) -> None:
    """As in: python -m cnnlab doctor | head -1"""
    command = f"{shlex.quote(sys.executable)} -m cnnlab doctor | head -1"
    environment = settings.subprocess_environment() | {"CNNLAB_HOME": str(tmp_path)}
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1
    assert [line for line in done.stderr.splitlines() if not line.startswith("Asking Keras")] == []


def test_own_pictures_are_found_whole_or_damaged(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "home"))
    info = import_pictures(write_pictures(tmp_path / "pictures"), "leaves").info

    def own():
        return [(one.state, one.message) for one in stored_files.check_data() if one.subject == "pictures"]

    assert own() == [(OK, f"{info.name} is whole")]
    (settings.data_dir() / info.name / "x_test.npy").write_bytes(b"x")
    assert own() == [(NOTE, f"{info.name} is damaged")]
