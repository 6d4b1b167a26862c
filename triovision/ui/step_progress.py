"""Progress of a computation in many steps, with a button that ends it."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequestType

from triovision.ui.translation import Translator


class StepProgress:
    """Progress callback. Bar and button appear with the first step, so that a fast computation shows neither.

    The run ends at the next step after any click, and when the reader has gone; the button "Stop" has no other effect.

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
        """Draw the fraction that is done, or end the run."""
        if self._bar is None:
            with self._place.container(horizontal=True, vertical_alignment="bottom"):
                self._bar = st.empty()
                st.button(self._t("Stop"), key=self._key)
        self._bar.progress(min(1.0, fraction), self._text)  # here Streamlit ends the run if the whole page is to run
        if _fragment_is_to_run():
            st.rerun(scope="fragment")


def _fragment_is_to_run() -> bool:
    """Whether the reader has clicked in the fragment. Streamlit itself would finish the present run before."""
    context = get_script_run_ctx()
    requests = None if context is None else context.script_requests
    return requests is not None and requests._state is ScriptRequestType.RERUN
