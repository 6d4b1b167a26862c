"""Translation of errors and messages of the library, as Markdown."""

from __future__ import annotations

from triovision.errors import TrioVisionError
from triovision.languages import translate
from triovision.ui.translation import Translator, plain

__all__ = ["report", "translate"]


def report(error: TrioVisionError, t: Translator) -> str:
    """Format an error as Markdown: subject in bold, reason, remedy."""
    reason, remedy = (plain(translate(text, t), 400) for text in (error.reason, error.remedy))
    return t("**{subject}**: {reason}. {remedy}.", subject=plain(error.subject, 200), reason=reason, remedy=remedy)
