"""Translation of errors and messages of the library, as Markdown."""

from __future__ import annotations

from triovision.errors import TrioVisionError
from triovision.languages import translate
from triovision.ui.owner import without_folders
from triovision.ui.translation import Translator, plain

__all__ = ["report", "translate"]


def report(error: TrioVisionError, t: Translator) -> str:
    """Format an error as Markdown: subject in bold, reason, remedy. Only the owner sees the server's folders."""
    reason, remedy = (plain(without_folders(translate(text, t)), 400) for text in (error.reason, error.remedy))
    subject = plain(without_folders(error.subject), 200)
    return t("**{subject}**: {reason}. {remedy}.", subject=subject, reason=reason, remedy=remedy)
