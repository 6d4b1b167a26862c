"""A model whose prediction can be read off the photo, and photos for it."""

from __future__ import annotations

import io
import threading

import numpy as np
from PIL import Image

from triovision.errors import ModelFailure
from triovision.geo import WeightedPlaces
from triovision.guesses import CountryGuess
from triovision.inference.card import Calibration, ModelCard, Provenance
from triovision.inference.prediction import build_prediction_fields, check_top_k
from triovision.inference.preprocessing import Preprocessing
from triovision.results import Prediction

LABELS = ("FR", "DE", "JP", "US")
LAT, LON = np.array([48.9, 52.5, 35.7, 40.7]), np.array([2.35, 13.4, 139.7, -74.0])
NAMES = ("Paris", "Berlin", "Tokyo", "New York")
CALIBRATION = Calibration(
    temperature=1, conformal_threshold=0.2, conformal_coverage=0.9, abstention_threshold=0.1, fitted_on="nothing"
)


class ColourModel:
    """Predicts by the mean colour, each photo on its own: the same whatever the batch."""

    devices = ("cpu",)
    target_layer = None  # nothing to explain

    def __init__(self, model_id: str) -> None:
        self.card = ModelCard(
            id=model_id,
            summary="Mean colours",
            architecture="colours",
            preprocessing=Preprocessing(input_size=64, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
            labels=LABELS,
            calibration=CALIBRATION,
            weights_sha256="0" * 64,
            provenance=Provenance(recipe={}, manifest_sha256="", photos=0, command="", data="nothing"),
            metrics={},
            knows="nothing",
            limits="all",
            licence="Apache-2.0",
        )
        self.batches: list[list[str]] = []
        self.gate: threading.Event | None = None  # where predictions wait
        self.entered = threading.Event()

    def predict(self, photos, top_k=5):
        check_top_k(top_k)
        self.batches.append([photo.name for photo in photos])
        self.entered.set()
        if self.gate is not None:
            assert self.gate.wait(60)
        return [self._predict(photo, top_k) for photo in photos]

    def _predict(self, photo, top_k):
        if "poison" in photo.name:
            raise ModelFailure(self.card.id, "failed", "Choose another model")
        red, green, blue = (photo.image_hwc.mean(axis=(0, 1)) + 1).tolist()
        weight = np.array([red, green, blue, 100.0])
        weight /= weight.sum()
        posterior = WeightedPlaces(
            lat_deg=LAT, lon_deg=LON, weight=weight, countries=np.array(LABELS), names=NAMES, resolution_km=5.0
        )
        countries = [CountryGuess(LABELS[i], float(weight[i])) for i in np.argsort(-weight, kind="stable")]
        fields = build_prediction_fields(countries, posterior, CALIBRATION, top_k)
        return Prediction(
            photo=photo.name, model=self.card.id, **fields, elapsed_ms=1.0, device="cpu", precision="float32"
        )

    def country_similarity(self, countries):
        return np.eye(len(countries), dtype=np.float32)


class ColourModels:
    """The part of `LoadedModels` that a server needs."""

    def __init__(self) -> None:
        self.known = {name: ColourModel(name) for name in ("colour.a", "colour.b")}

    def get(self, model_id):
        return self.known[model_id]

    def default(self):
        return self.known["colour.a"], None

    def has(self, model_id):
        return model_id in self.known

    def cards(self):
        return tuple(model.card for model in self.known.values())

    def run(self, model, work):
        return work(model)


def jpeg(colour: tuple[int, int, int], side: int = 40) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(file, "JPEG", quality=95)
    return file.getvalue()


def colours(count: int) -> list[bytes]:
    """Photos that all differ."""
    random = np.random.default_rng(3)
    return [jpeg(tuple(map(int, colour))) for colour in random.integers(0, 256, (count, 3))]
