"""A page to come."""

import streamlit as st


def page() -> None:
    """Draw it."""
    st.title("compare")
    st.write("This page is being built.")
