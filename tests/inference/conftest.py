"""Loaded engine with random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from triovision.inference import CountryEngine, GeoModel
from triovision.results import Photo
from triovision.train.evaluation.labelled_photos import tempered


@pytest.fixture
def engine(tmp_path: Path, write_tiny_model: Callable[..., Path]) -> CountryEngine:
    return CountryEngine(write_tiny_model(tmp_path), torch.device("cpu"))


@pytest.fixture
def make_photos() -> Callable[[int], list[Photo]]:
    def make(n: int) -> list[Photo]:
        random = np.random.default_rng(1)
        pixels = random.integers(0, 256, size=(n, 70, 90, 3), dtype=np.uint8)
        return [
            Photo(name=f"{i}.jpg", image_hwc=p, original_width_px=90, original_height_px=70, format="JPEG")
            for i, p in enumerate(pixels)
        ]

    return make


@pytest.fixture
def check_temperature(make_photos: Callable[[int], list[Photo]]) -> Callable[[GeoModel], None]:
    """Checks that a model at another temperature is what `tempered` makes of its predictions."""

    def check(model: GeoModel) -> None:
        n, photos, ratio = len(model.card.labels), make_photos(3), 2.5
        before = model.predict(photos, n)
        calibration = model.card.calibration
        changed = calibration.model_copy(update={"temperature": calibration.temperature * ratio})
        cast(Any, model).card = model.card.model_copy(update={"calibration": changed})
        for cold, hot in zip(before, model.predict(photos, n), strict=True):
            p = np.array([guess.probability for guess in cold.countries]) ** (1 / ratio)
            assert [guess.probability for guess in hot.countries] == pytest.approx((p / p.sum()).tolist(), rel=1e-6)
            posterior = tempered(cold.posterior, ratio)
            assert posterior.by_country() == pytest.approx(hot.posterior.by_country(), rel=1e-6)
            location = posterior.locate(hot.countries[0].country, 20)
            assert location.radius_km == pytest.approx(hot.radius_km)
            assert location.radius_90_km == pytest.approx(hot.radius_90_km)

    return check
