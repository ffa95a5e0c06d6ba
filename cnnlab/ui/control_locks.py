"""Controls that a teacher has locked or hidden: by the step of a lab sheet, or by a URL.

    /?dataset=shapes&depth=3&lock=depth,regularizer&hide=more

The URL's names hold for the session, on every page, until it opens a URL with other ones; `lock=none` ends them. They
keep a class at one question. They are no protection: a student can open another URL.
"""

from collections.abc import Collection

import streamlit as st

from cnnlab.formatting import quoted
from cnnlab.lessons.controls import CONTROLS, split_names
from cnnlab.lessons.sheet import TEST_RESULTS
from cnnlab.ui.selection import show_problems
from cnnlab.ui.state import session_key, url_param

LOCK_PARAM, HIDE_PARAM = url_param("lock"), url_param("hide")
PARAMS = (LOCK_PARAM, HIDE_PARAM)
NONE = "none"
SESSION_ADDRESS = session_key("control_locks.address")  # names by parameter, of the URL that was opened last
SESSION_SHEET = session_key("control_locks.sheet")  # the same, of the step of the sheet
SESSION_NAMES = session_key("control_locks.names")  # both together: a page asks for each of its controls
MAX_NAMES = 40


def read_address() -> None:
    """Take over what the URL locks and hides; where it names no such control, a sentence says so."""
    if not any(name in st.query_params for name in PARAMS):
        return
    found: dict[str, frozenset[str]] = {}
    unknown: list[str] = []
    for param in PARAMS:
        names = [name for name in st.query_params.get(param, "").split(",")[:MAX_NAMES] if name and name != NONE]
        found[param], others = split_names(names)
        unknown += others
    st.session_state[SESSION_ADDRESS] = found
    _unite()
    if unknown:
        shown = ", ".join(map(quoted, unknown[:5]))
        show_problems([f"This address locks or hides controls that do not exist: {shown}."])


def set_sheet_locks(locked: Collection[str], hidden: Collection[str]) -> None:
    """Lock and hide these controls and parts, and no others, for the step of the sheet that is open."""
    st.session_state[SESSION_SHEET] = {LOCK_PARAM: split_names(locked)[0], HIDE_PARAM: frozenset(hidden)}
    _unite()


def is_locked(name: str) -> bool:
    """Whether the control can be seen and not changed."""
    return name in _names(LOCK_PARAM)


def is_hidden(name: str) -> bool:
    """Whether the control, or the part of a page that a sheet covers, is not drawn."""
    return name in _names(HIDE_PARAM)


def covers_test_results() -> bool:
    """Whether the sheet that is open covers the results on the test images; see TEST_RESULTS."""
    return is_hidden(TEST_RESULTS)


def test_results_notice() -> None:
    """What stands where results on the test images are covered."""
    st.info(
        "Results on the test images are covered by your lesson: a later step uncovers them.", icon=":material/lock:"
    )


def lock_notice(url_path: str) -> None:
    """A sentence that names the locked controls of this page, and says that others are hidden."""
    here, all_locked, all_hidden = CONTROLS.get(url_path, ()), _names(LOCK_PARAM), _names(HIDE_PARAM)
    locked = [name for name in here if name in all_locked]
    hidden = [name for name in here if name in all_hidden and name not in locked]
    parts = [f"Locked by your teacher: {', '.join(locked)}."] if locked else []
    parts += [f"Hidden by your teacher: {', '.join(hidden)}."] if hidden else []
    if parts:
        st.caption(f":material/lock: {' '.join(parts).replace('_', ' ')}")


def _names(param: str) -> frozenset[str]:
    names: frozenset[str] = (st.session_state.get(SESSION_NAMES) or {}).get(param, frozenset())
    return names


def _unite() -> None:
    sources = [st.session_state.get(name) or {} for name in (SESSION_ADDRESS, SESSION_SHEET)]
    st.session_state[SESSION_NAMES] = {
        param: frozenset().union(*(source.get(param, frozenset()) for source in sources)) for param in PARAMS
    }
