"""Widgets bound to parameters of the URL beside the selection: view, scale, order, pixel.

A widget shows the parameter's value and writes what a person selects. URLs are typed by anyone: a value that is no
option selects the first one, and the page says so, unless it is the name of a layer, which another network may have.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

import streamlit as st

from cnnlab.formatting import quoted
from cnnlab.ui import control_locks, selection
from cnnlab.ui.page_address import write_params

WIDGET_PREFIX = "url."  # the widget bound to a parameter has the key "url.<parameter>"
SWITCH = {"no": "off", "yes": "on"}
LAYER_PATTERN = re.compile(r"[a-z_]+[0-9]+")


def read_option(name: str, options: Mapping[str, str]) -> str:
    """The value of the parameter `name` if it is one of the options, else the first option."""
    value = st.query_params.get(name, "")
    return value if value in options else next(iter(options))


def check_option(name: str, options: Mapping[str, str]) -> None:
    """Where the parameter's value is no option, remove it and say so."""
    value = st.query_params.get(name, "")
    if value and value not in options:
        set_param(name, None)
        if not LAYER_PATTERN.fullmatch(value):
            asked, shown = quoted(value), next(iter(options.values()))
            selection.show_problems(
                [f"This address asks for {name}={asked}, which this page does not have; {shown!r} is shown."]
            )


def drop_unknown_params(known: Collection[str]) -> None:
    """Remove the parameters that this page does not know, and name them."""
    unknown = [name for name in st.query_params if name not in known and name not in control_locks.PARAMS]
    if unknown:
        write_params({}, unknown)
        named = ", ".join(map(quoted, unknown[:5]))
        selection.show_problems([f"This address has parameters that this page does not know: {named}."])


def set_param(name: str, value: str | None) -> None:
    """Set one parameter; None removes it."""
    set_params({name: value})


def set_params(values: Mapping[str, str | None]) -> None:
    """Set several parameters, as one entry in the browser's history; None removes one."""
    write_params({name: value for name, value in values.items() if value is not None}, values)


def read_index(name: str, upper: int) -> int | None:
    """The parameter `name` as a whole number 0..upper - 1; None where it is none."""
    value = st.query_params.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 4 and int(value) < upper else None


def always_active() -> bool:
    """True: the widget's changes always count."""
    return True


def segmented_param(
    name: str, label: str, options: Mapping[str, str], is_active: Callable[[], bool] = always_active, **how: Any
) -> str:
    """A row of options, bound to the URL parameter `name`; returns the selected one.

    options: the label of each value of the parameter. is_active: whether a change that the browser sends counts.
    """
    return _bound_widget(st.segmented_control, name, label, options, is_active, required=True, **how)


def select_param(name: str, label: str, options: Mapping[str, str], **how: Any) -> str:
    """A menu of options, bound to the URL parameter `name`; for more than a handful of options."""
    return _bound_widget(st.selectbox, name, label, options, always_active, **how)


def number_param(name: str, label: str, low: int, high: int, default: int, **how: Any) -> int:
    """A field for a whole number from `low` to `high`, bound to the URL parameter `name`; returns the number."""
    return _bound_number(st.number_input, name, label, (low, high, default), **how)


def slider_param(name: str, label: str, low: int, high: int, default: int, **how: Any) -> int:
    """A slider for a whole number from `low` to `high`, bound to the URL parameter `name`; returns the number."""
    return _bound_number(st.slider, name, label, (low, high, default), **how)


def page_param(name: str, pages: int) -> int:
    """The buttons of the pages, bound to the URL parameter `name`, none for one page; returns the page, from 1 on."""
    page = _checked_number(name, (1, pages, 1))
    key = f"{WIDGET_PREFIX}{name}"
    if pages > 1 and not control_locks.is_hidden(name):
        st.session_state[key] = page
        locked, args = control_locks.is_locked(name), (name, key, 1, always_active)
        st.pagination(pages, key=key, disabled=locked, on_change=_write_selected, args=args)
    return page


def toggle_param(name: str, label: str, **how: Any) -> bool:
    """A switch that is on where the URL has `name=yes`."""
    check_option(name, SWITCH)
    is_on, key = read_option(name, SWITCH) == "yes", f"{WIDGET_PREFIX}{name}"
    if not control_locks.is_hidden(name):
        st.session_state[key] = is_on
        locked = control_locks.is_locked(name)
        st.toggle(label, key=key, on_change=_write_switch, args=(name, key), disabled=locked, **how)
    return is_on


def _bound_number(
    widget: Callable[..., Any], name: str, label: str, limits: tuple[int, int, int],
    is_active: Callable[[], bool] = always_active, **how: Any,
) -> int:  # fmt: skip
    low, high, default = limits
    number, key = _checked_number(name, limits), f"{WIDGET_PREFIX}{name}"
    if not control_locks.is_hidden(name):
        st.session_state[key] = number
        locked, args = control_locks.is_locked(name), (name, key, default, is_active)
        widget(label, low, high, key=key, disabled=locked, on_change=_write_selected, args=args, **how)
    return number


def _checked_number(name: str, limits: tuple[int, int, int]) -> int:
    """The parameter as a number from low to high, else the default; a sentence where it is something else."""
    low, high, default = limits
    word = st.query_params.get(name, "")
    if not word:
        return default
    if re.fullmatch(r"-?[0-9]{1,4}", word) and low <= int(word) <= high:
        return int(word)
    set_param(name, None)
    asked = quoted(word)
    selection.show_problems(
        [f"This address asks for {name}={asked}. This page has {name} from {low} to {high}; {default} is shown."]
    )
    return default


def _bound_widget(
    widget: Callable[..., Any],
    name: str,
    label: str,
    options: Mapping[str, str],
    is_active: Callable[[], bool],
    **how: Any,
) -> str:
    check_option(name, options)
    key = f"{WIDGET_PREFIX}{name}"
    if not control_locks.is_hidden(name):
        st.session_state[key] = read_option(name, options)
        change = {"on_change": _write_selected, "args": (name, key, next(iter(options)), is_active)}
        change["disabled"] = control_locks.is_locked(name)
        widget(label, list(options), format_func=options.__getitem__, key=key, **change, **how)
    return read_option(name, options)


def _write_selected(name: str, key: str, default: str | int, is_active: Callable[[], bool]) -> None:
    if is_active():
        value = st.session_state[key]
        set_param(name, None if value in (None, default) else str(value))


def _write_switch(name: str, key: str) -> None:
    set_param(name, "yes" if st.session_state[key] else None)
