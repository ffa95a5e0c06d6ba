"""A Markdown table that scrolls by itself where the screen is narrow, also with the keyboard, and can be saved."""

import streamlit as st

from cnnlab.formatting import csv_text
from cnnlab.rendering.markdown import WORD_JOINER

STYLE = """<style>[class*=st-key-table_] { overflow-x: auto; }
[class*=st-key-table_] td, [class*=st-key-table_] th { white-space: nowrap; }</style>"""


def scrolling_table(markdown: str, key: str, figures: str = "") -> None:
    """Draw the table and a button that saves it as CSV, in a container whose key is "table_" and `key`.

    `figures` is the content of the file where it has more than the cells.

    The button is inside the container that scrolls: while it has the focus, the arrow keys scroll the table.
    """
    st.html(STYLE)
    with st.container(key=f"table_{key}"):
        st.markdown(markdown)
        st.download_button(
            "Save table (CSV)",
            figures or table_csv(markdown),
            f"{key}.csv",
            "text/csv",
            key=f"save_{key}",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
        )


def table_csv(markdown: str) -> str:
    """The cells of a Markdown table as CSV: without the line of dashes, emphasis and escapes."""
    head, _, *rows = markdown.strip().splitlines()
    return csv_text(_cells(line) for line in (head, *rows))


def _cells(line: str) -> list[str]:
    plain = line.replace("**", "").replace("\\", "").replace(WORD_JOINER, "")
    return [cell.strip() for cell in plain.strip().strip("|").split("|")]
