"""A page to come."""

import streamlit as st


def page() -> None:
    """Draw it."""
    st.title("train")
    st.write("This page is being built.")
