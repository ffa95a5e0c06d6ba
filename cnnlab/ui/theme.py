"""The colour of words inside a chart: Vega-Lite's own marks do not follow the page from light to dark."""

import streamlit as st

from cnnlab.rendering.palette import TEXT, TEXT_IN_UNKNOWN_THEME


def text_color() -> str:
    """The page's text colour in the theme that this browser shows; a grey for both where that is not known yet."""
    theme = st.context.theme.type
    return TEXT.get(theme or "", TEXT_IN_UNKNOWN_THEME)
