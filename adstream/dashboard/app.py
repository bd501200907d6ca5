"""What Streamlit runs for each viewer: the pages."""

import streamlit as st

from adstream.dashboard.pages import PAGES

st.set_page_config(page_title="adstream", layout="wide")
st.html("<style>[data-testid=stMainBlockContainer] { padding-top: 4rem }</style>")
st.navigation(
    [st.Page(page, title=title, url_path=title.lower(), default=title == "Ads") for title, page in PAGES.items()],
    position="top",
).run()
