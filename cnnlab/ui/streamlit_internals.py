"""Checks that Streamlit's internals are those that a patch was written for, and reads the little that it hides."""

import inspect
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

TESTED_VERSION = (1, 67)  # of Streamlit, for the patches
Result = TypeVar("Result")


class UnknownStreamlit(Exception):
    """Streamlit's internals differ from those that a patch was written for."""


def check_version() -> None:
    """Raise UnknownStreamlit for another version than the one the patches were tested with."""
    if tuple(map(int, st.__version__.split(".")[:2])) != TESTED_VERSION:
        raise UnknownStreamlit("another version than {}.{}".format(*TESTED_VERSION))


def unwrapped(method: Any, *parameters: str) -> Any:
    """Streamlit's own method behind a patched one. Raises UnknownStreamlit where it takes other parameters."""
    check_version()
    method = getattr(method, "__wrapped__", method)
    if list(inspect.signature(method).parameters) != ["self", *parameters]:
        raise UnknownStreamlit(f"{method.__qualname__} takes other arguments")
    return method


def once_in_a_run(function: Callable[[], Result]) -> Callable[[], Result]:
    """The function, called once in a run of a script and in the runs that follow it in its thread.

    For what belongs to the session and its connection, as who is looking. Without a script it is called each time.
    """
    kept = threading.local()

    @wraps(function)
    def call() -> Result:
        context = get_script_run_ctx(suppress_warning=True)
        if context is None or getattr(kept, "context", None) is not context:
            kept.result, kept.context = function(), context
        result: Result = kept.result
        return result

    return call


def rerun_fragment() -> NoReturn:
    """Run the fragment that calls this again; the whole page where the whole page is being run.

    Streamlit joins a click in a fragment with a run of the whole page that somebody asked for just before, and
    `st.rerun(scope="fragment")` raises in such a run.
    """
    context = get_script_run_ctx()
    st.rerun(scope="fragment" if context and context.fragment_ids_this_run else "app")
