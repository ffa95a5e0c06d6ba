"""A patch of how Streamlit reads the values that a browser sends; `streamlit_patches` installs it.

Whoever changes the page in their browser may send a widget infinity, a value of another kind or text that is no JSON.
Streamlit then fails in the script, with a traceback in the log for each message. With the patch such a value is not
there: the widget keeps the one before. The page says so, and the log once in LOG_SECONDS.

An option that does not exist is not there either, which is not told: a browser that has not yet received a page sends
the options of the page before.
"""

import logging
import math
import time
from functools import wraps
from typing import Any

from streamlit.runtime.scriptrunner import get_script_run_ctx

from cnnlab.ui.streamlit_internals import UnknownStreamlit, unwrapped

LOG_SECONDS = 600.0  # for which one line in the log is enough
MAX_SESSIONS = 1_000  # that have not been told yet
REFUSED = "Your browser sent a value that its field cannot have, so the field keeps the value before: reload the page."

logger = logging.getLogger("cnnlab.streamlit")


class UnknownOption(Exception):
    """A browser sent words that are no option of the menu."""


class RefusedValues:
    """The sessions whose browser sent a value that was refused, until they are told, and the counts for the log."""

    def __init__(self) -> None:
        self.sessions: set[str] = set()
        self.count, self.logged = 0, -math.inf

    def add(self, widget: str, error: Exception) -> None:
        """Count a value of this widget that was refused for this reason."""
        if (context := get_script_run_ctx(suppress_warning=True)) and len(self.sessions) < MAX_SESSIONS:
            self.sessions.add(context.session_id)
        self.count += 1
        if time.monotonic() > self.logged + LOG_SECONDS:
            what = f"{widget[-60:]!r}: {str(error)[:100]!r}"
            logger.warning("A browser sent a value that its field cannot have: %s (%d so far)", what, self.count)
            self.logged = time.monotonic()

    def take(self) -> bool:
        """Whether this session is to be told; it counts as told then."""
        context = get_script_run_ctx(suppress_warning=True)
        found = context is not None and context.session_id in self.sessions
        if context and found:
            self.sessions.discard(context.session_id)
        return found


refused_values = RefusedValues()


def patch_widget_values() -> None:
    """Let WStates.__getitem__ have no value where the browser sent one that its widget cannot have."""
    from streamlit.runtime.state.common import WidgetMetadata
    from streamlit.runtime.state.session_state import Serialized, WStates

    States: Any = WStates  # noqa: N806
    read_value = unwrapped(States.__getitem__, "k")
    if missing := {"deserializer", "value_type"} - set(WidgetMetadata.__annotations__):
        raise UnknownStreamlit(f"a widget has no {' and no '.join(sorted(missing))}")

    @wraps(read_value)
    def read(states: Any, k: str) -> Any:
        sent, metadata = states.states.get(k), states.widget_metadata.get(k)
        if metadata is None or not isinstance(sent, Serialized):
            return read_value(states, k)
        try:
            kind = check_kind(sent.value, metadata.value_type)
            check_options(sent.value, metadata.deserializer)
            value = read_value(states, k)
        except UnknownOption as error:
            raise KeyError(k) from error
        except Exception as error:  # whatever Streamlit's readers raise
            refused_values.add(k, error)
            if metadata.value_type.endswith("trigger_value"):
                return metadata.deserializer(None)  # a button that is not pressed
            raise KeyError(k) from None  # as for a value of a widget that the page does not have
        if kind is None:
            states.set_widget_metadata(metadata)  # Streamlit forgets the kind of a widget that is empty
        return value

    States.__getitem__ = read


def check_options(sent: Any, deserializer: Any) -> None:
    """Raises UnknownOption where a menu, a row of options or a radio was sent words that are none of its options."""
    known = getattr(getattr(deserializer, "__self__", None), "formatted_option_to_option_index", None)
    words = [sent.string_value] if sent.WhichOneof("value") == "string_value" else sent.string_array_value.data
    if isinstance(known, dict) and not known.keys() >= set(words):
        raise UnknownOption


def check_kind(sent: Any, expected: str | None) -> str | None:
    """The kind of value that was sent; None for an empty widget.

    Raises ValueError where it is not the expected one, or no finite number.
    """
    kind: str | None = sent.WhichOneof("value")
    is_whole = kind == "int_value" and expected == "double_value"  # so a browser sends a number without decimals
    if kind is not None and expected is not None and kind != expected and not is_whole:
        raise ValueError(f"{kind} where {expected} was expected")
    if not all(map(math.isfinite, [sent.double_value, *sent.double_array_value.data])):
        raise ValueError("a number that is not finite")
    return kind
