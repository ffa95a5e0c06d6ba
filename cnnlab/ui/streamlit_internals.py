"""Checks that Streamlit's internals are those that a patch was written for."""

import inspect
from typing import Any

import streamlit as st

TESTED_VERSION = (1, 67)  # of Streamlit, for the patches


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
