"""The list of pages, nothing else: streamlit run streamlit_app.py"""

from cnnlab.ui import app_shell

PAGES = [
    app_shell.make_page("train", "Train", default=True),
    app_shell.make_page("compare", "Compare"),
    app_shell.make_page("look_inside", "Look inside"),
    app_shell.make_page("mistakes", "Mistakes"),
    app_shell.make_page("admin", "Admin", visibility="hidden"),
]

app_shell.run_app(PAGES)
