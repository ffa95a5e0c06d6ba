"""A fragment's containers are copied once each, write to the same place, and do not move the ones they come from."""

from contextlib import ExitStack
from copy import deepcopy

import pytest
import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.delta_generator_singletons import context_dg_stack

from cnnlab.ui import streamlit_containers
from cnnlab.ui.streamlit_internals import UnknownStreamlit
from cnnlab.ui.streamlit_script_context import run_without_browser

DEPTH = 4  # containers in each other, the page's own among them


@pytest.fixture(autouse=True)
def as_it_came(monkeypatch):
    """Streamlit without the patch."""
    method = DeltaGenerator.__deepcopy__
    monkeypatch.setattr(DeltaGenerator, "__deepcopy__", getattr(method, "__wrapped__", method))


@pytest.fixture
def made(monkeypatch) -> list[DeltaGenerator]:
    """The containers that are made from now on."""
    seen: list[DeltaGenerator] = []
    make = DeltaGenerator.__init__

    def count(container, *args, **how):
        seen.append(container)
        make(container, *args, **how)

    monkeypatch.setattr(DeltaGenerator, "__init__", count)
    return seen


def inside_containers(check):
    """Call `check` with the stack of containers around it, in a script."""

    def page():
        with ExitStack() as stack:
            for _ in range(DEPTH - 1):
                stack.enter_context(st.container())
                st.text("above")
            check(context_dg_stack.get())
        ran.append(True)

    ran = []
    run_without_browser(page)
    assert ran


def where(container):
    """Everything of a container that says where the next element is drawn."""
    return container._root_container, list(container._cursor.delta_path), list(container._ancestor_block_types)


def test_streamlit_alone_copies_a_container_once_more_for_each_in_it(made):
    """Where this fails, Streamlit has mended it: remove the patch."""

    def check(stack):
        made.clear()
        deepcopy(stack)
        assert len(made) == DEPTH * (DEPTH + 1) / 2

    inside_containers(check)


def test_with_the_patch_each_container_is_copied_once(made):
    streamlit_containers.patch_copies()
    streamlit_containers.patch_copies()  # a second time changes nothing

    def check(stack):
        made.clear()
        copied = deepcopy(stack)
        assert len(copied) == len(made) == DEPTH
        assert [one._parent for one in copied[1:]] == list(copied[:-1])

    inside_containers(check)


def test_with_the_patch_a_copy_writes_where_the_container_would_have():
    before, after = [], []

    def draw(place):
        def check(stack):
            copied = deepcopy(stack)
            place.append([where(one) for one in copied])
            copied[-1].text("in the copy")
            assert list(copied[-1]._cursor.delta_path) != list(stack[-1]._cursor.delta_path)
            assert where(stack[-1]) == place[-1][-1], "the container is where it was"

        return check

    inside_containers(draw(before))
    streamlit_containers.patch_copies()
    inside_containers(draw(after))
    assert before == after


def test_another_copy_of_streamlit_is_left_as_it_is(monkeypatch):
    def copied(self, _memo):
        return self

    monkeypatch.setattr(DeltaGenerator, "__deepcopy__", copied)
    with pytest.raises(UnknownStreamlit, match="in another way"):
        streamlit_containers.patch_copies()
    assert DeltaGenerator.__deepcopy__ is copied
