"""A page of the app in Streamlit's own tester, at an address, and the words on it."""

from streamlit.testing.v1 import AppTest


def opened(page: str, **address: object) -> AppTest:
    """The page `cnnlab.pages.PAGE` with these URL parameters, drawn once; fails where that raises."""

    def script():
        import importlib

        import streamlit as st

        importlib.import_module(f"cnnlab.pages.{st.session_state['page']}").page()

    test = AppTest.from_function(script, default_timeout=90)
    test.session_state["page"] = page
    for name, value in address.items():
        test.query_params[name] = str(value)
    test.run()
    assert not test.exception, test.exception[0].message
    return test


def words(test: AppTest) -> str:
    """Headings, text, captions, notes and problems, in the order of their kinds."""
    kinds = ("markdown", "caption", "info", "header", "error", "warning")
    return " ".join(one.value for kind in kinds for one in test.get(kind))
