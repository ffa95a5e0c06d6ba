"""The registry of session keys and URL parameters: each has one owner, and a second one is refused at import."""

from collections.abc import Callable
from types import ModuleType

import pytest

from cnnlab.ui import state

DECLARE = {"session key": "session_key", "URL parameter": "url_param"}


@pytest.fixture(autouse=True)
def empty_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "_session_keys", {})
    monkeypatch.setattr(state, "_url_params", {})
    monkeypatch.setattr(state, "_network_params", set())


def module(name: str, function: str) -> Callable[[str], str]:
    """What a module of this name does at its import: it declares a name."""
    made = ModuleType(name)
    exec(f"from cnnlab.ui.state import {function}\ndef declare(name): return {function}(name)", made.__dict__)
    return made.declare  # type: ignore[no-any-return]


@pytest.mark.parametrize("function", DECLARE.values(), ids=DECLARE)
def test_a_second_owner_of_a_name_is_refused_and_the_first_is_named(function: str) -> None:
    assert module("cnnlab.inspect.kernels", function)("scale") == "scale"
    with pytest.raises(ValueError, match=r"cnnlab\.inspect\.kernels declared it\. Received: 'scale'"):
        module("cnnlab.inspect.blocks", function)("scale")


@pytest.mark.parametrize("function", DECLARE.values(), ids=DECLARE)
def test_a_module_that_is_imported_again_keeps_its_names(function: str) -> None:
    module("cnnlab.inspect.kernels", function)("scale")
    assert module("cnnlab.inspect.kernels", function)("scale") == "scale"


def test_a_session_key_and_a_url_parameter_may_have_one_name() -> None:
    module("cnnlab.inspect.kernels", "session_key")("scale")
    assert module("cnnlab.inspect.blocks", "url_param")("scale") == "scale"


def test_the_parameters_of_a_package_are_those_of_its_modules() -> None:
    for owner, name in (("cnnlab.inspect.kernels", "scale"), ("cnnlab.inspect", "view"), ("cnnlab.inspector", "no")):
        module(owner, "url_param")(name)
    assert state.url_params_of("cnnlab.inspect") == {"scale", "view"}
    assert state.url_params_of("cnnlab.inspect.kernels", "cnnlab.inspector") == {"scale", "no"}
