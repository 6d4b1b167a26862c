import json

import numpy as np
import pytest

from triovision.geo import WeightedPlaces
from triovision.guesses import Area, CountryGuess, PlaceGuess
from triovision.languages import percent
from triovision.results import Prediction
from triovision.viz import figures
from triovision.viz.figures import country_label
from triovision.viz.flags import FLAGS
from triovision.viz.palette import DARK, LIGHT

PLACE = PlaceGuess("Lyon", "FR", 45.75, 4.85, 0.3)
PREDICTION = Prediction(
    photo="a.jpg",
    model="tiny.test",
    countries=tuple(CountryGuess(c, p) for c, p in [("FR", 0.5), ("IT", 0.25), ("ES", 0.125), ("CH", 0.0625)]),
    country_set=("FR", "IT"),
    place=PLACE,
    radius_km=100.0,
    radius_90_km=900.0,
    places=(PLACE,),
    posterior=WeightedPlaces(
        lat_deg=np.array([45.75]), lon_deg=np.array([4.85]), weight=np.ones(1), countries=np.array(["FR"])
    ),
    area=Area(kind="region", probability=0.5, name="Lyon", country="FR", radius_km=100),
    abstained=False,
    elapsed_ms=1.0,
    device="cpu",
    precision="float32",
)


@pytest.mark.parametrize(
    ("fraction", "english", "french"),
    [
        (0, "0%", "0\u202f%"),
        (0.0004, "< 0.1%", "< 0,1\u202f%"),
        (0.0123, "1.2%", "1,2\u202f%"),
        (0.0994, "9.9%", "9,9\u202f%"),
        (0.0996, "10%", "10\u202f%"),
        (0.416, "42%", "42\u202f%"),
        (1, "100%", "100\u202f%"),
    ],
)
def test_percentages_are_written_as_readers_write_them(fraction, english, french):
    assert percent(fraction) == english
    assert percent(fraction, "fr") == french


def test_labels_are_names_and_stay_short():
    assert country_label("DE") == "Germany"
    assert country_label("DE", "fr") == "Allemagne"
    label = country_label("GS")  # South Georgia & South Sandwich Islands
    assert label.endswith("…")
    assert len(label) <= 22


def test_the_widths_of_the_strip_sum_to_one():
    strip = figures.certainty_strip(PREDICTION, LIGHT, ("rest", "others"))
    assert [(bar.name, bar.x[0]) for bar in strip.data] == [("France", 0.5), ("rest", 0.25), ("others", 0.25)]
    assert strip.layout.barmode == "stack"


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_the_numbers_of_the_strip_are_readable(palette):
    strip = figures.certainty_strip(PREDICTION, palette, ("rest", "others"))
    # Behind the number of the hatched bar lie its colour and the lines of the hatching.
    for bar in strip.data:
        grounds = [bar.marker.color, *([bar.marker.pattern.fgcolor] if bar.marker.pattern.shape else [])]
        assert min(contrast(bar.insidetextfont.color, ground) for ground in grounds) > 4.5
        assert contrast(bar.marker.line.color, palette.background) >= 3  # the parts are told apart by their edges


def test_bars_split_at_the_set_and_keep_the_order():
    bars = figures.probability_bars(PREDICTION, 3, LIGHT, ("in", "out"), "fr")
    inside, outside = bars.data
    assert (inside.name, list(inside.x), list(inside.y)) == ("in", [0.5, 0.25], ["France", "Italie"])
    assert (outside.name, list(outside.x), list(outside.y)) == ("out", [0.125], ["Espagne"])
    assert list(outside.text) == ["12\u202f%"]
    assert list(bars.layout.yaxis.categoryarray) == ["Espagne", "Italie", "France"]  # bottom to top
    if FLAGS.is_dir():
        assert [image.y for image in bars.layout.images] == ["France", "Italie", "Espagne"]
        assert all(image.source.startswith("data:image/svg+xml;base64,") for image in bars.layout.images)
    assert inside.marker.pattern.shape != outside.marker.pattern.shape  # not by colour alone


def test_the_radar_is_closed():
    (ring,) = figures.probability_radar(PREDICTION, 3, LIGHT).data
    assert list(ring.r) == [0.5, 0.25, 0.125, 0.5]
    assert ring.theta[0] == ring.theta[-1] == "France"
    assert ring.text[1] == "Italy · 25%"


def test_every_cell_of_the_similarity_map_says_its_number():
    similarity_kk = np.array([[1, -0.25], [-0.25, 1]], np.float32)
    (cells,) = figures.similarity_heatmap(["FR", "IT"], similarity_kk, LIGHT, "fr").data
    assert np.array_equal(cells.z, similarity_kk)
    assert [list(row) for row in cells.text] == [["1,00", "-0,25"], ["-0,25", "1,00"]]
    assert (cells.zmin, cells.zmax) == (-0.25, 1.0)


def test_a_similarity_of_other_countries_is_refused():
    with pytest.raises(ValueError, match=r"\(3, 3\).*\(2, 2\)"):
        figures.similarity_heatmap(["FR", "IT", "ES"], np.eye(2, dtype=np.float32), LIGHT)


def test_a_gauge_shows_its_country():
    gauge = figures.probability_gauge(PREDICTION.countries[1], LIGHT)
    assert gauge.data[0].value == 0.25
    assert {note.text for note in gauge.layout.annotations} == {"<b>25%</b>", "Italy"}


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_words_stand_out_from_the_background(palette):
    # WCAG 2.2, 1.4.3: contrast of text of at least 4.5, of large marks (1.4.11) of at least 3.
    assert contrast(palette.text, palette.background) >= 4.5
    assert contrast(palette.accent, palette.background) >= 4.5
    assert contrast(palette.muted, palette.background) >= 3
    figure = figures.probability_radar(PREDICTION, 4, palette)
    assert figure.layout.paper_bgcolor == palette.background
    assert figure.layout.font.color == palette.text


def contrast(one, other):
    def luminance(color):
        channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_page_of_figures_needs_no_network_and_escapes_names():
    strip = figures.certainty_strip(PREDICTION, LIGHT, ("rest", "others"))
    page = figures.figures_page({"One": strip, "<Two>": strip}, "<script>alert(1)</script>.jpg")
    assert "<script>alert" not in page
    assert "&lt;Two&gt;" in page
    assert page.count("Plotly.newPlot(") >= 2
    assert "<script src=" not in page
    assert len(page) > 1_000_000  # Plotly itself is inside


def test_figures_are_plain_json():
    for figure in (
        figures.probability_bars(PREDICTION, 4, DARK, ("in", "out")),
        figures.probability_gauge(PREDICTION.countries[0], DARK),
    ):
        assert json.loads(figure.to_json())["data"]
