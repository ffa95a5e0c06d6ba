"""The parameters of the page's address: written here, and kept in the session while another page is open.

The menu opens a page without parameters, and a link names what it wants to show; the other settings come back as the
page was left. The network, the image, the epoch and the layer are those that were selected last on any page
(`cnnlab.ui.selection`); what belongs to one network only (`url_param(..., of_network=True)`) comes back while that
network is selected. A new session, as after a reload or from a copied address, has nothing to bring back.
"""

from collections.abc import Collection, Mapping

import streamlit as st

from cnnlab.ui.state import network_params, session_key, url_params_of

Problems = list[str]  # a sentence for each parameter of an address that means nothing

SESSION_SELECTION = session_key("selection.params")  # the parameters of the selection, from the page that wrote it last
SESSION_PAGE = session_key("page_address.page")  # the page that was drawn last
SESSION_KEPT = session_key("page_address.kept")  # the parameters of the address, by page
RETURNING_PAGES = ("compare", "sweeps", "look_inside", "mistakes")  # Train has the experiment in the session


def write_params(params: Mapping[str, str], names: Collection[str]) -> None:
    """Set the URL parameters `params` and remove the other `names`, in one change.

    Each change is an entry in the browser's history. Writing the current values changes nothing.
    """
    now = st.query_params.to_dict()
    new = changed_params(now, params, names)
    if new != now:
        st.query_params.from_dict(new)
        kept, page = _kept_params(), st.session_state.get(SESSION_PAGE)
        if page in kept:
            kept[page] = changed_params(kept[page], params, names)


def changed_params(before: Mapping[str, str], params: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """The parameters `before` with `params`, without the other `names`; what is there keeps its place."""
    new = {name: params.get(name, value) for name, value in before.items() if name in params or name not in names}
    return new | {name: params[name] for name in names if name in params}


def restore_params(page: str, *, is_exact: bool = False, is_bare_exact: bool = False) -> None:
    """Write the parameters with which the session left this page into its address, except those that it names.

    Only on arrival from another page; a page that names a network in its address never has an empty one by itself, so
    it also comes back where its own entry in the menu was clicked. `is_exact`: an address with parameters is shown as
    it is; `is_bare_exact`: one without parameters too.
    """
    kept, before = _kept_params(), st.session_state.get(SESSION_PAGE)
    st.session_state[SESSION_PAGE] = page
    if page not in RETURNING_PAGES:
        return
    left, locks = kept.get(page, {}), url_params_of("cnnlab.ui.control_locks")
    named = {name: value for name, value in st.query_params.items() if name not in locks}
    kept[page] = named
    returns = before != page or (not named and "run" in left)
    if left and returns and not (is_exact if named else is_bare_exact):
        restored = restored_params(left, st.session_state.get(SESSION_SELECTION, {}), named)
        write_params(restored, restored)


def restored_params(left: Mapping[str, str], selected: Mapping[str, str], named: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a page that was left with `left`, now that `selected` are those of the selection.

    `named` are those of the address, which stay. The page writes the selection itself. The second network is named only
    where the address is empty and both networks are the same as before: a page may compare two of unequal training sets
    only where its own address asks for it.
    """
    is_same_network = left.get("run") == named.get("run", selected.get("run"))
    left_out = url_params_of("cnnlab.ui.selection") | (frozenset() if is_same_network else network_params())
    restored = {name: value for name, value in left.items() if name not in left_out and name not in named}
    if not named and is_same_network and left.get("versus") and left["versus"] == selected.get("versus"):
        return {**selected, **restored}
    return restored


def _kept_params() -> dict[str, dict[str, str]]:
    kept: dict[str, dict[str, str]] = st.session_state.setdefault(SESSION_KEPT, {})
    return kept
