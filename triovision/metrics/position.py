"""Metrics of a position run: the schema of its `metrics.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from triovision.metrics.country import Count, Epoch, Fraction, read_metrics_as

Kilometres = Annotated[float, Field(ge=0)]

#: Methods of prediction, with a description of their inputs.
METHODS = {
    "true_city": "photo and metadata of the true city",
    "candidate_cities": "photo and metadata of candidate cities",
    "countries_alone": "probable countries and their cities",
    "metadata_alone": "metadata of the true city, no photo",
}
#: Of these, the methods that use the network, and so differ between its versions.
NETWORK_METHODS = ("true_city", "candidate_cities")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PositionScores(_Record):
    """Errors of positions.

    Attributes:
        photos: Number of photos.
        median_km: Median great-circle distance.
        mean_km: Mean great-circle distance.
        r2_lat: Coefficient of determination of the latitude; None if all photos have the same latitude.
        r2_lon: The same of the longitude, without wrapping at 180 degrees.
        geo_score: Mean GeoScore, at most 5000.
        within_1_km: Fraction of the photos within this distance.
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
    within_1_km: Fraction
    within_25_km: Fraction
    within_200_km: Fraction
    within_750_km: Fraction
    within_2500_km: Fraction


class PhotoCounts(_Record):
    """Numbers of photos of the manifest.

    Attributes:
        training: Training photos.
        validation: Evaluated photos by validation split.
        without_position: Photos without a position.
        impossible: Files with an incomplete or impossible position, which are left out.
        unreadable: Unreadable photos with a position.
    """

    training: Count
    validation: dict[str, Count]
    without_position: Count
    impossible: tuple[str, ...]
    unreadable: Count


class PositionMetrics(_Record):
    """Content of the `metrics.json` of a position run.

    Attributes:
        version: Version of this format.
        recipe: Recipe with all fields.
        manifest_sha256: SHA-256 of the manifest.
        city_features: Names of the columns of the city metadata.
        photos: See `PhotoCounts`.
        countries: Source of the country probabilities.
        classifier_training_photos: Number of held-out photos that this source was trained on, which makes the metrics
            with candidate cities too good; None if unknown, for example for another manifest.
        scale_km: Scale of the weight of a position by its distance from the candidate city, fitted on all validation
            photos; the metrics are by cross-fitting on halves of the places.
        epochs: Learning curves, one record per epoch.
        splits: Scores by validation split and method, a key of `METHODS`.
    """

    version: Literal[1] = 1
    recipe: dict[str, Any]
    manifest_sha256: str
    city_features: tuple[str, ...]
    photos: PhotoCounts
    countries: str
    classifier_training_photos: Count | None
    scale_km: Kilometres
    epochs: tuple[Epoch, ...]
    splits: dict[str, dict[str, PositionScores]]


def read_position_metrics(folder: Path) -> PositionMetrics:
    """Read the `metrics.json` of a position run.

    Raises:
        RecipeError: If it is missing or not valid in this version.
    """
    return read_metrics_as(PositionMetrics, folder, "Write it with `triovision train gps run`")
