"""What Streamlit runs for each viewer: the pages."""

import streamlit as st

from adstream.dashboard import ads, pipeline, racks, sales, sensors

PAGES = {"Ads": ads, "Pipeline": pipeline, "Sensors": sensors, "Sales": sales, "Racks": racks}

st.set_page_config(page_title="adstream", layout="wide")
st.html("<style>[data-testid=stMainBlockContainer] { padding-top: 4rem }</style>")
st.navigation(
    [
        st.Page(module.page, title=title, url_path=title.lower(), default=title == "Ads")
        for title, module in PAGES.items()
    ],
    position="top",
).run()
