import pytest

from triovision.geo import country_flag, country_name, is_country


@pytest.mark.parametrize(
    ("code", "language", "name"),
    [
        ("DE", "en", "Germany"),
        ("DE", "fr", "Allemagne"),
        ("DE", "fr-CA", "Allemagne"),
        ("DE", "FR_fr", "Allemagne"),
        ("NA", "en", "Namibia"),
        ("NA", "fr", "Namibie"),
        ("XK", "en", "Kosovo"),
        ("AQ", "fr", "Antarctique"),
    ],
)
def test_name_in_the_readers_language(code, language, name):
    assert country_name(code, language) == name


@pytest.mark.parametrize("language", ["xx", "klingon", "", "../../etc/passwd", "\x00", "fr_FR_x_y_z", "1"])
def test_unknown_language_reads_as_english(language):
    assert country_name("DE", language) == "Germany"


@pytest.mark.parametrize("code", ["ZZ", "EU", "AN", "CS", "QQ", "fr", "FRA", "", "001", "🇫🇷"])
def test_what_is_no_country_has_its_code_for_a_name_and_no_flag(code):
    assert not is_country(code)
    assert country_name(code) == code
    assert country_flag(code) == ""


def test_flags_are_regional_indicators():
    assert country_flag("FR") == "\N{REGIONAL INDICATOR SYMBOL LETTER F}\N{REGIONAL INDICATOR SYMBOL LETTER R}"
    assert country_flag("NA") == "🇳🇦"
    assert is_country("NA")
