"""What the `metrics.json` of a run of ResNetGPS holds: how far its answers are from where photos were taken."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from triovision.metrics.country import Count, Epoch, Share, read_metrics_as

Kilometres = Annotated[float, Field(ge=0)]

#: Ways to come to a position, with what they are told, in words.
WAYS = {
    "true_city": "photo and metadata of the true city",
    "candidate_cities": "photo and metadata of candidate cities",
    "countries_alone": "probable countries and their cities",
    "metadata_alone": "metadata of the true city, no photo",
}


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PositionScores(_Record):
    """How good positions are, over some photos.

    Attributes:
        photos: Number of photos.
        median_km: Median great-circle distance.
        mean_km: Mean great-circle distance.
        r2_lat: Coefficient of determination of the latitude; None where all photos have one latitude.
        r2_lon: The same of the longitude, as a number: 179 and -179 degrees count as far apart.
        geo_score: Mean GeoScore, at most 5000.
        within_1_km: Share of the photos within this distance.
        within_25_km: The same.
        within_200_km: The same.
        within_750_km: The same.
        within_2500_km: The same.
    """

    photos: Count
    median_km: Kilometres
    mean_km: Kilometres
    r2_lat: float | None
    r2_lon: float | None
    geo_score: float = Field(ge=0, le=5000)
    within_1_km: Share
    within_25_km: Share
    within_200_km: Share
    within_750_km: Share
    within_2500_km: Share


class PhotoCounts(_Record):
    """What became of the manifest's photos.

    Attributes:
        training: Photos that the run learnt from.
        validation: Photos of each validation split that it was measured on.
        without_position: Photos without a position.
        impossible: Files whose position is half there or no place on Earth; they were left out.
        unreadable: Photos with a position that cannot be read.
    """

    training: Count
    validation: dict[str, Count]
    without_position: Count
    impossible: tuple[str, ...]
    unreadable: Count


class PositionMetrics(_Record):
    """A run folder's `metrics.json`.

    Attributes:
        version: Version of this format.
        recipe: The recipe, every field.
        manifest_sha256: Hash of the table of photos.
        city_features: Names of the numbers that describe a city, in their order.
        photos: See `PhotoCounts`.
        countries: Where the probabilities of the countries come from, in words.
        learnt_by_classifier: Held-out photos that it learnt from, whose figures with candidate cities are too good;
            None where it cannot be told, as when it was trained on another manifest.
        scale_km: How fast an answer loses weight with its distance from the city that it was given for, fitted on all
            validation photos. What is shown was measured on either half of the places with the value of the other.
        epochs: Curves, one record an epoch.
        splits: Scores by the name of the validation split and the way, a key of `WAYS`.
    """

    version: Literal[1] = 1
    recipe: dict[str, Any]
    manifest_sha256: str
    city_features: tuple[str, ...]
    photos: PhotoCounts
    countries: str
    learnt_by_classifier: Count | None
    scale_km: Kilometres
    epochs: tuple[Epoch, ...]
    splits: dict[str, dict[str, PositionScores]]


def read_position_metrics(folder: Path) -> PositionMetrics:
    """Read the `metrics.json` of a run of ResNetGPS.

    Raises:
        RecipeError: If it is missing or is no such file of this version.
    """
    return read_metrics_as(PositionMetrics, folder, "Write it with `triovision train gps run`")
