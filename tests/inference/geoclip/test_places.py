"""Places of a handful of positions, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from triovision.errors import ModelError
from triovision.geo import WeightedPlaces
from triovision.geo.city_metadata import nearest_city
from triovision.inference.geoclip.gallery import Gallery, country_indices, read_gallery

LABELS = ("FR", "IT")
#: Two ends of Paris, Lyon, Rome twice, 5 km apart.
GALLERY = Gallery(np.array([48.86, 48.85, 45.76, 41.90, 41.94]), np.array([2.29, 2.40, 4.84, 12.49, 12.46]))
COUNTRIES = np.array(["FR", "FR", "FR", "IT", "IT"])


def locate(weight, top_places=20):
    names = nearest_city(GALLERY.lat_deg, GALLERY.lon_deg).names
    places = WeightedPlaces(
        lat_deg=GALLERY.lat_deg,
        lon_deg=GALLERY.lon_deg,
        weight=np.array(weight),
        countries=COUNTRIES,
        names=names,
        resolution_km=25,
    )
    return places.locate(next(iter(places.by_country())), top_places)


def test_positions_of_one_city_are_one_place() -> None:
    located = locate([0.2, 0.25, 0.15, 0.3, 0.1], 20)
    assert [(place.name, place.country) for place in located.places] == [
        ("Paris", "FR"),
        ("Rome", "IT"),
        ("Lyon", "FR"),
    ]
    assert [place.probability for place in located.places] == pytest.approx([0.45, 0.4, 0.15])
    assert (located.places[0].lat_deg, located.places[0].lon_deg) == (48.85, 2.40)  # its most probable position
    assert len(locate([0.2, 0.25, 0.15, 0.3, 0.1], 2).places) == 2


def test_the_best_place_is_of_the_most_probable_country_and_in_the_middle() -> None:
    located = locate([0.2, 0.2, 0.15, 0.35, 0.1], 20)
    # France has 0.55, though Rome is the most probable position and place. From Lyon it is some 390 km to Paris and
    # 740 to Rome; from Paris 390 to Lyon and 1,100 to Rome: 0.4·390 + 0.45·740 < 0.15·390 + 0.45·1100.
    assert (located.place.name, located.place.country) == ("Lyon", "FR")
    assert located.place.probability == pytest.approx(0.15)
    assert 380 < located.radius_km < 410


def test_one_position_has_a_radius_of_the_spacing_of_cities() -> None:
    located = locate([0.0, 1.0, 0, 0, 0], 20)
    assert located.place.name == "Paris"
    assert located.radius_km == 25
    assert located.places[0].probability == 1


def test_a_position_at_sea_belongs_to_the_nearest_with_a_country() -> None:
    gallery = Gallery(np.array([48.86, 44.0, 41.90]), np.array([2.29, -30.0, 12.49]))
    assert country_indices(gallery, LABELS).tolist() == [0, 0, 1]
    with pytest.raises(ValueError, match="labels"):
        country_indices(gallery, ("JP",))


@pytest.mark.parametrize(
    "text",
    ["LON,LAT\n1,2\n", "LAT,LON\n", "LAT,LON\n1,2,3\n", "LAT,LON\nhere,there\n", "LAT,LON\n91,0\n", "LAT,LON\nnan,0\n"],
)
def test_what_is_no_gallery_is_refused(tmp_path, text) -> None:
    (tmp_path / "gallery.csv").write_text(text)
    with pytest.raises(ModelError, match=r"gallery\.csv"):
        read_gallery(tmp_path / "gallery.csv")
