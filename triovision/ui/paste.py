"""Images pasted from the clipboard, with the keyboard anywhere on the page or with a button."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import streamlit as st

from triovision.bundle import ASSETS
from triovision.ui.translation import Translator

_HTML: Final = '<button type="button"></button> <span role="status"></span>'
_CSS: Final = """
button { font: inherit; font-size: 0.875rem; color: var(--st-text-color); background: var(--st-background-color);
  background: hsl(from var(--st-background-color) h s calc(l + 2)); /* as Streamlit's own buttons */
  min-height: 2.5rem; padding: 0.25rem 0.75rem; cursor: pointer;
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius); }
button:hover, button:focus-visible { color: var(--st-primary-color); border-color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); }
button[hidden] { display: none; }
"""


def render_paste(t: Translator) -> None:
    """Draw the button. A pasted image arrives in the drop zone of the page."""
    _component()(
        data={
            "label": t("Paste"),
            "name": t("Pasted photo"),
            "empty": t("The clipboard holds no image."),
            "refused": t("The browser keeps the clipboard closed. Press Ctrl+V instead."),
        },
        key="paste",
        width="content",
    )


@cache
def _component() -> Any:  # noqa: ANN401 - Streamlit's type is not public
    script = (ASSETS / "paste.js").read_text(encoding="utf-8")
    return st.components.v2.component("triovision_paste", html=_HTML, css=_CSS, js=script)
