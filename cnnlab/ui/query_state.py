"""What a page adds to the address beside the selection: which view is open, which scale, which order, which pixel.

A widget here shows what the address says and writes what a person chooses. Addresses are typed by anyone: a word that
is no option is the first option, and costs a sentence, unless it names a layer, which another network may have.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

import streamlit as st

from cnnlab.ui import selection

WIDGET_PREFIX = "url."  # and the parameter: the key of the widget that is tied to it
LAYER_PATTERN = re.compile(r"[a-z_]+[0-9]+")


def read_option(name: str, options: Mapping[str, str]) -> str:
    """What the address says under `name`, if it is one of the options, else the first of them."""
    said = st.query_params.get(name, "")
    return said if said in options else next(iter(options))


def check_option(name: str, options: Mapping[str, str]) -> None:
    """Say so where the address asks for no option, and take it out."""
    said = st.query_params.get(name, "")
    if said and said not in options:
        set_param(name, None)
        if not LAYER_PATTERN.fullmatch(said):
            asked, shown = selection.quoted(said), next(iter(options.values()))
            selection.show_problems(
                [f"This address asks for {name}={asked}, which there is not here; {shown!r} is shown."]
            )


def drop_unknown_params(known: Collection[str]) -> None:
    """Take out the words that mean nothing on this page, and say which."""
    others = [name for name in st.query_params if name not in known]
    if others:
        selection.write_params({}, others)
        named = ", ".join(map(selection.quoted, others[:5]))
        selection.show_problems([f"This address holds words that mean nothing on this page: {named}."])


def set_param(name: str, value: str | None) -> None:
    """Write one word into the address; None takes it out."""
    set_params({name: value})


def set_params(values: Mapping[str, str | None]) -> None:
    """Write several words into the address, as one entry in the browser's history; None takes a word out."""
    selection.write_params({name: value for name, value in values.items() if value is not None}, values)


def read_index(name: str, upper: int) -> int | None:
    """The whole number 0..below - 1 that the address says under `name`; None where it says none."""
    said = st.query_params.get(name, "")
    return int(said) if said.isascii() and said.isdigit() and len(said) <= 4 and int(said) < upper else None


def always_active() -> bool:
    """A widget that is always listened to."""
    return True


def segmented_param(
    name: str, label: str, options: Mapping[str, str], is_active: Callable[[], bool] = always_active, **how: Any
) -> str:
    """A row of options, tied to the address; the words of the address are the keys, people read the values.

    `is_active` says whether somebody can have chosen: where it is false, what the browser sends is old.
    """
    check_option(name, options)
    key = f"{WIDGET_PREFIX}{name}"
    st.session_state[key] = read_option(name, options)
    st.segmented_control(
        label,
        list(options),
        format_func=lambda option: options[option],
        required=True,
        key=key,
        on_change=_write_selected,
        args=(name, key, next(iter(options)), is_active),
        **how,
    )
    return read_option(name, options)


def select_param(name: str, label: str, options: Mapping[str, str], **how: Any) -> str:
    """The same as `segmented_param`, as a menu that opens: for more than a handful of options."""
    check_option(name, options)
    key = f"{WIDGET_PREFIX}{name}"
    st.session_state[key] = read_option(name, options)
    st.selectbox(
        label,
        list(options),
        format_func=lambda option: options[option],
        key=key,
        on_change=_write_selected,
        args=(name, key, next(iter(options))),
        **how,
    )
    return read_option(name, options)


def _write_selected(name: str, key: str, default: str, is_active: Callable[[], bool] = always_active) -> None:
    if is_active():
        value = st.session_state[key]
        set_param(name, None if value == default else value)
