"""Translation of errors and messages of the library, as Markdown."""

from __future__ import annotations

from triovision.errors import Message, TrioVisionError
from triovision.ui.translation import Translator, plain


def report(error: TrioVisionError, t: Translator) -> str:
    """Format an error as Markdown: subject in bold, reason, remedy."""
    reason, remedy = (plain(translate(text, t), 400) for text in (error.reason, error.remedy))
    return t("**{subject}**: {reason}. {remedy}.", subject=plain(error.subject, 200), reason=reason, remedy=remedy)


def translate(text: str, t: Translator) -> str:
    """Translate a `Message` with its parameters; any other text stays as it is."""
    if not isinstance(text, Message):
        return text
    params = {name: translate(value, t) if isinstance(value, str) else value for name, value in text.params.items()}
    return t(text.id, **params)
