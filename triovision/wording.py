"""Wording of a prediction: title, sentence and confidence, the same on the page and on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from babel.numbers import format_decimal

from triovision.errors import Message
from triovision.geo import country_name, part_of_world_name

if TYPE_CHECKING:
    from triovision.guesses import Area
    from triovision.results import Prediction

VERY_SURE, FAIRLY_SURE = 0.9, 0.5  # calibrated probabilities: wrong at most once in ten, and once in two
_WITH_ARTICLE: Final = ("029", "057")  # the Caribbean, the Micronesian Region

ConfidenceLevel = Literal["very", "fairly", "not", "uncalibrated"]


def confidence_level(prediction: Prediction) -> ConfidenceLevel:
    """Confidence in what the title names: "very", "fairly", "not", or "uncalibrated" for every area of such a model."""
    if not prediction.calibrated:
        return "uncalibrated"
    probability = title_probability(prediction)
    if probability is None or probability < FAIRLY_SURE:
        return "not"
    return "very" if probability >= VERY_SURE else "fairly"


def confidence_name(prediction: Prediction) -> Message:
    """Name of the confidence level."""
    return {
        "very": Message("Very sure"),
        "fairly": Message("Fairly sure"),
        "not": Message("Not sure"),
        "uncalibrated": Message("Uncalibrated"),
    }[confidence_level(prediction)]


def title_probability(prediction: Prediction) -> float | None:
    """Probability of the landmark, the country or the part of the world that the title names.

    Returns:
        None where the title names none, and for an uncalibrated model, whose percentages would promise too much.
    """
    area = prediction.area
    if area.kind == "unknown" or not prediction.calibrated:
        return None
    # A place or region is as certain as its country; its own probability is the half that its radius holds.
    return area.probability if area.kind in ("landmark", "part_of_world") else prediction.countries[0].probability


def area_title(area: Area, language: str = "en") -> str:
    """Name of an area, a `Message` where it has words to translate.

    Args:
        area: The area.
        language: Language of the names of countries and parts of the world, and of numbers.
    """
    country = country_name(area.country, language)
    if area.kind == "landmark":
        return f"{area.name}, {area.city or country}"
    if area.kind == "place":
        return f"{country} · {area.name}"
    if area.kind == "region":
        radius = _number(area.radius_km or 0, language)
        return Message("Around {city}, {country} (within {radius} km)", city=area.name, country=country, radius=radius)
    if area.kind == "country":
        return country
    return _vague_title(area, language)


def _vague_title(area: Area, language: str) -> Message:
    if area.kind == "unknown":
        return Message("Not sure where this is")
    part = part_of_world_name(area.part_of_world, language)
    if area.part_of_world in _WITH_ARTICLE:
        return Message("Somewhere in the {part}", part=part)
    return Message("Somewhere in {part}", part=part)


def area_sentence(prediction: Prediction, language: str = "en") -> Message:
    """Explanation of the title: what its radius holds, or why it names nothing smaller.

    Args:
        prediction: The prediction.
        language: Language of numbers.
    """
    area = prediction.area
    if area.kind == "landmark":
        radius = _number(area.radius_km or 0, language)
        return Message(
            "The model recognises this landmark. The photo was taken within about {radius} km of it.", radius=radius
        )
    if area.kind in ("place", "region"):
        radius = _number(area.radius_km or 0, language)
        if prediction.calibrated:
            return Message(
                "Half of the probability lies within {radius} km of {place}.", radius=radius, place=area.name
            )
        return Message("Half of the model's scores lie within {radius} km of {place}.", radius=radius, place=area.name)
    if area.kind == "country":
        return Message("No place in this country is certain enough to be named.")
    if area.kind == "part_of_world":
        return Message("The model is not sure of the country. The most probable countries are:")
    return Message("The model does not recognise enough in this photo. The most probable countries are:")


def _number(value: float, language: str) -> str:
    return str(format_decimal(value, format="#,##0", locale=language))
