"""Menu of the pages, and a guard for the first visit of a server to a page's own address."""

from __future__ import annotations

import streamlit as st
from streamlit.navigation.page import StreamlitPage
from streamlit.runtime.pages_manager import PagesManager

from triovision.ui.translation import Translator


def navigate(t: Translator, menu: bool = True) -> StreamlitPage:
    """Draw the menu, unless it is to be hidden, and return the page of the address."""
    return st.navigation(
        [
            st.Page("pages/locate.py", title=t("Locate a photo"), default=True),
            st.Page("pages/collection.py", title=t("Many photos")),
            st.Page("pages/compare.py", title=t("Compare")),
            st.Page("pages/verify.py", title=t("Verify")),
            st.Page("pages/play.py", title=t("Play")),
            st.Page("pages/models.py", title=t("Models")),
            st.Page("pages/about.py", title=t("About")),
        ],
        position="top" if menu else "hidden",
    )


def require_app_frame() -> None:
    """Run `studio.py` instead, if Streamlit runs a page file by itself; the first call of every page.

    Until a server has called `st.navigation` once, Streamlit uses its older mode for a folder `pages/`: a first visit
    to `/about` runs that file alone, without menu, style and language. The attribute is undocumented, so a browser
    test visits every address of a fresh server.
    """
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()
