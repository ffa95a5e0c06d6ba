"""Which tests are run when: what draws a page or starts a process is slow, some are left for the night."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from slow_marks import reaches
from streamlit.testing.v1 import AppTest


def _draw() -> AppTest:
    return AppTest.from_string("")


def _twice(number: int) -> int:
    return 2 * number


def _page_in_a_helper() -> None:
    assert [_draw() for _ in range(2)]


def _process() -> None:
    subprocess.run(["true"], check=True)


def _arithmetic() -> None:
    assert _twice(2) == 4


@pytest.mark.parametrize("function", [_draw, _page_in_a_helper, _process])
def test_what_draws_a_page_or_starts_a_process_is_slow(function) -> None:
    assert reaches(function, set())


def test_arithmetic_is_not_slow() -> None:
    assert not reaches(_arithmetic, set())


@pytest.mark.nightly
def test_each_parameter_that_is_excepted_from_the_night_is_one_of_the_tests():
    folder = Path(__file__).parent
    files = [path for path in folder.rglob("test_*.py") if "nightly(but=" in path.read_text()]
    assert len(files) > 10
    ask = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *map(str, files)]
    listed = subprocess.run(ask, capture_output=True, text=True, check=True, cwd=folder.parent).stdout
    excepted = [
        f"{name}[{parameters}]"
        for path in files
        for words, name in re.findall(r"nightly\(but=\[(.*?)\]\)\n(?:[@ )\]].*\n)*def (\w+)", path.read_text())
        for parameters in re.findall(r'"(.*?)"', words)
    ]
    assert len(excepted) > 30
    assert [one for one in excepted if f"::{one}" not in listed] == []
