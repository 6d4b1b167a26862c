"""Bodies of answers, as the OpenAPI document describes them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Error(BaseModel):
    """What is wrong, and what to do about it."""

    type: str = Field(description="Class of the error in `triovision.errors`, such as `PhotoError`.")
    subject: str = Field(description="The faulty thing.")
    reason: str = Field(description="The fault.")
    remedy: str = Field(description="Advice.")


class ErrorAnswer(BaseModel):
    """Answer to a request that failed as a whole."""

    error: Error


class CountryAnswer(BaseModel):
    """A country with its probability."""

    country: str = Field(description="ISO 3166-1 alpha-2 code.")
    probability: float


class PlaceAnswer(BaseModel):
    """A position in degrees WGS 84 with its probability."""

    name: str
    country: str
    lat_deg: float
    lon_deg: float
    probability: float


class BestPlaceAnswer(PlaceAnswer):
    """The best place, with the radii that hold half and nine tenths of the probability."""

    radius_km: float
    radius_90_km: float


class AreaAnswer(BaseModel):
    """The smallest area that the model can vouch for."""

    kind: str = Field(description="landmark, place, region, country, part_of_world or unknown.")
    probability: float
    name: str | None
    city: str | None
    country: str | None
    part_of_world: str | None = Field(description="UN M49 code.")
    radius_km: float | None


class PredictionAnswer(BaseModel):
    """Where a photo was taken, as a model sees it."""

    model_config = ConfigDict(protected_namespaces=())

    photo: str = Field(description="Name of the file as it was sent.")
    model: str
    area: AreaAnswer
    landmark: PlaceAnswer | None
    countries: list[CountryAnswer]
    country_set: list[str] = Field(description="Countries that together hold the truth as often as the card promises.")
    place: BestPlaceAnswer
    places: list[PlaceAnswer]
    abstained: bool
    calibrated: bool
    elapsed_ms: float
    device: str
    precision: str
    evidence: dict[str, Any] | None


class Result(BaseModel):
    """The prediction of a photo, or its error; the other one is null."""

    prediction: PredictionAnswer | None
    error: Error | None


class PredictAnswer(BaseModel):
    """Results of a request, one per photo in the order of the photos; those of links come last."""

    model: str
    results: list[Result]
    full: dict[str, Any] | None = Field(
        default=None, description="With `detail=full`: everything, unrounded, for `triovision.Client`."
    )


class ModelAnswer(BaseModel):
    """A model of this server."""

    id: str
    summary: str
    countries: int
    licence: str


class ModelsAnswer(BaseModel):
    """Models of this server."""

    default: str = Field(description="Model of requests that name none.")
    models: list[ModelAnswer]


class ModelDetails(BaseModel):
    """One model: its card, and the methods that explain it, the default first."""

    card: dict[str, Any]
    methods: list[str]


class SimilarityAnswer(BaseModel):
    """Cosine similarity of countries in the feature space of a model, a row per country."""

    countries: list[str]
    similarity: list[list[float]]


class Status(BaseModel):
    """State of the server."""

    status: str
