"""The model card: all that is needed to use a model's weights and to trust them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator, model_validator

from triovision.errors import ModelError, faults
from triovision.geo import is_country
from triovision.inference.preprocessing import Preprocessing

CARD = "card.json"
WEIGHTS = "weights.safetensors"
RESTORE = "Restore the folder from the repository, or make it anew with `triovision train export`"

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
    def _one_number_a_feature(self) -> Position:
        if not len(self.city_mean) == len(self.city_scale) == len(self.city_features):
            raise ValueError(f"city_mean and city_scale must hold {len(self.city_features)} numbers")
        return self


class Provenance(_Section):
    """What made the weights.

    Attributes:
        recipe: The recipe, every field.
        manifest_sha256: Hash of the table of photos.
        photos: Number of training photos.
        command: The command that wrote the model folder, absolute paths shortened to their names.
        data: What the photos are, in plain words.
    """

    recipe: dict[str, Any]
    manifest_sha256: str
    photos: int
    command: str
    data: str


class ModelCard(_Section):
    """A model folder's `card.json`.

    Attributes:
        id: `<architecture>.<what it was trained on>`.
        summary: One sentence for people.
        architecture: Name of a timm architecture, or of a version of ResNetGPS: `resnetgps_v1`.
        architecture_args: Its arguments.
        preprocessing: What the network sees.
        labels: Countries (ISO 3166-1 alpha-2) in the order of the logits.
        calibration: See `Calibration`.
        position: See `Position`; None where the model answers with countries alone.
        weights_sha256: Hash of `weights.safetensors`.
        provenance: See `Provenance`.
        metrics: For each set of photos, its figures by name.
        knows: Which countries and places it knows, in plain words.
        limits: What it cannot do, in plain words.
        licence: Licence of the weights.
    """

    id: str = Field(pattern=r"^[a-z0-9_]+\.[a-z0-9_]+$")
    summary: str
    architecture: str
    architecture_args: dict[str, Any] = {}
    preprocessing: Preprocessing
    labels: tuple[str, ...] = Field(min_length=2)
    calibration: Calibration
    position: Position | None = None
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
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
