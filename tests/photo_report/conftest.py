import io
from datetime import date

import numpy as np
import pytest
from PIL import Image

from triovision.geo import WeightedPlaces
from triovision.guesses import Area, CountryGuess, PlaceGuess
from triovision.languages import get_translator
from triovision.photo import read_photo
from triovision.photo_report import Report, report_page
from triovision.results import Explanation, Prediction

PARIS = PlaceGuess("Paris", "FR", 48.8566, 2.3522, 0.6)
LYON = PlaceGuess("Lyon", "FR", 45.764, 4.8357, 0.4)


def predicted(**changes):
    fields = {
        "photo": "photo.jpg",
        "model": "made.by_hand",
        "countries": (CountryGuess("FR", 0.85), CountryGuess("CA", 0.15)),
        "country_set": ("FR", "CA"),
        "place": PARIS,
        "radius_km": 100.0,
        "radius_90_km": 400.0,
        "places": (PARIS, LYON),
        "posterior": WeightedPlaces(
            lat_deg=np.array([48.8566, 45.764]),
            lon_deg=np.array([2.3522, 4.8357]),
            weight=np.array([0.6, 0.4]),
            countries=np.array(["FR", "FR"]),
        ),
        "area": Area(kind="region", probability=0.5, name="Paris", country="FR", radius_km=100),
        "abstained": False,
        "elapsed_ms": 1.0,
        "device": "cpu",
        "precision": "float32",
    }
    return Prediction(**fields | changes)


def photo_with_exif(name="photo.jpg"):
    """A photo of 2400 x 1200 px whose file says Lisbon, a maker and a comment."""
    exif = Image.Exif()
    exif[271], exif[272], exif[270] = "Acme", "Pinhole 7", "SECRET COMMENT"
    exif.get_ifd(34853).update({1: "N", 2: (38.0, 43.0, 12.0), 3: "W", 4: (9.0, 8.0, 24.0)})
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((2400, 1200)).convert("RGB").save(buffer, "JPEG", exif=exif)
    return read_photo(buffer.getvalue(), name)


@pytest.fixture
def page():
    """Writes a report; keywords replace the parts of it."""

    def write(language="en", **parts):
        report = {"photo": photo_with_exif(), "prediction": predicted(), "fitted_on": "12 photos <b>"} | parts
        return report_page(Report(**report), get_translator(language), date(2026, 5, 6))

    return write


@pytest.fixture
def explanation():
    heatmap = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)
    return Explanation(
        photo="photo.jpg",
        model="made.by_hand",
        country="FR",
        method="LayerCAM",
        layer="blocks",
        heatmap_hw=heatmap,
        box=(0, 0, 1, 1),
        elapsed_ms=1.0,
    )


@pytest.fixture
def prediction_of():
    """Makes a prediction of Paris; keywords replace its fields."""
    return predicted
