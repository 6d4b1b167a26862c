"""Contrast of the colours (WCAG 2.2) and their agreement with the configuration of Streamlit."""

import tomllib
from pathlib import Path

import pytest

from triovision.viz.map_style import CAMERA_COLOUR, LANDMARK_COLOUR, colours
from triovision.viz.palette import DARK, FONT_FAMILY, LIGHT

ROOT = Path(__file__).parents[2]
THEME = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_formula_gives_the_values_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the well-known grey that just fails


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("words", ["text", "muted", "accent"])
@pytest.mark.parametrize("ground", ["background", "surface"])
def test_words_are_readable(palette, words, ground):
    assert contrast(getattr(palette, words), getattr(palette, ground)) >= 4.5


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_words_on_the_accent_are_readable(palette):
    assert contrast(palette.on_accent, palette.accent) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_and_pins_of_the_map_are_readable(theme):
    ground = colours(theme)
    assert contrast(ground["text"], ground["panel"]) >= 4.5
    assert contrast(ground["accent"], ground["panel"]) >= 4.5
    assert contrast("#ffffff", CAMERA_COLOUR) >= 4.5
    assert contrast("#ffffff", LANDMARK_COLOUR) >= 4.5
    for place in ("land", "sea"):
        assert contrast(ground["accent"], ground[place]) >= 3


@pytest.mark.parametrize(("name", "palette"), [("light", LIGHT), ("dark", DARK)])
def test_streamlit_has_the_same_colours(name, palette):
    assert {
        "primaryColor": palette.accent,
        "linkColor": palette.accent,
        "backgroundColor": palette.background,
        "secondaryBackgroundColor": palette.surface,
        "textColor": palette.text,
        "borderColor": palette.grid,
    }.items() <= THEME[name].items()


def test_the_fonts_of_the_page_are_there_and_are_those_of_the_figures():
    for face in THEME["fontFaces"]:
        font = ROOT / face["url"].removeprefix("app/")
        assert font.read_bytes()[:4] == b"wOF2"
        assert FONT_FAMILY.startswith(face["family"])
    assert {face["weight"] for face in THEME["fontFaces"]} == {"400", "500", "600"}
    assert "SIL Open Font License" in (ROOT / "static" / "fonts" / "OFL.txt").read_text(encoding="utf-8")
