"""Opens every page of the installed package in Streamlit's tester and prints what is on it as JSON.

`test_packaging` runs it with the Python of an environment that holds the wheel and what it asks for, nothing else.
"""

import json
from importlib.util import find_spec

from app_pages import opened, words

import cnnlab
from cnnlab.rendering import chart_export, charts
from cnnlab.storage import runs

PAGES = ("train", "compare", "sweeps", "look_inside", "mistakes", "lesson", "lesson_board", "admin")


def main() -> None:
    """Print where the package lies, whether TensorFlow is there, the words and disabled buttons of each page."""
    pages = {}
    for name in PAGES:
        page = opened(name)
        disabled = [one.label for one in page.button if one.disabled]
        pages[name] = {"words": words(page), "disabled": disabled, "charts": len(page.get("vega_lite_chart"))}
    run = runs.open_run("3conv-dropout")
    drawing = chart_export.to_png(charts.accuracy_chart(run.history(), run.experiment.epochs))
    tensorflow = find_spec("tensorflow") is not None
    print(json.dumps({"at": cnnlab.__file__, "tensorflow": tensorflow, "png": drawing[1:4].decode(), "pages": pages}))


main()
