import pytest

from triovision.errors import EvidenceError
from triovision.geo import CLUE_KINDS, Clue, clue_name, countries_of_clues, is_country


@pytest.mark.parametrize(
    ("clue", "has", "has_not"),
    [
        (Clue("language", "de"), {"DE", "AT", "CH", "LI", "LU", "BE"}, {"FR", "ES", "JP"}),
        (Clue("language", "ca"), {"AD", "ES"}, {"PT", "MX"}),  # official in a part of Spain
        (Clue("language", "fr"), {"FR", "BE", "CH", "CA", "SN", "HT"}, {"ES", "BR", "RU"}),
        (Clue("language", "zh"), {"CN", "TW", "HK", "SG"}, {"JP", "KR"}),
        (Clue("script", "Cyrl"), {"RU", "UA", "BG", "RS", "MK", "KZ", "MN", "BA", "ME"}, {"SI", "HR", "TR", "GR"}),
        (Clue("script", "Hani"), {"CN", "TW", "HK", "MO"}, {"JP", "VN"}),
        (Clue("script", "Thai"), {"TH"}, {"LA", "KH"}),
        (Clue("script", "Arab"), {"EG", "IR", "PK", "SA", "MA"}, {"TR", "ID", "ES"}),
        (Clue("calling_code", "44"), {"GB", "GG", "IM", "JE"}, {"IE", "US"}),
        (Clue("calling_code", "1"), {"US", "CA", "JM"}, {"MX", "GB"}),
        (Clue("calling_code", "383"), {"XK"}, {"RS"}),
        (Clue("currency", "EUR"), {"FR", "DE", "XK", "ME", "HR"}, {"CH", "PL", "SE"}),
        (Clue("currency", "$"), {"US", "AU", "MX", "BR", "HK"}, {"GB", "JP", "FR"}),  # R$ and HK$ too
        (Clue("currency", "£"), {"GB", "GI"}, {"US", "IE"}),
        (Clue("currency", "¥"), {"JP", "CN"}, {"KR"}),
        (Clue("currency", "kr"), {"DK", "NO", "SE", "IS"}, {"FI"}),
        (Clue("internet_ending", ".uk"), {"GB"}, {"IE"}),
    ],
    ids=str,
)
def test_a_clue_leaves_the_countries_that_have_it(clue, has, has_not):
    assert has <= clue.countries
    assert not clue.countries & has_not


def test_traffic_drives_on_one_side():
    left, right = Clue("driving_side", "left").countries, Clue("driving_side", "right").countries
    # The neighbours that change sides at a border, islands, and the last to change: Samoa in 2009.
    assert {
        "GB",
        "IE",
        "MT",
        "CY",
        "JP",
        "IN",
        "TH",
        "HK",
        "MO",
        "ID",
        "TL",
        "AU",
        "ZA",
        "KE",
        "GY",
        "SR",
        "WS",
    } <= left
    assert {"VI", "VG", "FK", "SH"} <= left
    assert {"GI", "CN", "MM", "LA", "KH"} <= right
    assert {"US", "PR", "AO", "CD", "RW", "ET", "BR", "VE", "AF", "IR", "PH", "VU", "NC", "AS", "GU", "IO"} <= right
    assert left & right == {"AQ", "BV", "HM", "TF"}  # no public roads
    assert all(is_country(code) for code in left | right)


def test_every_clue_leaves_some_country_but_not_all():
    for kind in CLUE_KINDS:
        for value, countries in countries_of_clues(kind).items():
            assert 0 < len(countries) < 250, (kind, value)
            assert all(is_country(code) for code in countries)


def test_calling_codes_are_those_of_countries():
    assert "800" not in countries_of_clues("calling_code")  # free of charge, in no country


@pytest.mark.parametrize(
    ("kind", "value"), [("language", "xx"), ("calling_code", "800"), ("driving_side", "middle"), ("smell", "sea")]
)
def test_a_clue_that_nothing_is_known_of_is_refused(kind, value):
    with pytest.raises(EvidenceError):
        Clue(kind, value)


def test_names_are_in_the_readers_language():
    assert clue_name(Clue("language", "de"), "fr") == "allemand"
    assert clue_name(Clue("script", "Cyrl"), "en") == "Cyrillic"
    assert clue_name(Clue("currency", "EUR"), "fr") == "EUR, euro"
    assert clue_name(Clue("currency", "$"), "en") == "$"
    assert clue_name(Clue("calling_code", "33")) == "+33"
