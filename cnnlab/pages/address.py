"""What a page adds to the address beside the selection: which view is open, which scale, which order, which pixel.

A widget here shows what the address says and writes what a person chooses. Addresses are typed by anyone: a word that
is no option is the first option, and costs a sentence, unless it names a layer, which another network may have.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

import streamlit as st

from cnnlab.pages import selection

LAYER = re.compile(r"[a-z_]+[0-9]+")


def word(name: str, options: Mapping[str, str]) -> str:
    """What the address says under `name`, if it is one of the options, else the first of them."""
    said = st.query_params.get(name, "")
    return said if said in options else next(iter(options))


def check(name: str, options: Mapping[str, str]) -> None:
    """Say so where the address asks for no option, and take it out."""
    said = st.query_params.get(name, "")
    if said and said not in options:
        put(name, None)
        if not LAYER.fullmatch(said):
            asked, shown = selection.shortened(said), next(iter(options.values()))
            selection.complain([f"This address asks for {name}={asked}, which there is not here; {shown!r} is shown."])


def forget_others(known: Collection[str]) -> None:
    """Take out the words that mean nothing on this page, and say which."""
    others = [name for name in st.query_params if name not in known]
    for name in others:
        del st.query_params[name]
    if others:
        named = ", ".join(map(selection.shortened, others[:5]))
        selection.complain([f"This address holds words that mean nothing on this page: {named}."])


def put(name: str, value: str | None) -> None:
    """Write one word into the address; None takes it out."""
    if value is None:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != value:
        st.query_params[name] = value


def number(name: str, below: int) -> int | None:
    """The whole number 0..below - 1 that the address says under `name`; None where it says none."""
    said = st.query_params.get(name, "")
    return int(said) if said.isascii() and said.isdigit() and len(said) <= 4 and int(said) < below else None


def always() -> bool:
    """A widget that is always listened to."""
    return True


def choice(name: str, label: str, options: Mapping[str, str], heard: Callable[[], bool] = always, **how: Any) -> str:
    """A row of options, tied to the address; the words of the address are the keys, people read the values.

    `heard` says whether somebody can have chosen: where it does not hold, what the browser sends is old.
    """
    check(name, options)
    key = f"inside {name}"
    st.session_state[key] = word(name, options)
    st.segmented_control(
        label,
        list(options),
        format_func=lambda option: options[option],
        required=True,
        key=key,
        on_change=_chosen,
        args=(name, key, next(iter(options)), heard),
        **how,
    )
    return word(name, options)


def menu(name: str, label: str, options: Mapping[str, str], **how: Any) -> str:
    """The same as `choice`, as a menu that opens: for more than a handful of options."""
    check(name, options)
    key = f"inside {name}"
    st.session_state[key] = word(name, options)
    st.selectbox(
        label,
        list(options),
        format_func=lambda option: options[option],
        key=key,
        on_change=_chosen,
        args=(name, key, next(iter(options))),
        **how,
    )
    return word(name, options)


def _chosen(name: str, key: str, usual: str, heard: Callable[[], bool] = always) -> None:
    if heard():
        value = st.session_state[key]
        put(name, None if value == usual else value)
