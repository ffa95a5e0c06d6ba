"""Who is a teacher: the form for the teacher's key, and the object through which a teacher acts."""

import streamlit as st

from cnnlab import settings
from cnnlab.jobs import access_keys, admin
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.ui import app_shell, cache


def admin_actions() -> admin.Admin:
    """The actions of a teacher. Raises QuotaExceeded for anybody else, SettingsError."""
    return admin.Admin(cache.open_queue(), app_shell.current_person(), app_shell.teacher_key())


def access_panel() -> None:
    """For anybody but a teacher: how to become one, and the form for the key where the settings have one."""
    st.write(
        f"This page is for the teacher. Your name here is `{app_shell.current_person()}`. Whoever runs the server names"
        " the accounts of teachers in `CNNLAB_TEACHER` where people sign in, or sets `CNNLAB_TEACHER_KEY`."
    )
    if settings.current().teacher_key:
        with st.form("key", border=False):
            typed = st.text_input("Or type the teacher's key", type="password")
            if st.form_submit_button("Open"):
                check_key(typed)


def check_key(typed: str) -> None:
    """Store the right key for this session; for a wrong one show an error."""
    try:
        access_keys.check_teacher_key(cache.open_queue(), typed, app_shell.current_person())
    except access_keys.KeyRefused as error:
        st.error(escape_markdown(error))
        return
    st.session_state[app_shell.SESSION_TEACHER_KEY] = typed
    st.rerun()


def forget_key_button() -> None:
    """For who typed the key: the button after which this browser is a student's again."""
    if not app_shell.teacher_key():
        return
    hours = round(access_keys.TEACHER_SECONDS / 3600)
    help_ = f"This browser is asked for the teacher's key again. Otherwise it is remembered for {hours} hours."
    if st.button("Leave Admin on this computer", key="forget_teacher", icon=":material/logout:", help=help_):
        access_keys.forget_teacher(cache.open_queue(), app_shell.current_person())
        st.session_state[app_shell.SESSION_TEACHER_KEY] = ""
        st.rerun()
