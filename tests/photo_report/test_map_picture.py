import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from triovision.geo import WeightedPlaces
from triovision.guesses import PlaceGuess
from triovision.photo_report import map_picture as m

SUVA = PlaceGuess("Suva", "FJ", -18.1416, 178.4419, 1.0)


def drawn(prediction, camera=None):
    svg = m.map_picture(prediction, camera, ("<Place>", "Camera"), 'A "map" & more')
    return ET.fromstring(svg)  # noqa: S314 - our own picture


def centre(svg, kind):
    shape = next(group for group in svg.iter("g") if group.get("class") == kind)[0]
    if shape.tag == "circle":
        return float(shape.get("cx")), float(shape.get("cy"))
    return float(shape.get("x")) + 6, float(shape.get("y")) + 6


def test_a_window_is_true_to_scale_at_its_middle():
    window = m.Window(lat_deg=60.0, lon_deg=10.0, px_a_degree=20.0)
    x, y = window.xy(np.array([60.0, 61.0, 60.0]), np.array([10.0, 10.0, 11.0])).T
    assert x.tolist() == pytest.approx([360, 360, 370])  # a degree of longitude is half as long at 60°
    assert y.tolist() == pytest.approx([220, 200, 220])


def test_a_window_holds_its_points_and_never_more_than_the_earth():
    window = m.window_around(np.array([[40.0, -5.0], [52.0, 9.0]]))
    xy = window.xy(np.array([40.0, 52.0]), np.array([-5.0, 9.0]))
    assert ((xy > 0) & (xy < [m.WIDTH, m.HEIGHT])).all()
    world = m.window_around(np.array([[-90.0, -180.0], [90.0, 180.0]]))
    assert world.half_width_deg == pytest.approx(180)


def test_the_place_the_camera_and_the_radii_are_drawn(prediction_of):
    svg = drawn(prediction_of(), camera=(50.85, 4.35))
    place, camera = centre(svg, "place"), centre(svg, "camera")
    assert camera[0] > place[0]  # Brussels lies east and north of Paris
    assert camera[1] < place[1]
    assert svg.get("aria-label") == 'A "map" & more'
    assert "<Place>" in {text.text for text in svg.iter("text")}
    assert len([path for path in svg.iter("path") if path.get("class") == "radius"]) == 2
    assert [rect for rect in svg.iter("rect") if rect.get("class") == "density"]


def test_a_camera_across_the_date_line_is_near(prediction_of):
    posterior = WeightedPlaces(
        lat_deg=np.array([SUVA.lat_deg]),
        lon_deg=np.array([SUVA.lon_deg]),
        weight=np.ones(1),
        countries=np.array(["FJ"]),
    )
    svg = drawn(prediction_of(place=SUVA, places=(SUVA,), posterior=posterior), camera=(-13.83, -171.76))  # Apia
    place, camera = centre(svg, "place"), centre(svg, "camera")
    assert 0 < place[0] < camera[0] < m.WIDTH


def test_without_outlines_the_coast_is_drawn(prediction_of, monkeypatch, tmp_path):
    monkeypatch.setattr(m, "_OUTLINES", tmp_path / "none.json")
    svg = drawn(prediction_of())
    (coast,) = [path for path in svg.iter("path") if path.get("class") == "coast"]
    points = np.array([[int(x), int(y)] for x, y in re.findall(r"M(-?\d+) (-?\d+)h1", coast.get("d"))])
    assert len(points) > 100
    assert ((points >= 0) & (points <= [m.WIDTH, m.HEIGHT])).all()
