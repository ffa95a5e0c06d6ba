"""The list of pages, nothing else: streamlit run streamlit_app.py"""

import streamlit as st

from cnnlab.pages import compare, frame, host, look_inside, mistakes, train

PAGES = [  # without icons: a browser fetches a page's icon from the internet, for its tab
    st.Page(train.page, title="Train", url_path="train", default=True),
    st.Page(compare.page, title="Compare", url_path="compare"),
    st.Page(look_inside.page, title="Look inside", url_path="look_inside"),
    st.Page(mistakes.page, title="Mistakes", url_path="mistakes"),
    st.Page(host.page, title="Host", url_path="host", visibility="hidden"),
]

frame.show(PAGES)
