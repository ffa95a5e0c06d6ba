"""The line above every view of Look inside that says what to notice."""

import streamlit as st


def notice(sentence: str) -> None:
    """Show one computed sentence, Markdown, above a view."""
    st.markdown(f"**Notice:** {sentence}")
