"""The teacher's page: every training with its requesters, the load, the disk, the logs and the stored runs.

Anybody else sees how to become a teacher. Each action is checked again by `cnnlab.jobs.admin`. The page is in no menu:
a teacher finds a link at the foot of every page, or opens /admin.
"""

import streamlit as st

from cnnlab.pages.admin import access, log, machine, own_pictures, stored_runs, trainings
from cnnlab.ui import app_shell

POLL_SECONDS = 2.0


def page() -> None:
    """Draw the page, for a teacher."""
    st.title("Admin", anchor=False)
    if not app_shell.is_teacher():
        access.access_panel()
        return
    st.caption("All trainings and who asked for them, the stored runs, and the load. Only a teacher sees this page.")
    machine.accepting_toggle()
    st.fragment(machine.machine_metrics, run_every=POLL_SECONDS)()
    st.fragment(trainings.active_trainings, run_every=POLL_SECONDS)()
    left, right = st.columns(2, gap="large")
    with left:
        trainings.finished_trainings()
        log.log_viewer()
    with right:
        own_pictures.own_pictures_list()
        machine.open_pages()
    stored_runs.stored_runs()
    access.forget_key_button()
