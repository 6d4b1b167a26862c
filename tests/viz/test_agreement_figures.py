import numpy as np
import pytest

from triovision.geo import WeightedPlaces
from triovision.guesses import Area, CountryGuess, PlaceGuess
from triovision.results import Explanation, Photo, Prediction
from triovision.viz.agreement_figures import attention_difference, country_bars
from triovision.viz.palette import LIGHT


def prediction(model, countries):
    place = PlaceGuess("Somewhere", "FR", 48.9, 2.4, 1.0)
    return Prediction(
        photo="a.png",
        model=model,
        countries=tuple(CountryGuess(code, value) for code, value in countries.items()),
        country_set=(),
        place=place,
        radius_km=10,
        radius_90_km=20,
        places=(place,),
        posterior=WeightedPlaces(
            lat_deg=np.array([48.9]), lon_deg=np.array([2.4]), weight=np.array([1.0]), countries=np.array(["FR"])
        ),
        area=Area(kind="country", probability=0.5, country="FR"),
        abstained=False,
        elapsed_ms=1.0,
        device="cpu",
        precision="float32",
    )


def photo(height, width, color):
    image_hwc = np.broadcast_to(np.array(color, np.uint8), (height, width, 3)).copy()
    return Photo(name="a.png", image_hwc=image_hwc, original_width_px=width, original_height_px=height, format="PNG")


def explanation(heatmap_hw, box=(0, 0, 1, 1)):
    return Explanation(
        photo="a.png",
        model="tiny.test",
        country="FR",
        method="LayerCAM",
        layer="blocks",
        heatmap_hw=np.array(heatmap_hw, np.float32),
        box=box,
        elapsed_ms=1.0,
    )


FIRST, SECOND = prediction("one.test", {"FR": 0.7, "DE": 0.3}), prediction("two.test", {"FR": 0.5, "IT": 0.5})


def test_a_model_without_a_country_has_no_bar():
    figure = country_bars([FIRST, SECOND], ["FR", "IT"], LIGHT)
    assert [tuple(bar.x) for bar in figure.data] == [(0.7, None), (0.5, 0.5)]
    assert [bar.name for bar in figure.data] == ["1 · one.test", "2 · two.test"]
    assert figure.data[0].marker.color != figure.data[1].marker.color


def test_the_difference_is_orange_for_the_first_and_blue_for_the_second():
    shot = photo(2, 4, (100, 100, 100))
    first, second = explanation([[1.0, 0.0]]), explanation([[0.0, 1.0]])
    image = np.asarray(attention_difference(shot, first, second)).astype(int)
    assert image.shape == (2, 4, 3)
    red, _, blue = image[0, 0]
    assert red > blue
    red, _, blue = image[0, 3]
    assert blue > red


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (0.5, 0, 1, 1)])
def test_what_is_equal_or_unseen_by_one_is_grey(box):
    shot = photo(2, 4, (100, 100, 100))
    image = np.asarray(attention_difference(shot, explanation([[1.0]]), explanation([[1.0]], box)))
    assert (image == 70).all()
