import json
import re

import pytest
from streamlit_folium import _get_map_string

from triovision.viz.map_style import MapOptions
from triovision.viz.places_map import MarkedPlace, chosen_pin, click_map, places_map

TOKYO = MarkedPlace(lat_deg=35.68, lon_deg=139.69, sign="1", title="<b>one</b>`${x}", name="Tokyo", colour="#0b6b6e")
SEATTLE = MarkedPlace(lat_deg=47.61, lon_deg=-122.33, sign="2", title="two", name="Seattle", colour="#b4531a")


def script(plot):
    plot.render()
    return _get_map_string(plot)


def test_places_have_pins_and_a_legend():
    text = script(places_map([TOKYO, SEATTLE], MapOptions()))
    assert text.count("L.marker(") == 2
    assert "L.polyline(" not in text
    legend = json.loads(re.search(r"(\[\[.*\]\])\.forEach\(function \(row\) {\s+var line", text).group(1))
    assert legend == [["#0b6b6e", "1", "<b>one</b>`${x}"], ["#b4531a", "2", "two"]]
    assert "<b>one</b>" not in text


@pytest.mark.parametrize(("places", "closest"), [([TOKYO], 6), ([TOKYO, SEATTLE], 9)])
def test_pins_are_clear_of_the_boxes_and_one_alone_shows_its_country(places, closest):
    text = script(places_map(places, MapOptions()))
    options = json.loads(re.search(r"Object\.assign\(\{animate: false\}, (\{.*?\})\)", text).group(1))
    assert options["maxZoom"] == closest
    assert options["paddingTopLeft"] == [64, 140 + 20 * len(places)]
    assert "L.Control.MiniMap" not in text


def test_great_circles_cross_the_date_line():
    text = script(places_map([TOKYO, SEATTLE], MapOptions(), lines_from=0))
    (line,) = re.findall(r"L\.polyline\(\s*(\[\[.*?\]\])", text)
    points = json.loads(line)
    assert points[0] == pytest.approx([35.68, 139.69])
    assert points[-1] == pytest.approx([47.61, 237.67])  # 360 - 122.33
    assert max(point[0] for point in points) > 50  # over the Aleutians
    south_west, north_east = json.loads(re.search(r"fitBounds\((\[\[.*?\]\])", text).group(1))
    assert (south_west[1], north_east[1]) == pytest.approx((139.69, 237.67))


def test_the_map_to_click_has_outlines_and_zoom_only():
    text = script(click_map(MapOptions()))
    assert "L.control.zoom" in text
    assert "L.tileLayer" not in text
    assert "L.Control.Draw" not in text


def test_the_choice_is_one_dot():
    (dot,) = chosen_pin(1.5, -2.5)._children.values()
    assert dot.location == [1.5, -2.5]
