"""The pages that Streamlit runs for each viewer."""

import streamlit as st

from adstream.dashboard.pages import PAGES

st.set_page_config(page_title="adstream", layout="wide")
# Old figures stay fully visible during the read of newer ones.
STYLE = "[data-testid=stMainBlockContainer] { padding-top: 4rem } [data-stale=true] { opacity: 1 !important }"
st.html(f"<style>{STYLE}</style>")
st.navigation(
    [st.Page(page, title=title, url_path=title.lower(), default=title == "Ads") for title, page in PAGES.items()],
    position="top",
).run()
