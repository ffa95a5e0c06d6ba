"""A page to come."""

import streamlit as st


def page() -> None:
    """Draw it."""
    st.title("look_inside")
    st.write("This page is being built.")
