"""The list of pages: the script that Streamlit runs for each session. `streamlit_app.py` starts it."""

from cnnlab.ui import app_shell, network_chip, training_corner

PAGES = [
    app_shell.make_page("train", "Train", default=True),
    app_shell.make_page("compare", "Compare"),
    app_shell.make_page("sweeps", "Sweeps"),
    app_shell.make_page("look_inside", "Look inside"),
    app_shell.make_page("mistakes", "Mistakes"),
    app_shell.make_page("lesson", "Lesson"),
    app_shell.make_page("lesson_board", "Lesson board", visibility="hidden"),
    app_shell.make_page("admin", "Admin", visibility="hidden"),
]


def corner() -> None:
    """What stands in the corner of every page beside the link."""
    network_chip.network_chip()
    training_corner.training_corner()


app_shell.run_app(PAGES, corner)
