"""Words about the position of a photo, for exports that people read."""

from __future__ import annotations

from triovision.collections.entries import CollectionEntry
from triovision.languages import ENGLISH, Translator
from triovision.prediction_texts import area_title, confidence_name


def position_lines(entry: CollectionEntry, t: Translator = ENGLISH) -> list[str]:
    """Describe a position: what it is, how sure it is, and where it comes from.

    Args:
        entry: The photo.
        t: Language of the lines.
    """
    answer = entry.answer
    lines: list[str] = []
    if entry.corrected is None:
        radii = t(
            "Half of the probability lies within {radius} of this point, and 90% within {radius_90}.",
            radius=t.km(answer.radius_km),
            radius_90=t.km(answer.radius_90_km),
        )
        lines += [area_title(answer.area, t), confidence_name(answer, t), radii]
    lines.append(_origin(entry, t))
    if entry.camera.taken_at is not None:
        lines.append(t("Taken: {time}", time=entry.camera.taken_at.isoformat(" ")))
    return lines


def _origin(entry: CollectionEntry, t: Translator) -> str:
    model = entry.answer.model
    return {
        "model": t("Estimated from the image by the model {model}", model=model),
        "fused": t(
            "Estimated from the image and from photos taken shortly before and after, by the model {model}", model=model
        ),
        "hand": t("Position entered by hand"),
        "neighbour": t("Position of another photo"),
        "track": t("Position of a GPX track"),
    }[entry.position_origin]
