import pytest

from triovision.geo.city_search import find_cities


@pytest.mark.parametrize(
    ("name", "city", "country"),
    [
        ("Paris", "Paris", "FR"),
        ("  pékin ", "Beijing", "CN"),
        ("MOSKVA", "Moscow", "RU"),
        ("sao paul", "São Paulo", "BR"),
    ],
)
def test_a_city_is_found_in_other_languages_without_accents_or_by_its_beginning(name, city, country):
    first = find_cities(name)[0]
    assert (first.name, first.country) == (city, country)


def test_the_largest_city_of_a_name_is_first():
    found = find_cities("Birmingham")
    assert [city.country for city in found[:2]] == ["GB", "US"]
    assert found[0].lat_deg == pytest.approx(52.48, abs=0.02)
    assert found[0].population > found[1].population


@pytest.mark.parametrize("name", ["", "  ", "Xqzzy", "<b>"])
def test_no_city_is_found(name):
    assert find_cities(name) == []
