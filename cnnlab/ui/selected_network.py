"""The network that every page shows: chosen on any of them, kept in the session, named in the address.

The page Train selects an experiment, which may have no run yet; Look inside and Mistakes select a run. Both are the
same selection: `select_network` writes the run of an experiment into the selection, `open_network` opens the selected
run and keeps its experiment. A page that cannot show the selected network says so and offers those that it can show
(`unavailable_network`).
"""

from collections.abc import Callable, Sequence

import streamlit as st

from cnnlab.experiment import Experiment
from cnnlab.storage import runs
from cnnlab.storage.imported_networks import ImportedNetwork, StoredNetwork
from cnnlab.storage.runs import Run, UnknownRun
from cnnlab.ui import app_shell, cache
from cnnlab.ui.experiment_params import EXPERIMENT_PARAMS, experiment_params, parse_experiment
from cnnlab.ui.page_address import SESSION_SELECTION, write_params
from cnnlab.ui.selection import SELECTION_PARAMS, SESSION_NETWORK, open_selected_run, update_selection
from cnnlab.ui.state import network_params, session_key

OTHER_NETWORK = session_key("selected_network.other")
RUN_PAGES = ("look_inside", "mistakes")  # whose addresses name a run


def selected_experiment() -> Experiment | None:
    """The experiment of the network that this session looked at last; None before it has looked at any."""
    params = st.session_state.get(SESSION_NETWORK)
    return parse_experiment(params, Experiment())[0] if params else None


def select_network(experiment: Experiment) -> None:
    """Make this the network of every page; the picture stays, what belongs to another network is forgotten."""
    params = experiment_params(experiment)
    if st.session_state.get(SESSION_NETWORK) == params:
        return
    run = cache.find_run(experiment)
    image = st.session_state.get(SESSION_SELECTION, {}).get("image")
    st.session_state[SESSION_SELECTION] = {"run": run.name if run else experiment.key} | (
        {"image": image} if image else {}
    )
    st.session_state[SESSION_NETWORK] = params


def select_run(name: str) -> None:
    """Show another run on a page whose address names a run, without what was chosen in the run at hand."""
    update_selection(run=name, epoch=None, map=None, **dict.fromkeys(network_params()))


def choose_run(name: str, page: str) -> None:
    """Make this run the network of every page, and write it into the address of `page` as that page names it."""
    try:
        run = runs.open_run(name)
    except UnknownRun:  # it was removed since the menu was drawn
        return
    if page in RUN_PAGES:
        select_run(name)
        update_selection(versus="")
    elif page == "train":
        show_experiment(run.experiment)
    select_network(run.experiment)


def show_experiment(experiment: Experiment) -> Experiment:
    """Select this experiment and write it into the URL of the page Train; the same experiment is returned."""
    select_network(experiment)
    write_params(experiment_params(experiment), [*EXPERIMENT_PARAMS, *SELECTION_PARAMS])
    return experiment


def open_network(reference: str, default: StoredNetwork) -> StoredNetwork | None:
    """The run or imported network of this reference, which is the network of every page from now on.

    None where the reference is the key of the selected network and that has no run. Where it names no run at all, a
    sentence on the page and `default`; so too, without a sentence, for "".
    """
    experiment = selected_experiment()
    if experiment is not None and experiment.key == reference and not is_run(reference):
        return None
    run = open_selected_run(reference, default) or default
    if isinstance(run, Run):
        st.session_state[SESSION_NETWORK] = experiment_params(run.experiment)
    else:  # it has no experiment that the page Train could show
        st.session_state.pop(SESSION_NETWORK, None)
    return run


def is_run(reference: str) -> bool:
    """Whether a run that can be read goes by this name or key."""
    try:
        return bool(runs.open_run(reference))
    except UnknownRun:
        return False


def unavailable_network(
    reason: str,
    available: Sequence[StoredNetwork],
    on_choose: Callable[[str], None],
    network: StoredNetwork | None = None,
) -> None:
    """Say why the page cannot show the selected network; offer its training, and the networks that can be shown.

    network: the selected one where it was trained elsewhere.
    """
    if isinstance(network, ImportedNetwork):
        st.info(f"**{network.title}** {reason}", icon=":material/hourglass_empty:")
        other_networks_menu(available, on_choose)
        return
    experiment = selected_experiment()
    if experiment is None:
        return
    st.info(f"**{experiment.title}** {reason}", icon=":material/hourglass_empty:")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        app_shell.page_link(
            "train", "Open it on the page Train", experiment_params(experiment), icon=":material/play_arrow:"
        )
        other_networks_menu(available, on_choose)


def other_networks_menu(available: Sequence[StoredNetwork], on_choose: Callable[[str], None]) -> None:
    """A menu of these runs, none of which is chosen; `on_choose` gets the name of one."""
    titles = {run.name: run.title for run in available}
    st.session_state[OTHER_NETWORK] = None
    st.selectbox(
        "Show another network",
        list(titles),
        index=None,
        format_func=titles.__getitem__,
        key=OTHER_NETWORK,
        placeholder=f"{len(available)} to choose from",
        on_change=lambda: on_choose(st.session_state[OTHER_NETWORK]),
        width=400,
    )
