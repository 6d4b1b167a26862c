"""Countries, cities and distances on the sphere. NumPy and geographic data only."""

from triovision.geo.cities import SPACING_KM, Cities, candidate_cities
from triovision.geo.countries import country_flag, country_name, is_country
from triovision.geo.distances import EARTH_RADIUS_KM, THRESHOLDS_KM, distance_km, geo_score
from triovision.geo.posterior import CandidatePlaces, PlacePosterior, expected_distance_km, radius_holding_km

__all__ = [
    "EARTH_RADIUS_KM",
    "SPACING_KM",
    "THRESHOLDS_KM",
    "CandidatePlaces",
    "Cities",
    "PlacePosterior",
    "candidate_cities",
    "country_flag",
    "country_name",
    "distance_km",
    "expected_distance_km",
    "geo_score",
    "is_country",
    "radius_holding_km",
]
