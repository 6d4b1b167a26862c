"""Immutable values that packages hand on: photo, prediction, explanation."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from triovision.guesses import Area, CountryGuess, PlaceGuess, check_position

if TYPE_CHECKING:
    from triovision.geo import Evidence, WeightedPlaces


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraFacts:
    """Metadata that the camera wrote. They are shown to people and never to the model.

    Attributes:
        taken_at: Time of the shot; naive (local to the camera) unless the file gives its offset.
        camera: Maker and model, for display.
        software: Software that wrote the file, such as an editor or the system of a phone.
        lat_deg: Latitude in degrees WGS 84, with `lon_deg` or not at all.
        lon_deg: Longitude in degrees WGS 84.
    """

    taken_at: datetime | None = None
    camera: str | None = None
    software: str | None = None
    lat_deg: float | None = None
    lon_deg: float | None = None

    def __post_init__(self) -> None:
        """Keep half positions and impossible ones out."""
        if (self.lat_deg is None) != (self.lon_deg is None):
            raise ValueError("`lat_deg` and `lon_deg` go together: give both or neither")
        if self.lat_deg is not None and self.lon_deg is not None:
            check_position(self.lat_deg, self.lon_deg)

    @property
    def position(self) -> tuple[float, float] | None:
        """`(lat_deg, lon_deg)`, or None when the camera wrote no position."""
        if self.lat_deg is None or self.lon_deg is None:
            return None
        return self.lat_deg, self.lon_deg


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Photo:
    """An upright sRGB image, decoded at a size for the model and the screen.

    Attributes:
        name: File name as given by the outside; escape it wherever HTML is written.
        image_hwc: Pixels, `uint8` of shape `(height, width, 3)`, sRGB, upright.
        original_width_px: Width of the upright image before any reduction.
        original_height_px: Height of the upright image before any reduction.
        format: Container format by content, such as `"JPEG"`.
        camera: What the camera wrote.
        warnings: What was odd about the file and was mended, in words for the screen.
    """

    name: str
    image_hwc: NDArray[np.uint8]
    original_width_px: int
    original_height_px: int
    format: str
    camera: CameraFacts = field(default_factory=CameraFacts)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Hold the layout that everything downstream relies on."""
        if self.image_hwc.ndim != 3 or self.image_hwc.shape[2] != 3 or self.image_hwc.dtype != np.uint8:
            raise ValueError(f"`image_hwc` must be uint8 (H, W, 3), got {self.image_hwc.dtype} {self.image_hwc.shape}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Where one photo was taken, as one model sees it.

    Attributes:
        photo: Name of the photo.
        model: Id of the model.
        countries: Most probable countries, descending; probabilities are over all labels of the model.
        country_set: Conformal set: the countries that together hold the truth as often as the card promises.
        place: Best single place.
        radius_km: Radius around `place` that holds the truth half of the time, as calibrated.
        radius_90_km: Radius around `place` that holds the truth 90 % of the time, as calibrated.
        places: Weighted candidate places, most probable first.
        posterior: All weighted places, for a density and for what a person adds to the model's evidence.
        area: Smallest area that the model can vouch for: what the headline names.
        landmark: Recognised landmark, of a calibrated probability of at least 0.8; None where there is none.
        abstained: True when the model is below its calibrated threshold: "not sure".
        calibrated: False for a model whose probabilities and radii were never fitted on held-out photos.
        elapsed_ms: Wall time from pixels to prediction, an equal part of that of the batch.
        device: Device that ran the network, such as `"cpu"`.
        precision: Number format of the network, such as `"bfloat16"`.
        evidence: Evidence that the prediction is conditioned on; None for the prediction of the model itself.
        evidence_probability: Probability that the model gives to the evidence.
    """

    photo: str
    model: str
    countries: tuple[CountryGuess, ...]
    country_set: tuple[str, ...]
    place: PlaceGuess
    radius_km: float
    radius_90_km: float
    places: tuple[PlaceGuess, ...]
    posterior: WeightedPlaces = field(repr=False, compare=False)
    area: Area
    landmark: PlaceGuess | None = None
    abstained: bool
    calibrated: bool = True
    elapsed_ms: float
    device: str
    precision: str
    evidence: Evidence | None = None
    evidence_probability: float = 1.0

    def __post_init__(self) -> None:
        """Hold the order that readers rely on."""
        if not self.countries:
            raise ValueError("`countries` must hold at least one guess")
        probabilities = [guess.probability for guess in self.countries]
        if probabilities != sorted(probabilities, reverse=True):
            raise ValueError("`countries` must be sorted by descending probability")

    def to_dict(self) -> dict[str, Any]:
        """The prediction as plain JSON values, units in the names."""
        evidence = None
        if self.evidence is not None:
            evidence = self.evidence.to_dict() | {"probability": round(self.evidence_probability, 6)}
        return {
            "photo": self.photo,
            "model": self.model,
            "area": self.area.to_dict(),
            "landmark": None if self.landmark is None else self.landmark.to_dict(),
            "countries": [{"country": c.country, "probability": round(c.probability, 6)} for c in self.countries],
            "country_set": list(self.country_set),
            "place": {
                **self.place.to_dict(),
                "radius_km": round(self.radius_km, 3),
                "radius_90_km": round(self.radius_90_km, 3),
            },
            "places": [place.to_dict() for place in self.places],
            "abstained": self.abstained,
            "calibrated": self.calibrated,
            "elapsed_ms": round(self.elapsed_ms, 3),
            "device": self.device,
            "precision": self.precision,
            "evidence": evidence,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explanation:
    """Contribution of each part of a photo to the prediction of a country.

    Attributes:
        photo: Name of the photo.
        model: Id of the model.
        country: Country that the map argues for (ISO 3166-1 alpha-2).
        method: Name of the method, such as `"LayerCAM"`.
        layer: Dotted name of the layer that was read; `"input"` for a method that reads no layer.
        heatmap_hw: `float32`, shape `(height, width)`, on the grid of the layer or of the input, covering `box`; in
            [0, 1], or in [-1, 1] if `signed`: negative where the photo speaks against the country.
        box: Part of the photo that the model saw: `(left, top, right, bottom)` as fractions of width and height.
        elapsed_ms: Wall time of the explanation.
        against: Country that the map argues against (ISO 3166-1 alpha-2): why `country` and not this one; None for a
            map of one country.
        signed: Whether the map has both signs.
    """

    photo: str
    model: str
    country: str
    method: str
    layer: str
    heatmap_hw: NDArray[np.float32]
    box: tuple[float, float, float, float]
    elapsed_ms: float
    against: str | None = None
    signed: bool = False

    def __post_init__(self) -> None:
        """Hold the range that overlays rely on."""
        if self.heatmap_hw.ndim != 2 or self.heatmap_hw.size == 0:
            raise ValueError(f"`heatmap_hw` must be a non-empty (H, W) array, got shape {self.heatmap_hw.shape}")
        least = -1 if self.signed else 0
        if not np.isfinite(self.heatmap_hw).all() or self.heatmap_hw.min() < least or self.heatmap_hw.max() > 1:
            raise ValueError(f"`heatmap_hw` must be finite and within [{least}, 1]")
        left, top, right, bottom = self.box
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise ValueError(f"`box` must be (left, top, right, bottom) within [0, 1], got {self.box}")
