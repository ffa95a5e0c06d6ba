"""A page to come."""

import streamlit as st


def page() -> None:
    """Draw it."""
    st.title("mistakes")
    st.write("This page is being built.")
