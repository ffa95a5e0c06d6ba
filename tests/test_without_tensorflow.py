"""Without TensorFlow every button and command that trains says how to get it, and starts nothing."""

import pytest
from streamlit.testing.v1 import AppTest

from cnnlab import training_packages
from cnnlab.cli import main
from cnnlab.jobs.local_runner import LocalRunner
from cnnlab.operating_system import machine

BUTTONS = {
    "another seed": """
from cnnlab.experiment import Experiment
from cnnlab.pages.train.seeds import seeds_panel
seeds_panel(Experiment(dataset="shapes"))
""",
    "continue": """
from cnnlab.experiment import Experiment
from cnnlab.pages.train.start import interrupted_panel
from cnnlab.ui.training_status import TrainingStatus
interrupted_panel(Experiment(dataset="shapes"), TrainingStatus("broken", None, None))
""",
    "again": """
from types import SimpleNamespace
from cnnlab.experiment import Experiment
from cnnlab.pages.train.start import train_again_button
train_again_button(SimpleNamespace(experiment=Experiment(dataset="shapes"), dataset_info=None))
""",
    "sweep": """
from cnnlab.jobs.sweep_jobs import sweep_status
from cnnlab.pages.sweeps.progress import start_panel
from cnnlab.sweeps import SHIPPED_SWEEPS
from cnnlab.ui import cache
sweep = next(one for one in SHIPPED_SWEEPS.values() if one.base.dataset == "shapes")
start_panel(sweep, sweep_status(sweep, cache.open_queue()))
""",
    "class": """
from cnnlab.pages.lesson_board.preparation import preparation
from cnnlab.ui import lesson_store
sheets = {found.name: found.sheet for found in lesson_store.list_sheets()}
preparation(sheets["seven-questions"])
""",
    "small network": """
from cnnlab.pages.train.welcome import quick_training_button
quick_training_button()
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(BUTTONS))
def test_a_button_that_starts_a_training_needs_tensorflow_and_says_so(name, tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    page = AppTest.from_string(BUTTONS[name], default_timeout=60).run()
    assert not page.exception and [one.disabled for one in page.button] == [False]
    monkeypatch.setattr(training_packages, "TRAINING_PACKAGES", ("no_such_package",))
    page.run()
    assert [one.disabled for one in page.button] == [True]
    assert [one for one in page.caption if "cnnlab[train]" in one.value.replace("\\", "")]


@pytest.mark.parametrize(
    ("python", "intel_mac", "expected"),
    [
        ((3, 13), False, "pip install 'cnnlab[train]'"),
        ((3, 14), False, "use Python 3.13"),
        ((3, 12), True, "another machine"),
    ],
)
def test_the_hint_names_what_this_machine_can_do(python, intel_mac, expected, monkeypatch):
    monkeypatch.setattr(training_packages, "TRAINING_PACKAGES", ("no_such_package",))
    monkeypatch.setattr(machine.platform, "system", lambda: "Darwin" if intel_mac else "Linux")
    monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
    assert expected in training_packages.install_hint(python)
    monkeypatch.setattr(training_packages, "TRAINING_PACKAGES", ("json",))
    assert training_packages.install_hint(python) == ""


@pytest.mark.parametrize(
    "command",
    [
        "train --dataset shapes",
        "reproduce --dataset shapes --seeds 20",
        "layer-order",
        "bench training",
        "bench start",
    ],
)
def test_a_command_that_trains_is_refused_in_one_sentence_and_starts_nothing(command, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setattr(training_packages, "TRAINING_PACKAGES", ("no_such_package",))
    monkeypatch.setattr(LocalRunner, "start", lambda *_: pytest.fail("a worker was started"))
    assert main(command.split()) == 2
    assert "cnnlab[train]" in capsys.readouterr().err
