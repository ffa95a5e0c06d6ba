"""The menus of the page Mistakes: the network, and the network that it is compared with."""

from collections.abc import Sequence

import streamlit as st

from cnnlab.formatting import quoted
from cnnlab.storage.imported_networks import StoredNetwork
from cnnlab.storage.runs import Run
from cnnlab.ui import cache, control_locks, selection, test_results
from cnnlab.ui.test_results import TestResults


def selected_results(
    run: StoredNetwork, runs: Sequence[StoredNetwork], wanted: str
) -> tuple[TestResults | None, TestResults | None]:
    """The test results of `run`, and of the network that it is compared with; None where there are none.

    `wanted` is the name of the network to compare with, "" for none. Both need the same data set. A network that was
    trained on another number of images is compared only where this page's own URL names it. Raises DamagedRun.
    """
    rivals = [other for other in runs if other.dataset == run.dataset and other.name != run.name]
    rivals.sort(key=lambda rival: train_images(rival) != train_images(run))
    versus = next((rival for rival in rivals if rival.name == wanted), None)
    if versus and train_images(versus) != train_images(run) and not is_asked_for(wanted):
        versus = None  # chosen on another page, beside another network
    elif wanted not in ("", run.name) and versus is None:
        name = quoted(wanted)
        selection.show_problems(
            [f"{name} is no network that this one can be compared with: both need the same data set."]
        )
    selection.update_selection(run=run.name, versus=versus.name if versus else "")
    with st.container(horizontal=True):
        run_menu("run", "Network", [run, *(other for other in runs if other.name != run.name)], run.name)
        run_menu("versus", "Compared with", rivals, versus.name if versus else "", none_title="no other network")
    return test_results.load_test_results(run), test_results.load_test_results(versus) if versus else None


def train_images(run: StoredNetwork) -> int | None:
    """The number of images that the network was trained on; None where it is not known."""
    return int(run.experiment.train_images or 0) if isinstance(run, Run) else None


def is_asked_for(versus: str) -> bool:
    """Whether this page's own URL names the network to compare with, and not only the session."""
    return st.query_params.get("versus") == versus


def select_other_run(name: str) -> None:
    """Select a network; the one that it is compared with is kept if both were trained on as many images."""
    versus = selection.parse_selection(selection.current_params())[0].versus
    found = {run.name: train_images(run) for run in cache.list_runs()}
    alike = name in found and versus in found and found[name] == found[versus]
    selection.update_selection(run=name, versus=versus if alike else "")


def run_menu(field: str, label: str, runs: Sequence[StoredNetwork], name: str, none_title: str = "") -> None:
    """A menu of networks that writes one field of the selection."""
    titles = ({"": none_title} if none_title else {}) | {run.name: run.title for run in runs}
    if control_locks.is_hidden(field):
        return
    key = f"mistakes {field}"
    st.session_state[key] = name
    st.selectbox(
        label,
        list(titles),
        format_func=titles.__getitem__,
        key=key,
        on_change=on_run_selected,
        args=(field, key),
        width=300,
        disabled=control_locks.is_locked(field),
    )


def on_run_selected(field: str, key: str) -> None:
    """Write the selected network into the URL."""
    if field == "run":
        select_other_run(st.session_state[key])
    else:
        selection.update_selection(**{field: st.session_state[key]})
