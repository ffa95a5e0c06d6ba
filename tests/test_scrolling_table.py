"""A table that can be saved: the CSV has the cells that the page shows."""

import csv

from cnnlab.rendering.markdown import escape_markdown
from cnnlab.ui.scrolling_table import table_csv


def test_the_csv_of_a_table_has_its_cells_without_emphasis_and_escapes() -> None:
    name = "a_b -> c"
    markdown = f"| network | gap |\n| --- | ---: |\n| {escape_markdown(name)} | **+1.2**, beyond chance |"
    assert list(csv.reader(table_csv(markdown).splitlines())) == [["network", "gap"], [name, "+1.2, beyond chance"]]
