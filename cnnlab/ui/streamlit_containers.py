"""A patch of how Streamlit copies its containers for a fragment; `streamlit_patches` installs it.

Where a fragment is declared, and at the start of each rerun of it, Streamlit copies the containers around it, and each
of them with its parents once more: four containers in each other are ten copies. With the patch each is copied once.
"""

import inspect
from copy import copy, deepcopy
from functools import wraps
from typing import Any

from cnnlab.ui.streamlit_internals import UnknownStreamlit, check_version

COPIED = {"_root_container", "_cursor", "_parent", "_block_type", "_form_data", "_creating_fragment_id"}


def patch_copies() -> None:
    """Let DeltaGenerator.__deepcopy__ tell `deepcopy` which containers it has copied, and copy its cursor directly."""
    check_version()
    from streamlit.cursor import LockedCursor, RunningCursor, SparseList
    from streamlit.delta_generator import DeltaGenerator

    Container: Any = DeltaGenerator  # noqa: N806
    method = getattr(Container.__deepcopy__, "__wrapped__", Container.__deepcopy__)
    names = set(method.__code__.co_names)
    if list(inspect.signature(method).parameters) != ["self", "_memo"] or not names >= COPIED:
        raise UnknownStreamlit("a container is copied in another way")
    for cursor in (RunningCursor(0), LockedCursor(0)):
        if "_transient_elements" not in vars(cursor):
            raise UnknownStreamlit("a cursor has no _transient_elements")

    def copy_cursor(cursor: Any, memo: Any) -> Any:
        made = copy(cursor)
        elements = cursor._transient_elements
        made._transient_elements = deepcopy(elements, memo) if len(elements) else SparseList()
        return made

    @wraps(method)
    def copy_container(container: Any, memo: Any) -> Any:
        made = DeltaGenerator(
            root_container=container._root_container,
            cursor=container._cursor and copy_cursor(container._cursor, memo),
            parent=deepcopy(container._parent, memo),
            block_type=container._block_type,
        )
        made._form_data = deepcopy(container._form_data, memo)
        made._creating_fragment_id = container._creating_fragment_id
        return made

    Container.__deepcopy__ = copy_container
