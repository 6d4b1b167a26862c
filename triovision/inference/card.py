"""The model card: all that is needed to use a model's weights and to trust them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator, model_validator

from triovision.errors import ModelError, faults
from triovision.geo import is_country
from triovision.inference.preprocessing import Preprocessing

CARD = "card.json"
WEIGHTS = "weights.safetensors"
RESTORE = "Restore the folder from the repository, or make it anew with `triovision train export`"

MODEL_ID = r"^[a-z0-9_]+\.[a-z0-9_]+$"
SHA256 = r"^[0-9a-f]{64}$"
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Calibration(_Section):
    """What turns logits into honest probabilities.

    Attributes:
        temperature: Logits are divided by it ("On Calibration of Modern Neural Networks", Guo et al., 2017).
        conformal_threshold: A country belongs to the conformal set when its probability is at least this.
        conformal_coverage: How often the set is to hold the truth.
        abstention_threshold: The model abstains when its most probable country is below this.
        radius_factor: The radius that holds half of the posterior, times this, holds the truth half of the time.
        radius_90_factor: The same for 90 %.
        fitted_on: Which photos these were fitted on, in plain words.
    """

    temperature: float = Field(gt=0)
    conformal_threshold: Share
    conformal_coverage: Share
    abstention_threshold: Share
    radius_factor: float = Field(default=1.0, gt=0)
    radius_90_factor: float = Field(default=1.0, gt=0)
    fitted_on: str


class Position(_Section):
    """How a regressor of positions is asked, and what its numbers mean.

    Attributes:
        backbone: Name of timm's ResNet that looks at the photo.
        city_features: Names of the numbers that describe a city, in their order.
        city_mean: What is taken from them.
        city_scale: What they are then divided by.
        outputs: What the network gives: latitude and longitude, standardised, or a mixture on the sphere.
        components: Components of the mixture; 1 for a pair of degrees.
        position_mean: Latitude and longitude that standardised degrees are counted from.
        position_scale: Degrees that one of them stands for.
        scale_km: Distance from its own city at which an answer weighs 1/e of one that is right on it.
        asked_countries: Number of the most probable countries whose cities the regressor is asked about.
        cities_per_country: Most candidate cities of one country.
    """

    backbone: str
    city_features: tuple[str, ...]
    city_mean: tuple[FiniteFloat, ...]
    city_scale: tuple[Positive, ...]
    outputs: Literal["standardised_degrees", "von_mises_fisher_mixture"]
    components: int = Field(ge=1)
    position_mean: tuple[FiniteFloat, FiniteFloat]
    position_scale: tuple[Positive, Positive]
    scale_km: Positive
    asked_countries: int = Field(ge=1)
    cities_per_country: int = Field(ge=1)

    @model_validator(mode="after")
    def _one_number_a_feature(self) -> Self:
        if not len(self.city_mean) == len(self.city_scale) == len(self.city_features):
            raise ValueError(f"city_mean and city_scale must hold {len(self.city_features)} numbers")
        return self


class Provenance(_Section):
    """What made the weights.

    Attributes:
        recipe: The recipe, every field.
        manifest_sha256: Hash of the table of photos.
        photos: Number of training photos; of an ensemble, those that its members were weighed on.
        command: The command that wrote the model folder, absolute paths shortened to their names.
        data: What the photos are, in plain words.
    """

    recipe: dict[str, Any]
    manifest_sha256: str
    photos: int
    command: str
    data: str


class Member(_Section):
    """A model that answers as a part of an ensemble.

    Attributes:
        id: Its id.
        weights_sha256: Hash of its weights, so that no other model answers in its place.
        country_weight: What it weighs in the pool of the countries, of 1 for all members.
        place_weight: Its share of the mixture of places, of 1 for all members.
    """

    id: str
    weights_sha256: str = Field(pattern=SHA256)
    country_weight: Share
    place_weight: Share


class Ensemble(_Section):
    """Models of the same machine that answer together.

    Attributes:
        members: At least two.
    """

    members: tuple[Member, ...] = Field(min_length=2)

    @field_validator("members")
    @classmethod
    def _members_share_out_one(cls, members: tuple[Member, ...]) -> tuple[Member, ...]:
        if len({member.id for member in members}) != len(members):
            raise ValueError("a member is named twice")
        for weight in ("country_weight", "place_weight"):
            if not abs(sum(getattr(member, weight) for member in members) - 1) <= 1e-6:
                raise ValueError(f"the members' {weight} must sum to 1")
        return members


class ModelCard(_Section):
    """A model folder's `card.json`.

    Attributes:
        id: `<architecture>.<what it was trained on>`.
        summary: One sentence for people.
        architecture: Name of a timm architecture, of a version of ResNetGPS (`resnetgps_v1`) or of an engine.
        architecture_args: Its arguments.
        preprocessing: What the network sees; None for an ensemble, which has none of its own.
        labels: Countries (ISO 3166-1 alpha-2) in the order of the logits.
        calibration: See `Calibration`.
        position: See `Position`; None where the model answers with countries alone.
        weights_sha256: Hash of `weights.safetensors`; None for an ensemble.
        ensemble: Its members, for an ensemble; see `Ensemble`.
        provenance: See `Provenance`.
        metrics: For each set of photos, its figures by name.
        knows: Which countries and places it knows, in plain words.
        limits: What it cannot do, in plain words.
        licence: Licence of the weights.
    """

    id: str = Field(pattern=MODEL_ID)
    summary: str
    architecture: str
    architecture_args: dict[str, Any] = {}
    preprocessing: Preprocessing | None = None
    labels: tuple[str, ...] = Field(min_length=2)
    calibration: Calibration
    position: Position | None = None
    weights_sha256: str | None = Field(default=None, pattern=SHA256)
    ensemble: Ensemble | None = None
    provenance: Provenance
    metrics: dict[str, dict[str, float | None]]
    knows: str
    limits: str
    licence: str

    @field_validator("labels")
    @classmethod
    def _labels_are_countries(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [label for label in labels if not is_country(label)]
        if wrong or len(set(labels)) != len(labels):
            raise ValueError(f"labels must be distinct ISO 3166-1 alpha-2 codes; wrong: {wrong[:5]}")
        return labels

    @model_validator(mode="after")
    def _network_or_members(self) -> Self:
        alone = self.ensemble is None
        if (self.preprocessing is not None, self.weights_sha256 is not None) != (alone, alone):
            raise ValueError("give `preprocessing` and `weights_sha256`, or `ensemble` and neither of them")
        return self

    @property
    def network_input(self) -> Preprocessing:
        """What the network sees.

        Raises:
            ModelError: If the model is an ensemble.
        """
        if self.preprocessing is None:
            raise ModelError(self.id, "is an ensemble and has no network of its own", "Choose one of its members")
        return self.preprocessing


def read_card(folder: Path) -> ModelCard:
    """Read and check `card.json`.

    Raises:
        ModelError: If it is missing, is no JSON or lacks a field.
    """
    path = folder / CARD
    try:
        return ModelCard.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise ModelError(str(path), f"cannot be read ({exc.strerror})", RESTORE) from exc
    except ValidationError as exc:
        raise ModelError(str(path), f"is no valid model card ({faults(exc)})", RESTORE) from exc


def sha256(path: Path) -> str:
    """Hash of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
