"""A Markdown table whose words wrap and numbers do not; it scrolls by itself on a phone, and can be saved.

On a phone letters and columns are smaller, and numbers wrap too.

Columns of numbers are aligned to the right in the Markdown (`---:`).
"""

from functools import lru_cache

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnlab.formatting import csv_text
from cnnlab.rendering.markdown import WORD_JOINER

WORDS_WIDTH = "6.5rem"  # at least, of a column of words: below it the table scrolls
NARROW_WIDTH = "3.25rem"  # the same on a phone, so that figures behind two or three columns of words are on its screen
STYLE = f"""<style>[class*=st-key-table] {{ overflow-x: auto; }}
[class*=st-key-table] td, [class*=st-key-table] th {{ min-width: {WORDS_WIDTH}; vertical-align: top; }}
[class*=st-key-table] [style*=right] {{ min-width: 0; }}
[class*=st-key-table] td[style*=right] {{ white-space: nowrap; }}
@media (max-width: 640px) {{
  [class*=st-key-table] table :is(td, th) {{ min-width: {NARROW_WIDTH}; padding: 0.3rem 0.35rem; font-size: 0.8rem;
    white-space: normal; }}
  [class*=st-key-table] table [style*=right] {{ min-width: 0; }}
}}</style>"""


def table_container(key: str) -> DeltaGenerator:
    """A container for a Markdown table, whose key begins with "table"; what does not fit its width scrolls in it."""
    st.html(STYLE)
    return st.container(key=key)


def scrolling_table(markdown: str, key: str, figures: str = "") -> None:
    """Draw the table and a button that saves it as CSV, in a container whose key is "table_" and `key`.

    `figures` is the content of the file where it has more than the cells.

    The button is inside the container that scrolls: while it has the focus, the arrow keys scroll the table.
    """
    with table_container(f"table_{key}"):
        st.markdown(markdown)
        csv_button("Save table (CSV)", figures or table_csv(markdown), f"{key}.csv", key=f"save_{key}")


def csv_button(label: str, content: str, file_name: str, key: str | None = None) -> None:
    """A button that saves this CSV text as a file; the page is not run again."""
    st.download_button(
        label,
        content,
        file_name,
        mime="text/csv",
        key=key,
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
    )


@lru_cache(maxsize=64)
def table_csv(markdown: str) -> str:
    """The cells of a Markdown table as CSV: without the line of dashes, emphasis and escapes."""
    head, _, *rows = markdown.strip().splitlines()
    return csv_text(_cells(line) for line in (head, *rows))


def _cells(line: str) -> list[str]:
    plain = line.replace("**", "").replace("\\", "").replace(WORD_JOINER, "")
    return [cell.strip() for cell in plain.strip().strip("|").split("|")]
