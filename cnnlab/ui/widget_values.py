"""Widgets whose value the server sets, because something else on the page was clicked.

With each click a browser sends the values of all widgets. Where it has not received a value that the server has just
set, it sends the one before, which would count as a change that a person made and undo the first click.
"""

import math
import time
from typing import Any

import streamlit as st

from cnnlab.ui.state import session_key

SESSION_REPLACED = session_key("widget_values.replaced")  # by key: the value before, and when it was replaced
OUTDATED_SECONDS = 1.0  # in which a browser may not have received a value; nobody finds and changes it back so soon


def set_value(key: str, value: Any) -> None:
    """Set the value of the widget with this key, before it is drawn."""
    if key in st.session_state and st.session_state[key] != value:
        st.session_state.setdefault(SESSION_REPLACED, {})[key] = st.session_state[key], time.monotonic()
    st.session_state[key] = value


def is_outdated(key: str) -> bool:
    """Whether the browser sent the value that the server replaced a moment ago; for a widget's callback."""
    before, when = st.session_state.get(SESSION_REPLACED, {}).get(key, (None, -math.inf))
    return time.monotonic() - when < OUTDATED_SECONDS and bool(st.session_state[key] == before)
