"""Notices about the memory of the server: photos removed after a time without use, uploads refused."""

from __future__ import annotations

import streamlit as st

from triovision.ui.idle import idle_minutes
from triovision.ui.session import current
from triovision.ui.translation import Translator


def render_notices(t: Translator) -> None:
    """Draw what happened to the photos of this session while no script ran."""
    session = current()
    if session.emptied:
        minutes = idle_minutes()
        st.info(
            t.plural(
                "This page was not used for {number} minute, so its photos left the memory of the server. "
                "Drop them again to go on.",
                "This page was not used for {number} minutes, so its photos left the memory of the server. "
                "Drop them again to go on.",
                minutes,
            )
        )
    refused, session.refused_uploads = session.refused_uploads, 0
    if refused:
        st.warning(
            t.plural(
                "{number} file was not taken: your photos have no more room in the server's memory. "
                "Press Clear, or try again in a few minutes with fewer photos at once.",
                "{number} files were not taken: your photos have no more room in the server's memory. "
                "Press Clear, or try again in a few minutes with fewer photos at once.",
                refused,
            )
        )
