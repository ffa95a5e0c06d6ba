"""The rule that marks tests slow: what draws a page or starts a process, also through a fixture or a helper."""

import subprocess

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
