"""Words about the position of a photo, for exports that people read."""

from __future__ import annotations

from typing import Protocol

from babel.numbers import format_decimal

from triovision.collections.entries import CollectionEntry
from triovision.errors import Message
from triovision.wording import area_title, confidence_name


class Translate(Protocol):
    """Translation into one language, such as the translator of the page."""

    @property
    def language(self) -> str:
        """ISO 639-1 code."""

    def __call__(self, msgid: str, /, **values: object) -> str:
        """Translate an English text, with each `{name}` replaced by its value."""


class _English:
    """Texts as they stand in the code."""

    language = "en"

    def __call__(self, msgid: str, /, **values: object) -> str:
        return msgid.format(**values)


ENGLISH: Translate = _English()


def translated(text: str, t: Translate) -> str:
    """Translate a `Message` with its parameters; any other text stays as it is."""
    if not isinstance(text, Message):
        return text
    params = {name: translated(value, t) if isinstance(value, str) else value for name, value in text.params.items()}
    return t(text.id, **params)


def position_lines(entry: CollectionEntry, t: Translate = ENGLISH) -> list[str]:
    """Describe a position: what it is, how sure it is, and where it comes from.

    Args:
        entry: The photo.
        t: Language of the lines.
    """
    answer = entry.answer
    lines: list[str] = []
    if entry.corrected is None:
        radius, radius_90 = (_number(km, t.language) for km in (answer.radius_km, answer.radius_90_km))
        radii = Message(
            "Half of the probability lies within {radius} km of this point, and 90% within {radius_90} km.",
            radius=radius,
            radius_90=radius_90,
        )
        lines += [area_title(answer.area, t.language), confidence_name(answer), radii]
    lines.append(_origin(entry))
    if entry.camera.taken_at is not None:
        lines.append(Message("Taken: {time}", time=entry.camera.taken_at.isoformat(" ")))
    return [translated(line, t) for line in lines]


def _origin(entry: CollectionEntry) -> Message:
    model = entry.answer.model
    return {
        "model": Message("Estimated from the image by the model {model}", model=model),
        "fused": Message(
            "Estimated from the image and from photos taken shortly before and after, by the model {model}", model=model
        ),
        "hand": Message("Position entered by hand"),
        "neighbour": Message("Position of another photo"),
        "track": Message("Position of a GPX track"),
    }[entry.position_origin]


def _number(value: float, language: str) -> str:
    return str(format_decimal(value, format="#,##0.#" if value < 10 else "#,##0", locale=language))
