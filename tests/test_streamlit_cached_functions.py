"""Streamlit's caches ask for the parameters of a function once, and leave those with an underscore out of the key."""

import inspect

import pytest
import streamlit as st
from streamlit import type_util

from cnnlab.ui import streamlit_cached_functions
from cnnlab.ui.streamlit_internals import UnknownStreamlit


@pytest.fixture(autouse=True)
def as_it_came(monkeypatch):
    """Streamlit without the patch."""
    find = type_util.get_func_parameters
    monkeypatch.setattr(type_util, "get_func_parameters", getattr(find, "__wrapped__", find))


@pytest.fixture
def inspected(monkeypatch) -> list[str]:
    """The names of the functions that are inspected from now on."""
    seen: list[str] = []
    signature = inspect.signature
    monkeypatch.setattr(inspect, "signature", lambda function: (seen.append(function.__name__), signature(function))[1])
    return seen


def cached_sum():
    """A function of two arguments, the second of which is not part of the key."""

    @st.cache_resource(show_spinner=False)
    def total(first, _second):
        return first + _second

    return total


def test_streamlit_alone_inspects_a_cached_function_with_each_call(inspected):
    """Where this fails, Streamlit has mended it: remove the patch."""
    total = cached_sum()
    total(1, 2), total(1, 2)
    assert inspected.count("total") == 2 * 2, "once for each argument"


def test_with_the_patch_a_cached_function_is_inspected_once(inspected):
    streamlit_cached_functions.patch_parameters()
    streamlit_cached_functions.patch_parameters()  # a second time changes nothing
    total, other = cached_sum(), cached_sum()
    assert [total(1, 2), total(1, 5), total(2, 5), other(1, 7)] == [3, 3, 7, 3]
    assert inspected.count("total") == 2, "once for each function"


def test_another_function_of_streamlit_is_left_as_it_is(monkeypatch):
    def find(func, form):
        pass

    monkeypatch.setattr(type_util, "get_func_parameters", find)
    with pytest.raises(UnknownStreamlit, match="other arguments"):
        streamlit_cached_functions.patch_parameters()
    assert type_util.get_func_parameters is find
