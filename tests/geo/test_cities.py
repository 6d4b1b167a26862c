import csv
import os
from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path

import pytest

from triovision.geo import SPACING_KM, candidate_cities, distance_km


def test_largest_cities_come_first_within_each_country():
    cities = candidate_cities(["JP", "NA"], per_country=3)
    assert cities.countries == ("JP",) * 3 + ("NA",) * 3
    assert cities.names[0] == "Tokyo"
    assert cities.names[3] == "Windhoek"
    assert all(a >= b for a, b in pairwise(cities.population[:3]))
    assert distance_km(cities.lat_deg[0], cities.lon_deg[0], 35.68, 139.69) < 25
    assert distance_km(cities.lat_deg[3], cities.lon_deg[3], -22.56, 17.08) < 25


def test_order_of_countries_is_kept_and_does_not_change_the_cities():
    one, other = candidate_cities(["FR", "US"], 4), candidate_cities(["US", "FR"], 4)
    assert other.names == one.names[4:] + one.names[:4]


def test_boroughs_are_not_counted_beside_their_city():
    cities = candidate_cities(["US"], per_country=10)
    assert len(cities.names) == 10
    assert cities.names[0] == "New York City"
    assert not {"Brooklyn", "Queens", "Manhattan", "The Bronx"} & set(cities.names)
    points = list(zip(cities.lat_deg, cities.lon_deg, strict=True))
    assert all(distance_km(*one, *other) >= SPACING_KM for one, other in combinations(points, 2))


def test_places_without_cities_come_from_the_time_zone_database():
    cities = candidate_cities(["AQ", "TK", "UM"], per_country=1)
    # Unicode CLDR has renamed some of them: "McMurdo" became "McMurdo Station".
    assert [name.split()[0] for name in cities.names] == ["McMurdo", "Fakaofo", "Midway"]
    # -7750+16636, -0922-17114 and +2813-17722 in the database
    assert cities.lat_deg == pytest.approx([-77 - 50 / 60, -9 - 22 / 60, 28 + 13 / 60])
    assert cities.lon_deg == pytest.approx([166 + 36 / 60, -171 - 14 / 60, -177 - 22 / 60])
    assert cities.population == pytest.approx([0, 0, 0])


def test_time_zone_positions_with_seconds():
    cities = candidate_cities(["AQ"], per_country=10)
    (syowa,) = (i for i, name in enumerate(cities.names) if name in {"Syowa", "Showa Station"})
    # -690022+0393524 in the database
    assert cities.lat_deg[syowa] == pytest.approx(-69 - 22 / 3600)
    assert cities.lon_deg[syowa] == pytest.approx(39 + 35 / 60 + 24 / 3600)


@pytest.mark.parametrize(
    ("countries", "per_country", "message"),
    [
        (["FR", "XX", "BV"], 10, "'XX', 'BV'"),
        (["FR", "FR"], 10, "must not repeat"),
        (["FR"], 0, "per_country"),
    ],
)
def test_refuses_what_has_no_answer(countries, per_country, message):
    with pytest.raises(ValueError, match=message):
        candidate_cities(countries, per_country)


@pytest.mark.data
@pytest.mark.skipif("TRIOVISION_DATA" not in os.environ, reason="TRIOVISION_DATA names no folder of photos")
def test_every_country_of_the_photos_has_a_place():
    with (Path(os.environ["TRIOVISION_DATA"]) / "manifest.csv").open(encoding="utf-8", newline="") as manifest:
        codes = sorted({row["country"] for row in csv.DictReader(manifest)})
    counts = Counter(candidate_cities(codes).countries)
    assert set(counts) == set(codes)
    assert len(codes) >= 185
