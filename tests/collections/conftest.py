"""Entries of a collection, made by hand."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from triovision.collections.entries import CollectionEntry, CorrectedPosition
from triovision.geo import WeightedPlaces
from triovision.guesses import Area, CountryGuess, PlaceGuess
from triovision.results import CameraFacts, Prediction

MakeEntry = Callable[..., CollectionEntry]
HOSTILE = "=1+1<script>&\"']]>.jpg"

_CUZCO = PlaceGuess("Cuzco", "PE", -13.5226402, -71.9673394, 0.5)
_PREDICTION = Prediction(
    photo="a.jpg",
    model="test.model",
    countries=(CountryGuess("PE", 0.93), CountryGuess("BO", 0.07)),
    country_set=("PE",),
    place=_CUZCO,
    radius_km=42.5,
    radius_90_km=310.0,
    places=(_CUZCO,),
    posterior=WeightedPlaces(
        lat_deg=np.array([-13.52]), lon_deg=np.array([-71.97]), weight=np.ones(1), countries=np.array(["PE"])
    ),
    area=Area(kind="place", probability=0.5, name="Cuzco", country="PE", radius_km=42.5),
    abstained=False,
    elapsed_ms=1,
    device="cpu",
    precision="float32",
)


@pytest.fixture(scope="session")
def make_entry() -> MakeEntry:
    """Makes an entry in Cuzco, Peru; keywords replace fields of the entry or of its prediction."""
    thumbnail = io.BytesIO()
    Image.new("RGB", (8, 6), (200, 30, 30)).save(thumbnail, "JPEG")

    def make(name: str = "a.jpg", **values: object) -> CollectionEntry:
        of_prediction = {key: values.pop(key) for key in list(values) if key in Prediction.__dataclass_fields__}
        entry = CollectionEntry(
            key="0" * 64,
            name=name,
            prediction=replace(_PREDICTION, photo=name, **of_prediction),
            camera=CameraFacts(),
            thumbnail_jpeg=thumbnail.getvalue(),
        )
        return replace(entry, **values)

    return make


@pytest.fixture(scope="session")
def entries(make_entry: MakeEntry) -> list[CollectionEntry]:
    """A sure photo with a camera position, an abstained one of a hostile name, and one corrected by hand to Paris."""
    paris_camera = CameraFacts(
        taken_at=datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC), camera="Acme", lat_deg=-13.0, lon_deg=-71.9673394
    )
    unsure = {
        "countries": (CountryGuess("PE", 0.2),),
        "abstained": True,
        "area": Area(kind="unknown", probability=1),
        "radius_km": 5000.0,
        "radius_90_km": 12000.0,
    }
    return [
        make_entry("trip/a.jpg", camera=paris_camera),
        make_entry(HOSTILE, camera=CameraFacts(taken_at=datetime(2024, 5, 6, 23, 30)), **unsure),
        make_entry("c.jpg", corrected=CorrectedPosition(48.8566, 2.3522, "hand")),
    ]
