"""Figures of a model card: the schema of a model folder's `figures.json`, and its reader."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from triovision.errors import Message
from triovision.metrics.country import Code, Count, Fraction, ReliabilityBin, RiskPoint
from triovision.metrics.model_files import ModelFile, Record, read_model_file

FIGURES: Final = "figures.json"
_REMEDY: Final = Message("Write it again with `triovision models figures`, or delete it")

Continent = Literal["AF", "AN", "AS", "EU", "NA", "OC", "SA"]


class CountryRecall(Record):
    """Recall of one country.

    Attributes:
        country: ISO 3166-1 alpha-2 code.
        photos: Number of its photos.
        right: Number of them for which it was the most probable country.
        sources: Number of their sources; None if the sources are unknown.
        low: Lower end of the 95 % interval of the recall by resampling sources; None with fewer than two.
        high: Upper end of it.
    """

    country: Code
    photos: int = Field(ge=1)
    right: Count
    sources: Count | None
    low: Fraction | None
    high: Fraction | None

    @model_validator(mode="after")
    def _no_more_right_than_photos(self) -> Self:
        if self.right > self.photos:
            raise ValueError("`right` exceeds `photos`")
        return self

    @property
    def recall(self) -> float:
        """Fraction of its photos for which it was the most probable country."""
        return self.right / self.photos


class ContinentCell(Record):
    """Number of photos of one continent whose most probable country lies in another, or in the same."""

    truth: Continent
    answer: Continent
    photos: int = Field(ge=1)


class ModelFigures(ModelFile):
    """Content of `figures.json`: measurements of one model on photos whose sources it did not see.

    Attributes:
        version: Version of this format.
        measured_on: Description of the photos and of the calibration.
        command: Command that wrote the file.
        photos: Number of photos.
        sources: Number of their sources; None if unknown.
        top1: Fraction of photos whose most probable country is the truth.
        top1_low: Lower end of the 95 % interval of `top1` by resampling sources; None with fewer than two.
        top1_high: Upper end of it.
        expected_calibration_error: Mean distance of probability and accuracy over 15 bins (Naeini et al., 2015).
        reliability: Bins with photos, in ascending order.
        risk_coverage: Risk-coverage curve with ascending coverage.
        at_threshold: Point of the card's abstention threshold.
        countries: Countries with photos, by code.
        continents: Cells with photos.
    """

    version: Literal[1] = 1
    measured_on: str = Field(max_length=1000)
    command: str = Field(max_length=2000)
    photos: int = Field(ge=1)
    sources: Count | None
    top1: Fraction
    top1_low: Fraction | None
    top1_high: Fraction | None
    expected_calibration_error: Fraction
    reliability: Annotated[tuple[ReliabilityBin, ...], Field(min_length=1, max_length=15)]
    risk_coverage: Annotated[tuple[RiskPoint, ...], Field(min_length=1, max_length=200)]
    at_threshold: RiskPoint
    countries: Annotated[tuple[CountryRecall, ...], Field(min_length=1, max_length=300)]
    continents: Annotated[tuple[ContinentCell, ...], Field(min_length=1, max_length=49)]

    @model_validator(mode="after")
    def _every_photo_counts_once(self) -> Self:
        for name in ("reliability", "countries", "continents"):
            if sum(part.photos for part in getattr(self, name)) != self.photos:
                raise ValueError(f"the photos of `{name}` do not add up to `photos`")
        return self


def read_figures(folder: Path, model_id: str, weights_sha256: str | None) -> ModelFigures | None:
    """Read the `figures.json` of a model folder.

    Args:
        folder: Folder of the model.
        model_id: Id of its card.
        weights_sha256: Hash of the weights of its card.

    Returns:
        The figures; None if the folder has none.

    Raises:
        ModelError: If the file is unreadable, too large, not valid in this version, or measured with other weights.
    """
    return read_model_file(ModelFigures, folder / FIGURES, model_id, weights_sha256, _REMEDY)
