import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_file
from babel.messages.frontend import parse_keywords
from babel.messages.pofile import read_po

from triovision.geo import country_name
from triovision.inference.card import ModelCard
from triovision.results import CameraFacts
from triovision.ui.card_texts import known_countries
from triovision.ui.translation import LANGUAGES, browser_language, get_translator, plain

ROOT = Path(__file__).parents[2]
CATALOGUES = sorted((ROOT / "assets" / "translations").glob("*.po"))
CARDS = [*(ROOT / "models").glob("*/card.json"), ROOT / "triovision/inference/geoclip/card.json"]
MEASUREMENTS = [*(ROOT / "models").glob("*/figures.json"), *(ROOT / "models").glob("*/studies.json")]
SOURCES = [ROOT / "studio.py", *(ROOT / "pages").glob("*.py"), *(ROOT / "triovision").rglob("*.py")]
#: The options of `make i18n-extract`.
KEYWORDS = re.findall(r"-k (\S+)", (ROOT / "Makefile").read_text("utf-8"))


def texts():
    keywords = DEFAULT_KEYWORDS | parse_keywords(KEYWORDS)
    sources = [("python", path) for path in SOURCES]
    sources += [("triovision.languages:extract_card", path) for path in CARDS]
    sources += [("triovision.languages:extract_measurements", path) for path in MEASUREMENTS]
    return {text for method, path in sources for _, text, *_ in extract_from_file(method, path, keywords)}


def catalogue(path):
    with path.open("rb") as file:
        return {message.id: message for message in read_po(file, locale=path.stem) if message.id}


def messages():
    return [message for path in CATALOGUES for message in catalogue(path).values()]


def test_texts_are_found_in_pages_widgets_maps_and_errors():
    assert {
        "Map",
        "Drop photos here",
        ("{number} photo", "{number} photos"),
        "The model cannot be used.",
        "the file is empty",
    } <= texts()


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_a_catalogue_has_every_text_and_no_other(path):
    assert set(catalogue(path)) == texts()


def test_every_catalogue_is_a_language_with_its_own_name():
    assert LANGUAGES == {"en": "English", "fr": "Français"}


@pytest.mark.parametrize("message", messages(), ids=lambda message: str(message.id)[:40])
def test_translations_are_whole_and_have_the_same_placeholders(message):
    def names(text):
        return set(re.findall(r"{(\w+)}", text))

    ids = message.id if message.pluralizable else (message.id,)
    strings = message.string if message.pluralizable else (message.string,)
    assert all(strings)
    assert not message.fuzzy
    assert {frozenset(names(text)) for text in (*ids, *strings)} == {frozenset(names(ids[0]))}


def test_no_french_line_begins_with_a_mark_of_punctuation():
    french = [message.string for message in catalogue(ROOT / "assets/translations/fr.po").values()]
    strings = [text for string in french for text in ((string,) if isinstance(string, str) else string)]
    assert [text for text in strings if re.search(r" [?!;»%]| :(\s|$)|« ", text)] == []


def test_texts_are_translated():
    assert get_translator("en")("Map") == "Map"
    assert get_translator("fr")("Map") == "Carte"
    assert get_translator("fr")("Heat map for {country}", country="le Pérou") == "Carte de chaleur\u00a0: le Pérou"
    assert [get_translator("fr").plural("{number} photo", "{number} photos", n) for n in (1, 2)] == [
        "1 photo",
        "2 photos",
    ]


def test_the_texts_of_a_shipped_card_are_translated_and_those_of_a_stranger_stay():
    french = get_translator("fr")
    card = ModelCard.model_validate_json(CARDS[0].read_bytes())
    for text in (card.summary, card.limits, card.calibration.fitted_on):
        assert french.of_card(text) != text
    assert french.of_card("Trained on {my} photos, 100%") == "Trained on {my} photos, 100%"
    assert french.of_card("") == ""


def test_known_countries_are_named_in_the_language_of_the_reader():
    card = ModelCard.model_validate_json(CARDS[0].read_bytes())
    known = known_countries(card, get_translator("fr"))
    assert known.startswith(f"{len(card.labels)} pays\u00a0: France (")
    assert {country_name(code, "fr") for code in card.labels} <= set(
        re.findall(r"(?:: |, )(.+?) \([\d\u202f]+ photos\)", known)
    )
    assert re.sub(r"(?<=\d),(?=\d)", "", known_countries(card, get_translator("en"))) == card.knows
    other = card.model_copy(update={"knows": "2 countries: Atlantis (3 photos), Peru (1 photo)."})
    assert known_countries(other, get_translator("fr")) == other.knows


def test_sliders_write_per_cent_as_texts_do():
    for language in LANGUAGES:
        t = get_translator(language)
        assert t.percent_format % 55 == t.percent(0.55)


def test_numbers_and_times_follow_the_language():
    taken = CameraFacts(taken_at=datetime(2024, 5, 6, 7, 8, tzinfo=UTC))
    assert get_translator("en").number(1234.5, 1) == "1,234.5"
    assert get_translator("fr").number(1234.5, 1) == "1\u202f234,5"
    assert [get_translator("en").km(n) for n in (0, 3.44, 9.94, 9.96, 1234.5)] == [
        "0.0 km",
        "3.4 km",
        "9.9 km",
        "10 km",
        "1,234 km",
    ]
    assert get_translator("fr").km(3.44) == "3,4 km"
    assert get_translator("fr").percent(0.934) == "93\u202f%"
    assert "6 mai 2024" in get_translator("fr").taken_at(taken)
    assert get_translator("en").taken_at(CameraFacts()) is None
    assert [get_translator("en").size(n) for n in (1_710_545_415, 13_920_000, 4519)] == ["1.71 GB", "13.9 MB", "0.0 MB"]
    assert get_translator("fr").size(1_710_545_415) == "1,71\u202fGo"
    assert [get_translator("en").duration(s) for s in (1, 45, 200)] == ["1 second", "45 seconds", "3 minutes"]
    assert get_translator("fr").duration(7200) == "2\u00a0heures"


@pytest.mark.parametrize(
    ("locale", "language"),
    [("fr-CA", "fr"), ("FR_fr", "fr"), ("en-US", "en"), ("de-DE", "en"), ("", "en"), (None, "en")],
)
def test_the_browser_chooses_the_language(locale, language):
    assert browser_language(locale) == language
    assert language in LANGUAGES


def test_no_break_spaces_stay_in_a_line():
    assert (
        plain("\u00a0il  en \nreste 13\u202f297\u00a0: 9\u202f%\u202f") == "il en reste 13\u202f297\u00a0\\: 9\u202f%"
    )


def test_a_name_from_outside_cannot_write_markdown():
    assert plain("![x](http://e)").replace("\u2060", "") == r"\!\[x\]\(http\:\/\/e\)".replace(r"\/", "/")
    assert plain("<b>*a*\u2028$x$ :red[b]") == r"\<b\>\*a\* \$x\$ \:red\[b\]"
    assert plain("a\u202eb\x00c") == "abc"
    assert len(plain("a" * 500, 40)) == 40
