"""Progress of a computation in many steps, with a button that ends it."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from triovision.ui.translation import Translator


class StepProgress:
    """Progress callback. Bar and button appear with the first step, so that a fast computation shows neither.

    Streamlit ends the run at the next step after any click, and when the reader has gone; the button "Stop" has no
    other effect.

    Args:
        place: Placeholder of bar and button.
        text: What is being computed.
        key: Key of the button.
        t: Language of the reader.
    """

    def __init__(self, place: DeltaGenerator, text: str, key: str, t: Translator) -> None:
        self._place, self._text, self._key, self._t = place, text, key, t
        self._bar: DeltaGenerator | None = None

    def __call__(self, fraction: float) -> None:
        """Draw the fraction that is done."""
        if self._bar is None:
            with self._place.container(horizontal=True, vertical_alignment="bottom"):
                self._bar = st.empty()
                st.button(self._t("Stop"), key=self._key)
        self._bar.progress(min(1.0, fraction), self._text)
