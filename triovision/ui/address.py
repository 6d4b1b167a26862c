"""The view in the address of the page: language, tab, number of countries and model; never the photo.

A link opens the same view in another browser. Values that the page does not know are ignored.
"""

from __future__ import annotations

from typing import Final

import streamlit as st

from triovision.ui.session import current
from triovision.ui.translation import LANGUAGES, browser_language

#: Numbers of countries that the charts can show.
MIN_COUNTRIES, MAX_COUNTRIES = 5, 15
#: Names of the tabs in an address, the same in every language.
TABS: Final = ("map", "probabilities", "why", "details")
_READ: Final = "address-read"


def read_address() -> None:
    """Take the view from the address, once per session; later the widgets decide."""
    if st.session_state.get(_READ):
        return
    st.session_state[_READ] = True
    asked = st.query_params
    if asked.get("language") in LANGUAGES:
        st.session_state["language"] = asked["language"]
    if asked.get("tab") in TABS:
        st.session_state["tab-number"] = TABS.index(asked["tab"])
    if asked.get("k") in [str(k) for k in range(MIN_COUNTRIES, MAX_COUNTRIES + 1)]:
        st.session_state["k"] = int(asked["k"])
    current().linked_model = asked.get("model")  # `service.py` ignores an unknown one; to know them takes PyTorch


def write_address() -> None:
    """Put the view into the address; what every reader sees at first is left out."""
    language, tab, k = (st.session_state.get(name) for name in ("language", "tab-number", "k"))
    view = {
        "language": language if language != browser_language(st.context.locale) else None,
        "tab": TABS[tab] if tab else None,
        "k": str(k) if k not in (None, MIN_COUNTRIES) else None,
        "model": current().linked_model,
    }
    for name, value in view.items():
        if value is None:
            st.query_params.pop(name, None)
        elif st.query_params.get(name) != value:
            st.query_params[name] = value
