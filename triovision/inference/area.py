"""Area of a prediction: the smallest one that a model can vouch for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from triovision.geo import SPACING_KM, distance_km, most_probable_part
from triovision.geo.city_metadata import nearest_city
from triovision.guesses import Area, CountryGuess, PlaceGuess

MIN_LANDMARK_PROBABILITY: Final = 0.8
"""A landmark of a lower probability is not named."""
LANDMARK_RADIUS_KM: Final = 1.0
"""Distance within which a photo of a landmark counts as taken there: "street level" in geolocation benchmarks."""
PLACE_RADIUS_KM: Final = 25.0
REGION_RADIUS_KM: Final = 200.0
_IN_RADIUS: Final = 0.5  # part of the photos that lie within the calibrated radius


def choose_area(
    countries: Sequence[CountryGuess],
    place: PlaceGuess,
    radius_km: float,
    landmark: PlaceGuess | None,
    part_of_world_threshold: float | None,
) -> Area:
    """Choose the smallest area that a model can vouch for.

    Args:
        countries: All countries, most probable first.
        place: Best place, in the first country.
        radius_km: Calibrated radius around it that holds half of the probability.
        landmark: Recognised landmark; it is the area whatever the countries are.
        part_of_world_threshold: Lowest probability of a part of the world to be named, for a model that abstains; None
            for one that does not.
    """
    if landmark is not None:
        return _landmark_area(landmark)
    if part_of_world_threshold is not None:
        part, probability = most_probable_part(countries)
        if probability < part_of_world_threshold:
            return Area(kind="unknown", probability=1.0)
        return Area(kind="part_of_world", probability=probability, part_of_world=part)
    if place.name and radius_km <= REGION_RADIUS_KM:
        return Area(
            kind="place" if radius_km <= PLACE_RADIUS_KM else "region",
            probability=_IN_RADIUS,
            name=place.name,
            country=place.country,
            radius_km=radius_km,
        )
    return Area(kind="country", probability=countries[0].probability, country=countries[0].country)


def _landmark_area(landmark: PlaceGuess) -> Area:
    city = nearest_city([landmark.lat_deg], [landmark.lon_deg])
    away_km = distance_km(landmark.lat_deg, landmark.lon_deg, city.lat_deg[0], city.lon_deg[0])
    in_city = away_km <= SPACING_KM and city.countries[0] == landmark.country
    named = city.names[0].casefold() in landmark.name.casefold()  # "Sagrada Família, Barcelona" says it already
    return Area(
        kind="landmark",
        probability=landmark.probability,
        name=landmark.name,
        city=city.names[0] if in_city and not named else "",
        country=landmark.country,
        radius_km=LANDMARK_RADIUS_KM,
    )
