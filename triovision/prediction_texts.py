"""Texts of a prediction in the reader's language: title, certainty, candidates, radii, camera facts, heat map.

Page, report, collection and command line use them. They are plain text: each escapes them for its own format.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

from triovision.geo import country_name, part_of_world_name

if TYPE_CHECKING:
    from triovision.guesses import Area, CountryGuess
    from triovision.languages import Translator
    from triovision.results import CameraFacts, Explanation, Prediction

VERY_SURE, FAIRLY_SURE = 0.9, 0.5  # calibrated probabilities: wrong at most once in ten, and once in two
_WITH_ARTICLE: Final = ("029", "057")  # the Caribbean, the Micronesian Region
_CANDIDATES: Final = 5

ConfidenceLevel = Literal["very", "fairly", "not", "uncalibrated"]
Fact = Literal["taken", "camera", "position", "software"]


def confidence_level(prediction: Prediction) -> ConfidenceLevel:
    """Confidence in what the title names: "very", "fairly", "not", or "uncalibrated" for every area of such a model."""
    if not prediction.calibrated:
        return "uncalibrated"
    probability = title_probability(prediction)
    if probability is None or probability < FAIRLY_SURE:
        return "not"
    return "very" if probability >= VERY_SURE else "fairly"


def confidence_name(prediction: Prediction, t: Translator) -> str:
    """Name of the confidence level."""
    return {
        "very": t("Very sure"),
        "fairly": t("Fairly sure"),
        "not": t("Not sure"),
        "uncalibrated": t("Uncalibrated"),
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


def confidence_text(prediction: Prediction, t: Translator) -> str:
    """Name of the confidence level and, where there is one, the probability of what the title names."""
    name, probability = confidence_name(prediction, t), title_probability(prediction)
    return name if probability is None else f"{name} · {t.percent(probability)}"


def area_title(area: Area, t: Translator) -> str:
    """Name of an area."""
    country = country_name(area.country, t.language)
    if area.kind == "landmark":
        return f"{area.name}, {area.city or country}"
    if area.kind == "place":
        return f"{country} · {area.name}"
    if area.kind == "region":
        radius = t.km(area.radius_km or 0)
        return t("Around {city}, {country} (within {radius})", city=area.name, country=country, radius=radius)
    if area.kind == "country":
        return country
    return _vague_title(area, t)


def _vague_title(area: Area, t: Translator) -> str:
    if area.kind == "unknown":
        return t("Not sure where this is")
    part = part_of_world_name(area.part_of_world, t.language)
    if area.part_of_world in _WITH_ARTICLE:
        return t("Somewhere in the {part}", part=part)
    return t("Somewhere in {part}", part=part)


def area_sentence(prediction: Prediction, t: Translator) -> str:
    """Explanation of the title: what its radius holds, or why it names nothing smaller."""
    area = prediction.area
    if area.kind == "landmark":
        return t(
            "The model recognises this landmark. The photo was taken within about {radius} km of it.",
            radius=t.number(area.radius_km or 0),  # without decimals: it is a rough figure
        )
    if area.kind in ("place", "region"):
        radius = t.km(area.radius_km or 0)
        if prediction.calibrated:
            return t("Half of the probability lies within {radius} of {place}.", radius=radius, place=area.name)
        return t("Half of the model's scores lie within {radius} of {place}.", radius=radius, place=area.name)
    if area.kind == "country":
        return t("No place in this country is certain enough to be named.")
    if area.kind == "part_of_world":
        return t("The model is not sure of the country. The most probable countries are:")
    return t("The model does not recognise enough in this photo. The most probable countries are:")


def guess_text(guess: CountryGuess, calibrated: bool, t: Translator) -> str:
    """Name of a country and, of a calibrated model, its probability."""
    name = country_name(guess.country, t.language)
    return f"{name} ({t.percent(guess.probability)})" if calibrated else name


def candidates(prediction: Prediction) -> Sequence[CountryGuess]:
    """The five most probable countries below a title that names none; empty below any other title."""
    return prediction.countries[:_CANDIDATES] if prediction.area.kind in ("part_of_world", "unknown") else ()


def other_countries(prediction: Prediction, t: Translator) -> str:
    """Sentence with the other countries of the likely set.

    Returns:
        Empty for a landmark, for a title that names no country, and where the set holds no other country.
    """
    if prediction.area.kind not in ("place", "region", "country"):
        return ""
    others = [country_name(country, t.language) for country in prediction.country_set[1 : _CANDIDATES + 1]]
    if not others:
        return ""
    more = len(prediction.country_set) - 1 - len(others)
    names = ", ".join(others) + (" " + t.plural("and {number} more", "and {number} more", more) if more else "")
    return t("It could also be: {names}.", names=names)


def place_rows(prediction: Prediction, t: Translator) -> dict[str, str]:
    """The best place (the landmark, if one is recognised) and both radii, by their names."""
    place = prediction.landmark or prediction.place
    return {
        t("Best place"): f"{place.name} ({place.lat_deg:.3f}°, {place.lon_deg:.3f}°)",
        t("Radius with half of the probability"): t.km(prediction.radius_km),
        t("Radius with 90% of the probability"): t.km(prediction.radius_90_km),
    }


def fact_name(fact: Fact, t: Translator) -> str:
    """Name of a fact that the camera wrote."""
    return {
        "taken": t("Taken"),
        "camera": t("Camera"),
        "position": t("Position in the file"),
        "software": t("Software that wrote the file"),
    }[fact]


def camera_rows(camera: CameraFacts, facts: Sequence[Fact], t: Translator) -> dict[str, str]:
    """What the camera wrote, by the names of the facts; a missing one is said to be.

    Args:
        camera: Metadata of the camera, untrusted.
        facts: The facts in the order of the rows.
        t: Language of the reader.
    """
    values: dict[Fact, str | None] = {
        "taken": t.taken_at(camera),
        "camera": camera.camera,
        "position": None if camera.position is None else "{:.5f}°, {:.5f}°".format(*camera.position),
        "software": camera.software,
    }
    return {fact_name(fact, t): values[fact] or t("not in the file") for fact in facts}


def explained_text(explanation: Explanation, t: Translator) -> str:
    """What a heat map explains: the country or, in a contrast, the two countries."""
    name = country_name(explanation.country, t.language)
    if explanation.against is None:
        return name
    return t("{country} and not {other}", country=name, other=country_name(explanation.against, t.language))


def legend_text(explanation: Explanation, t: Translator) -> str:
    """Sentences that say what the colours of a heat map mean."""
    name = country_name(explanation.country, t.language)
    if not explanation.signed:
        return t(
            "Bright areas contributed most to {country}, dark areas little. "
            "Grey areas are not part of the model input.",
            country=explained_text(explanation, t),
        )
    if explanation.against is None:
        meaning = t("Orange speaks for {country}, blue against it.", country=name)
    else:
        other = country_name(explanation.against, t.language)
        meaning = t("Orange speaks for {country}, blue for {other}.", country=name, other=other)
    return (
        meaning
        + " "
        + t("The stronger the colour, the more it counts. Dim grey areas are not part of the model input.")
    )
