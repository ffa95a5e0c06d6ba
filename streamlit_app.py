"""The list of pages, nothing else: streamlit run streamlit_app.py"""

import streamlit as st

from cnnlab.pages import compare, frame, look_inside, mistakes, train

PAGES = [
    st.Page(train.page, title="Train", icon=":material/school:", url_path="train", default=True),
    st.Page(compare.page, title="Compare", icon=":material/leaderboard:", url_path="compare"),
    st.Page(look_inside.page, title="Look inside", icon=":material/grid_view:", url_path="look_inside"),
    st.Page(mistakes.page, title="Mistakes", icon=":material/rule:", url_path="mistakes"),
]

frame.show(st.navigation(PAGES, position="top"))
