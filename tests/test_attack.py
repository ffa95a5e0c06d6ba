"""The command that runs the tables of attacks: its options, its counts, and one short table for real."""

import subprocess
import sys
from pathlib import Path

import pytest

from cnnlab import settings

sys.path.insert(0, str(Path(__file__).parent / "load"))

import attack
from step_meter import StepMeter
from tally import CRASH, HEADINGS, OK, SENTENCE, Tally, print_tallies


def test_a_tally_counts_outcomes_and_what_took_too_much(capsys):
    tally = Tally("pictures")
    tally.add(OK, 0.1, 20.0, "small")
    tally.add(OK, 2.1, 20.0, "slow")
    tally.add(SENTENCE, 0.1, 301.0, "large")
    tally.add(CRASH, 0.1, 20.0, "broken")
    assert tally.cells() == ("pictures", "4", "2", "1", "1", "1", "1")
    assert print_tallies([tally]) == 1
    shown = capsys.readouterr().out
    assert "| pictures | 4 | 2 | 1 | 1 | 1 | 1 |" in shown and "crash: broken" in shown
    assert "2.1 s, 20 MB: slow" in shown


def test_tables_without_a_crash_end_with_zero():
    tally = Tally("pictures")
    tally.add(SENTENCE, 9.0)
    assert print_tallies([tally]) == 0


def test_the_headings_are_those_of_the_issue():
    assert HEADINGS[1:] == ("tried", "ok", "one sentence", "crash", "over 2 s", "over 300 MB")


@pytest.mark.parametrize("arguments", [["windows"], ["uploads", "--steps", "0"]])
def test_an_unknown_table_and_no_steps_are_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        attack.parsed(arguments)
    assert "Received" in capsys.readouterr().err


def test_without_a_table_all_seven_are_run(monkeypatch, capsys):
    asked = []

    def table(name):
        return lambda options: asked.append((name, options.steps)) or [Tally(name)]

    names = list(attack.TABLES)
    monkeypatch.setattr(attack, "TABLES", {name: table(name) for name in names})
    assert attack.main(["--steps", "7"]) == 0
    assert asked == [(name, 7) for name in ("uploads", "damage", "addresses", "values", "sweep", "kills", "sessions")]


@pytest.mark.linux
def test_the_meter_sees_the_memory_and_the_time_of_its_block_only():
    kept = bytearray(b"x") * 60_000_000
    with StepMeter() as nothing:
        pass
    with StepMeter() as large:
        sum(bytearray(b"x") * 80_000_000)
    assert len(kept) and nothing.megabytes < 20 < large.megabytes
    assert nothing.cpu_seconds < 0.05 < large.cpu_seconds


@pytest.mark.posix
@pytest.mark.slow
def test_the_command_prints_its_table_and_its_progress():
    command = [sys.executable, "-m", "tests.load.attack", "uploads", "--steps", "2", "--quick"]
    done = subprocess.run(command, cwd=settings.REPOSITORY, capture_output=True, text=True, check=True)
    assert "| uploads | 2 |" in done.stdout and "table 1 of 1: uploads" in done.stderr


@pytest.mark.nightly
@pytest.mark.slow
def test_an_address_of_a_page_is_tried():
    command = [sys.executable, "-m", "tests.load.attack", "addresses", "--steps", "2"]
    done = subprocess.run(command, cwd=settings.REPOSITORY, capture_output=True, text=True, check=True)
    assert "| addresses | 2 |" in done.stdout
