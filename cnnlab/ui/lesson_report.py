"""The report of a lesson for download: made when it is asked for, as one zip."""

import streamlit as st

from cnnlab.lab_report.archive import report_zip
from cnnlab.lab_report.content import make_report
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage.run import UnknownRun
from cnnlab.ui import cache
from cnnlab.ui.lesson_store import OpenLesson
from cnnlab.ui.state import session_key

SESSION_REPORT = session_key("lesson_report.report")  # (sheet, zip) of the report that was made last


def report_download(lesson: OpenLesson) -> None:
    """The button that makes the report, then the one that downloads it."""
    if st.button("Make the report", key="lesson_make_report", icon=":material/description:", type="primary"):
        st.session_state.pop(SESSION_REPORT, None)
        try:
            with st.spinner("Making the report"):
                made = make_report(lesson.sheet, lesson.answers, lesson.learner.nickname, cache.report_rows())
                st.session_state[SESSION_REPORT] = (lesson.sheet.name, report_zip(made))
        except UnknownRun as error:
            st.error(escape_markdown(error))
    name, content = st.session_state.get(SESSION_REPORT, ("", b""))
    if name == lesson.sheet.name and content:
        label = f"Download the report ({len(content) / 1e6:.1f} MB)"
        file = f"{lesson.sheet.name}-report.zip"
        st.download_button(label, content, file, "application/zip", icon=":material/download:", on_click="ignore")
    st.caption("A zip with report.html, a notebook, figures, histories, models, and Keras programs.")
