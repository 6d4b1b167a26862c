"""Report of a photo in a browser that blocks every request."""

from datetime import date

import numpy as np
import pytest

from triovision.geo import WeightedPlaces
from triovision.guesses import Area, CountryGuess, PlaceGuess
from triovision.languages import get_translator
from triovision.photo_report import Report, report_page
from triovision.results import Photo, Prediction

pytestmark = pytest.mark.browser
QUITO = PlaceGuess("Quito", "EC", -0.18, -78.47, 1.0)


@pytest.fixture
def report():
    photo = Photo(
        name="<img src=https://example.org/x onerror=alert(1)>" + "x" * 90,
        image_hwc=np.full((60, 80, 3), 200, np.uint8),
        original_width_px=80,
        original_height_px=60,
        format="PNG",
    )
    prediction = Prediction(
        photo=photo.name,
        model="made.by_hand",
        countries=(CountryGuess("EC", 1.0),),
        country_set=("EC",),
        place=QUITO,
        radius_km=150.0,
        radius_90_km=900.0,
        places=(QUITO,),
        posterior=WeightedPlaces(
            lat_deg=np.array([QUITO.lat_deg]),
            lon_deg=np.array([QUITO.lon_deg]),
            weight=np.ones(1),
            countries=np.array(["EC"]),
        ),
        area=Area(kind="region", probability=0.5, name="Quito", country="EC", radius_km=150),
        abstained=False,
        elapsed_ms=1.0,
        device="cpu",
        precision="float32",
    )
    return report_page(
        Report(photo=photo, prediction=prediction, fitted_on="12 photos"), get_translator("en"), date.max
    )


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_report_opens_without_a_network(open_page, report, width, scheme):
    page = open_page("about:blank", viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.set_content(report)
    assert page.get_by_role("heading", level=1).inner_text().endswith("Around Quito, Ecuador (within 150 km)")
    assert page.locator("img").evaluate_all("all => all.map(one => one.naturalWidth)") == [80]
    assert page.get_by_role("img", name="Map of the predicted place: Quito").bounding_box()["height"] > 150
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.blocked == []
    assert page.problems == []
