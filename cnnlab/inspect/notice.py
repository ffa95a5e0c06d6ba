"""The line above every view of Look inside that says what to notice."""

import streamlit as st

from cnnlab.formatting import keep_figures_whole


def notice(sentence: str) -> None:
    """Show one computed sentence, Markdown, above a view."""
    st.markdown(keep_figures_whole(f"**Notice:** {sentence}"))
