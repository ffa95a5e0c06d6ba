"""The data sets of somebody's own pictures on this server: what they are, and their removal after a question."""

import streamlit as st

from cnnlab import settings
from cnnlab.data import DatasetMissing
from cnnlab.data import own_pictures as stored
from cnnlab.datasets import DatasetInfo
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.pages.admin.access import admin_actions
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage import files
from cnnlab.ui import cache
from cnnlab.ui.state import session_key

REMOVE = session_key("admin.own_pictures.remove.")  # and the name of the data set
SESSION_PROBLEM = session_key("admin.own_pictures.problem")  # why the last removal was refused


def own_pictures_list() -> None:
    """Each data set in a row with its button; nothing where there is none."""
    if problem := st.session_state.pop(SESSION_PROBLEM, None):
        st.error(escape_markdown(problem))
    known = stored.list_datasets()
    if not known:
        return
    st.header("Own pictures", anchor=False)
    trained = [run.dataset for run in cache.list_runs()]
    for info in known:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(describe(info), width="stretch")
            with st.popover("Remove", icon=":material/delete:", key=f"{REMOVE}{info.name}"):
                st.markdown(f"Remove the pictures of **{info.title}**? {kept_runs(trained.count(info.name))}")
                st.button("Yes, remove them", key=f"{REMOVE}{info.name}.yes", on_click=_on_remove, args=(info.name,))


def describe(info: DatasetInfo) -> str:
    """'leaves: 3 classes, 120 pictures (birch tree, maple, oak)'."""
    count = info.train_images + info.validation_images + info.test_images
    return f"**{info.title}**: {info.class_count} classes, {count:,} pictures ({', '.join(info.classes)})"


def kept_runs(count: int) -> str:
    """What happens to the runs that were trained on the pictures."""
    if not count:
        return "No run was trained on them."
    return f"The {count} runs trained on them stay." if count > 1 else "The run trained on them stays."


def _on_remove(name: str) -> None:
    try:
        admin_actions().remove_pictures(name)
        cache.clear_run_and_network_lists()
    except (DatasetMissing, QuotaExceeded) as problem:
        st.session_state[SESSION_PROBLEM] = str(problem)
    except OSError as problem:
        st.session_state[SESSION_PROBLEM] = files.disk_error_message(problem, settings.data_dir(), 1)
