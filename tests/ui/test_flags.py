import pytest

from triovision.ui import flags
from triovision.ui.translation import get_translator
from triovision.viz.flags import FLAGS

ENGLISH, FRENCH = get_translator("en"), get_translator("fr")


@pytest.mark.skipif(not FLAGS.is_dir(), reason="needs the npm packages: make assets")
def test_a_flag_is_an_image_with_the_name_of_its_country():
    image = flags.flag_markdown("GB", ENGLISH)
    assert image.replace("\\", "").startswith("![Flag: United Kingdom](component/")
    assert image.endswith("/gb.svg)")
    assert "Drapeau\u00a0: Royaume-Uni" in flags.flag_markdown("GB", FRENCH).replace("\\", "")
    assert flags.with_flag("GB", "London", ENGLISH) == f"{image} London"


def test_without_the_drawings_a_flag_is_an_emoji(monkeypatch):
    monkeypatch.setattr(flags, "flag_file", lambda _: None)
    assert flags.with_flag("FR", "Paris", ENGLISH) == "🇫🇷 Paris"


@pytest.mark.parametrize("code", ["", "EU", "](javascript:alert(1))"])
def test_what_is_no_country_has_no_flag(code):
    assert flags.with_flag(code, "Somewhere", ENGLISH) == "Somewhere"
