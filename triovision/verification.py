"""Comparison of a claimed place with a model's own prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from triovision.geo import distance_km
from triovision.geo.reverse import country_at

if TYPE_CHECKING:
    from triovision.results import Prediction

VerdictKind = Literal["agrees", "possible", "contradicts", "unknown_country", "not_sure", "uncalibrated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Judgement of a claimed place, with its numbers.

    Attributes:
        kind: `"agrees"`: within the radius that holds half of the probability, or within the 90 % radius and in a
            country of the country set. `"possible"`: only one of the two at 90 %. `"contradicts"`: neither.
            `"unknown_country"`: neither, but the country is none of the model's. `"not_sure"`: the model abstains.
            `"uncalibrated"`: nobody has measured how often the model's radii and sets hold.
        distance_km: Distance from the predicted place.
        radius_km: Radius around the predicted place that holds half of the probability.
        radius_90_km: Radius that holds 90 % of it.
        country: Country of the claimed place (ISO 3166-1 alpha-2); None on the high seas.
        country_probability: Probability that the model gives to it; None if the model does not know that country.
        in_country_set: Whether it is in the conformal set of the prediction.
    """

    kind: VerdictKind
    distance_km: float
    radius_km: float
    radius_90_km: float
    country: str | None
    country_probability: float | None
    in_country_set: bool


def verify_place(prediction: Prediction, lat_deg: float, lon_deg: float) -> Verdict:
    """Compare a claimed place with a prediction.

    Args:
        prediction: The model's own prediction, with all countries of the model and without evidence.
        lat_deg: Latitude in degrees WGS 84.
        lon_deg: Longitude in degrees WGS 84.

    Raises:
        ValueError: If the position is not on Earth.
    """
    country = country_at(lat_deg, lon_deg)
    known = {guess.country: guess.probability for guess in prediction.countries}
    away_km = float(distance_km(lat_deg, lon_deg, prediction.place.lat_deg, prediction.place.lon_deg))
    in_set = country in prediction.country_set
    return Verdict(
        kind=_kind(prediction, away_km, in_set, country is None or country in known),
        distance_km=away_km,
        radius_km=prediction.radius_km,
        radius_90_km=prediction.radius_90_km,
        country=country,
        country_probability=None if country is None else known.get(country),
        in_country_set=in_set,
    )


def _kind(prediction: Prediction, away_km: float, in_set: bool, known: bool) -> VerdictKind:
    if not prediction.calibrated:
        return "uncalibrated"
    if prediction.abstained:
        return "not_sure"
    in_radius = away_km <= prediction.radius_90_km
    if away_km <= prediction.radius_km or (in_radius and in_set):
        return "agrees"
    if in_radius or in_set:
        return "possible"
    return "contradicts" if known else "unknown_country"
