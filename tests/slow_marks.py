"""Which tests count as slow without a mark of their own: those that draw a page or start a process.

A test counts if its function, one of its fixtures, or a function of the tests that these call names `AppTest`, the
module `subprocess` or one of the other names in SLOW_NAMES. Names are read from the compiled functions; nothing runs.
"""

from collections.abc import Iterable
from types import CodeType, FunctionType
from typing import Any

import pytest

SLOW_NAMES = {"AppTest", "subprocess", "start_detached"}


def is_slow(item: pytest.Function) -> bool:
    """Whether the test, or a fixture that it uses, reaches one of SLOW_NAMES."""
    fixtures = [definitions[-1].func for definitions in item._fixtureinfo.name2fixturedefs.values()]
    seen: set[FunctionType] = set()
    return any(reaches(function, seen) for function in _functions([item.function, *fixtures]))


def reaches(function: FunctionType, seen: set[FunctionType]) -> bool:
    """Whether the function, or a function of the tests that it calls, names one of SLOW_NAMES; `seen` are done."""
    if function in seen:
        return False
    seen.add(function)
    used = {name: function.__globals__.get(name) for name in _names(function.__code__)}
    if any(name in SLOW_NAMES and value is not None for name, value in used.items()):
        return True
    return any(reaches(called, seen) for called in _functions(used.values()))


def _functions(values: Iterable[Any]) -> list[FunctionType]:
    """The functions of the tests among these values, without their decorators."""
    bare = [getattr(getattr(value, "__func__", value), "__wrapped__", value) for value in values]
    return [value for value in bare if isinstance(value, FunctionType) and not value.__module__.startswith("cnnlab")]


def _names(code: CodeType) -> set[str]:
    """The global names that a function and the functions inside it use."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*(_names(one) for one in inner))
