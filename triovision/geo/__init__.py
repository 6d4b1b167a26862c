"""Countries, cities, distances and posteriors on the sphere. NumPy and geographic data only."""

from triovision.geo.candidate_places import CandidatePlaces, city_places
from triovision.geo.cities import SPACING_KM, Cities, candidate_cities
from triovision.geo.clues import CLUE_KINDS, Clue, ClueKind, clue_name, countries_of_clues
from triovision.geo.continents import CONTINENTS, continent_code, continent_name
from triovision.geo.countries import country_flag, country_name, is_country
from triovision.geo.density import Density
from triovision.geo.distances import EARTH_RADIUS_KM, THRESHOLDS_KM, distance_km, geo_score
from triovision.geo.evidence import Box, Evidence, Near
from triovision.geo.parts_of_world import PARTS_OF_WORLD, most_probable_part, part_of_world_name
from triovision.geo.posterior import Location, WeightedPlaces, radius_holding_km
from triovision.geo.sun import ShadowBand, SunPosition, at_place, height_from_shadow_deg, subsolar_point, sun_position

__all__ = [
    "CLUE_KINDS",
    "CONTINENTS",
    "EARTH_RADIUS_KM",
    "PARTS_OF_WORLD",
    "SPACING_KM",
    "THRESHOLDS_KM",
    "Box",
    "CandidatePlaces",
    "Cities",
    "Clue",
    "ClueKind",
    "Density",
    "Evidence",
    "Location",
    "Near",
    "ShadowBand",
    "SunPosition",
    "WeightedPlaces",
    "at_place",
    "candidate_cities",
    "city_places",
    "clue_name",
    "continent_code",
    "continent_name",
    "countries_of_clues",
    "country_flag",
    "country_name",
    "distance_km",
    "geo_score",
    "height_from_shadow_deg",
    "is_country",
    "most_probable_part",
    "part_of_world_name",
    "radius_holding_km",
    "subsolar_point",
    "sun_position",
]
