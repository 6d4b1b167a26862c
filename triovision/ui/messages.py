"""Translation of errors and messages of the library, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from triovision.errors import PhotoError, TrioVisionError
from triovision.languages import translate
from triovision.ui.owner import without_folders
from triovision.ui.translation import Translator, plain

__all__ = ["photo_or_error", "render_fault", "report", "translate"]


def report(error: TrioVisionError, t: Translator) -> str:
    """Format an error as Markdown: subject in bold, reason, remedy. Only the owner sees the server's folders."""
    reason, remedy = (plain(without_folders(translate(text, t)), 400) for text in (error.reason, error.remedy))
    subject = plain(without_folders(error.subject), 200)
    return t("**{subject}**: {reason}. {remedy}.", subject=subject, reason=reason, remedy=remedy)


def render_fault(error: TrioVisionError, key: str, t: Translator) -> None:
    """Draw the error of a computation, with a button whose only effect is another run.

    Args:
        error: The error.
        key: Key of the button.
        t: Language of the reader.
    """
    st.error(report(error, t))
    st.button(t("Start again"), key=key)


@contextmanager
def photo_or_error(t: Translator) -> Iterator[None]:
    """Show an error of a photo in the block, with its remedy, and end the run."""
    try:
        yield
    except PhotoError as error:
        st.error(report(error, t))
        st.stop()
