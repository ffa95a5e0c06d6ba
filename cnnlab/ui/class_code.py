"""The class code: where the settings have one, a browser needs it once before it asks for trainings."""

import streamlit as st

from cnnlab.jobs import access_keys
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.ui import app_shell, cache
from cnnlab.ui.state import session_key
from cnnlab.ui.visitor import visitor_address

FORM = session_key("class_code.form")


def is_class_code_needed() -> bool:
    """Whether this person has to type the class code before asking for a training."""
    return not app_shell.is_teacher() and access_keys.needs_class_code(cache.open_queue(), app_shell.current_person())


def require_class_code() -> bool:
    """Whether trainings may be asked for; where the code is needed first, its form is drawn instead."""
    if not is_class_code_needed():
        return True
    queue, person = cache.open_queue(), app_shell.current_person()
    with st.form(FORM, border=False):
        typed = st.text_input(
            "Class code", type="password", help="Your teacher has the code. Each browser needs it once."
        )
        if st.form_submit_button("Join the class", type="primary"):
            try:
                access_keys.join_class(queue, typed, person, visitor_address())
                st.rerun()
            except access_keys.KeyRefused as error:
                st.error(escape_markdown(error))
    return False
