"""A patch of how Streamlit's widgets look at the session state; `streamlit_patches` installs it.

Each menu, radio, number and text field asks whether the session holds None under its own key. Streamlit answers with a
dictionary of everything that the session holds, made anew for each of them. With the patch they get a view, which looks
up the one key; the dictionary is made only for who goes through all of it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cnnlab.ui.streamlit_internals import UnknownStreamlit, check_version


class SessionView(Mapping[str, Any]):
    """The entries of a session without those of Streamlit itself, as `SafeSessionState.filtered_state` has them."""

    def __init__(self, state: Any, all_entries: Callable[[Any], dict[str, Any]]) -> None:
        self._state, self._all_entries = state, all_entries

    def __getitem__(self, key: str) -> Any:
        from streamlit.runtime.state.common import is_element_id
        from streamlit.runtime.state.session_state import _is_internal_key

        if not isinstance(key, str) or is_element_id(key) or _is_internal_key(key):
            raise KeyError(key)
        with self._state._lock:
            return self._state._state[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all_entries(self._state))

    def __len__(self) -> int:
        return len(self._all_entries(self._state))

    def __repr__(self) -> str:
        return repr(self._all_entries(self._state))


def patch_filtered_state() -> None:
    """Let SafeSessionState.filtered_state be a SessionView."""
    check_version()
    from streamlit.runtime.state.safe_session_state import SafeSessionState

    State: Any = SafeSessionState  # noqa: N806
    current = State.__dict__.get("filtered_state")
    if not isinstance(current, property) or current.fget is None:
        raise UnknownStreamlit("the session state has no property filtered_state")
    if missing := {"_state", "_lock"} - set(State.__annotations__):
        raise UnknownStreamlit(f"the session state has no {' and no '.join(sorted(missing))}")
    all_entries = getattr(current.fget, "__wrapped__", current.fget)

    def filtered_state(state: Any) -> SessionView:
        return SessionView(state, all_entries)

    filtered_state.__wrapped__ = all_entries  # type: ignore[attr-defined]
    State.filtered_state = property(filtered_state)
