"""Photos of a collection: prediction, camera metadata, thumbnail, and a corrected or fused position."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final, Literal

from PIL import Image

from triovision.guesses import check_position
from triovision.results import CameraFacts, Photo, Prediction

PositionOrigin = Literal["model", "fused", "hand", "neighbour", "track"]

_THUMBNAIL_PX: Final = 128


@dataclass(frozen=True, slots=True)
class CorrectedPosition:
    """Position that a person gave to a photo.

    Attributes:
        lat_deg: Latitude in degrees WGS 84.
        lon_deg: Longitude in degrees WGS 84.
        origin: Entered by hand, copied from another photo, or read from a GPX track.
    """

    lat_deg: float
    lon_deg: float
    origin: Literal["hand", "neighbour", "track"]

    def __post_init__(self) -> None:
        """Refuse impossible positions."""
        check_position(self.lat_deg, self.lon_deg)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CollectionEntry:
    """One photo of a collection. Its pixels are not kept, only a thumbnail.

    Attributes:
        key: SHA-256 of the file: a photo that occurs twice is predicted once.
        name: Path inside the folder or archive, with `/`; untrusted.
        prediction: Prediction of the model for this photo alone.
        camera: Metadata of the camera.
        thumbnail_jpeg: Small JPEG without metadata.
        fused: Prediction that also uses photos taken shortly before and after; None without fusion.
        corrected: Position given by a person; None without one.
    """

    key: str
    name: str
    prediction: Prediction
    camera: CameraFacts
    thumbnail_jpeg: bytes
    fused: Prediction | None = None
    corrected: CorrectedPosition | None = None

    @property
    def answer(self) -> Prediction:
        """The fused prediction if there is one, else that of the photo alone."""
        return self.fused or self.prediction

    @property
    def position(self) -> tuple[float, float]:
        """Latitude and longitude in degrees: corrected by a person, else the best place of the answer."""
        if self.corrected is not None:
            return self.corrected.lat_deg, self.corrected.lon_deg
        return self.answer.place.lat_deg, self.answer.place.lon_deg

    @property
    def position_origin(self) -> PositionOrigin:
        """Where `position` comes from."""
        if self.corrected is not None:
            return self.corrected.origin
        return "model" if self.fused is None else "fused"

    @property
    def radius_km(self) -> float | None:
        """Radius around `position` with half of the probability, in kilometres; None for a corrected position."""
        return None if self.corrected is not None else self.answer.radius_km


def make_entry(key: str, photo: Photo, prediction: Prediction) -> CollectionEntry:
    """Make the entry of a decoded and predicted photo.

    Args:
        key: SHA-256 of its file.
        photo: The photo.
        prediction: Its prediction.
    """
    thumbnail = Image.fromarray(photo.image_hwc)
    thumbnail.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    content = io.BytesIO()
    thumbnail.save(content, format="JPEG", quality=80)
    return CollectionEntry(
        key=key, name=photo.name, prediction=prediction, camera=photo.camera, thumbnail_jpeg=content.getvalue()
    )
