"""The list of pages, nothing else: streamlit run streamlit_app.py"""

from cnnlab.pages import frame

PAGES = [
    frame.page("train", "Train", default=True),
    frame.page("compare", "Compare"),
    frame.page("look_inside", "Look inside"),
    frame.page("mistakes", "Mistakes"),
    frame.page("host", "Host", visibility="hidden"),
]

frame.show(PAGES)
