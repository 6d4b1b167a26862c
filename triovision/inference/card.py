"""Model card: architecture, preprocessing, labels, calibration and provenance of a model."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator, model_validator

from triovision.errors import Message, ModelError, faults
from triovision.geo import is_country
from triovision.inference.preprocessing import Preprocessing

CARD: Final = "card.json"
WEIGHTS: Final = "weights.safetensors"
RESTORE: Final = Message(
    "Restore the folder from the repository, or export the model again with `{command}`",
    command="triovision train export",
)

#: Largest card; the longest list of countries and metrics takes a hundredth of it.
_MAX_BYTES: Final = 4_000_000

#: Optional sections of a card that belong to an engine.
ENGINE_SECTIONS: Final = ("position", "landmarks", "ensemble")

MODEL_ID: Final = r"^[a-z0-9_]+\.[a-z0-9_]+$"
SHA256: Final = r"^[0-9a-f]{64}$"
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=1e6)]
#: `fit_temperature` searches between 0.05 and 20.
Temperature = Annotated[float, Field(ge=0.01, le=100)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)


class Calibration(_Section):
    """Temperature, conformal threshold, abstention threshold and radius factors.

    Attributes:
        temperature: Divisor of the logits of the countries; their probability p becomes p^(1/temperature), renormalised
            ("On Calibration of Modern Neural Networks", Guo et al., 2017).
        conformal_threshold: Lowest probability of a country in the conformal set.
        conformal_coverage: Intended fraction of photos whose conformal set holds the true country.
        abstention_threshold: The model abstains when its most probable country is below this.
        part_of_world_threshold: A model that abstains names the most probable part of the world when its countries
            together reach this; 1 for practically never.
        radius_factor: Factor on the radius that holds half of the posterior; the product holds the true place for
            half of the photos.
        radius_90_factor: The same factor for 90 %.
        fitted_on: Photos on which these were fitted, in plain words; empty for a model that is not calibrated.
    """

    temperature: Temperature
    conformal_threshold: Fraction
    conformal_coverage: Fraction
    abstention_threshold: Fraction
    part_of_world_threshold: Fraction = 1.0
    radius_factor: Positive = 1.0
    radius_90_factor: Positive = 1.0
    fitted_on: str

    @property
    def is_calibrated(self) -> bool:
        """False when the values were fitted on no photos."""
        return bool(self.fitted_on)


class Position(_Section):
    """Inputs and outputs of a position regressor.

    Attributes:
        backbone: Name of the timm ResNet.
        city_features: Names of the city metadata, in order.
        city_mean: Mean of each feature, subtracted first.
        city_scale: Divisor of each feature.
        outputs: Standardised latitude and longitude, or a mixture on the sphere.
        components: Components of the mixture; 1 for a latitude and a longitude.
        position_mean: Mean latitude and longitude in degrees, added to the scaled outputs.
        position_scale: Degrees per unit of a standardised output.
        scale_km: Distance between a city and the position predicted for it at which the weight falls to 1/e.
        asked_countries: Number of most probable countries whose cities are candidates.
        cities_per_country: Largest number of candidate cities in one country.
    """

    backbone: str
    city_features: tuple[str, ...]
    city_mean: tuple[FiniteFloat, ...]
    city_scale: tuple[Positive, ...]
    outputs: Literal["standardised_degrees", "von_mises_fisher_mixture"]
    components: int = Field(ge=1, le=1000)
    position_mean: tuple[FiniteFloat, FiniteFloat]
    position_scale: tuple[Positive, Positive]
    scale_km: Positive
    asked_countries: int = Field(ge=1, le=1000)
    cities_per_country: int = Field(ge=1, le=100_000)

    @model_validator(mode="after")
    def _one_number_per_feature(self) -> Self:
        if not len(self.city_mean) == len(self.city_scale) == len(self.city_features):
            raise ValueError(f"city_mean and city_scale must hold {len(self.city_features)} numbers")
        return self


class Landmarks(_Section):
    """Landmark index of a model and the calibration of its probability.

    Attributes:
        index_sha256: Hash of `landmarks.safetensors`.
        photos: Number of photos in the index.
        landmarks: Number of landmarks in the index.
        head_temperature: Divisor of the country logits before the landmark joins them.
        country_weight: Weight of the logarithm of its country's probability in the score of a landmark.
        photos_weight: Weight of the logarithm of its number of photos in the score of a landmark.
        coefficients: Weights of score, margin and lead of a match in the logit of its probability.
        intercept: Constant of that logit.
    """

    index_sha256: str = Field(pattern=SHA256)
    photos: int = Field(ge=1)
    landmarks: int = Field(ge=1)
    head_temperature: Temperature
    country_weight: FiniteFloat = 0.0
    photos_weight: FiniteFloat = 0.0
    coefficients: tuple[FiniteFloat, FiniteFloat, FiniteFloat]
    intercept: FiniteFloat


class Provenance(_Section):
    """Recipe, data and command of the training.

    Attributes:
        recipe: All fields of the recipe.
        manifest_sha256: Hash of the photo manifest.
        photos: Number of training photos; for an ensemble, number of photos on which the weights were fitted.
        command: Command that wrote the model folder, absolute paths shortened to their names.
        data: Description of the photos, in plain words.
    """

    recipe: dict[str, Any]
    manifest_sha256: str
    photos: int = Field(ge=0)
    command: str
    data: str


class Member(_Section):
    """A member of an ensemble.

    Attributes:
        id: Id of the model.
        weights_sha256: Hash of its weights, so that no other model takes its place.
        country_weight: Weight in the pool of country probabilities; the weights of all members sum to 1.
        place_weight: Weight in the mixture of places; the weights of all members sum to 1.
    """

    id: str
    weights_sha256: str = Field(pattern=SHA256)
    country_weight: Fraction
    place_weight: Fraction


class Ensemble(_Section):
    """Members of an ensemble and their weights.

    Attributes:
        members: At least two distinct models on the same machine.
    """

    members: tuple[Member, ...] = Field(min_length=2)

    @field_validator("members")
    @classmethod
    def _member_weights_sum_to_one(cls, members: tuple[Member, ...]) -> tuple[Member, ...]:
        if len({member.id for member in members}) != len(members):
            raise ValueError("a member is named twice")
        for weight in ("country_weight", "place_weight"):
            if not abs(sum(getattr(member, weight) for member in members) - 1) <= 1e-6:
                raise ValueError(f"the members' {weight} must sum to 1")
        return members


class ModelCard(_Section):
    """A model folder's `card.json`.

    Attributes:
        id: `<architecture>.<training data>`.
        summary: Summary in one sentence.
        engine: Name of the engine in `registry.ENGINES`.
        architecture: Name of a timm architecture, of a version of ResNetGPS (`resnetgps_v1`) or of an engine.
        architecture_args: Arguments of the architecture.
        preprocessing: Input of the network; None for an ensemble.
        labels: Countries (ISO 3166-1 alpha-2) in the order of the logits.
        calibration: Calibration of the probabilities and radii.
        position: Inputs and outputs of the position regressor; None for a model without one.
        landmarks: Landmark index; None for a model without one.
        weights_sha256: Hash of `weights.safetensors`; None for an ensemble.
        ensemble: Members of an ensemble; None for other models.
        provenance: Recipe, data and command of the training.
        metrics: Metrics by name for each set of photos.
        knows: Countries and places in the training data, in plain words.
        limits: Limits of the model, in plain words.
        licence: Licence of the weights.
    """

    id: str = Field(pattern=MODEL_ID)
    summary: str
    engine: str = ""
    architecture: str
    architecture_args: dict[str, Any] = {}
    preprocessing: Preprocessing | None = None
    labels: tuple[str, ...] = Field(min_length=2)
    calibration: Calibration
    position: Position | None = None
    landmarks: Landmarks | None = None
    weights_sha256: str | None = Field(default=None, pattern=SHA256)
    ensemble: Ensemble | None = None
    provenance: Provenance
    metrics: dict[str, dict[str, float | None]]
    knows: str
    limits: str
    licence: str

    @model_validator(mode="before")
    @classmethod
    def _fill_engine(cls, values: Any) -> Any:  # noqa: ANN401 - pydantic's: anything that JSON may hold
        """Derive the engine of a card without the field from its sections."""
        if not isinstance(values, dict) or values.get("engine"):
            return values
        if values.get("ensemble") is not None:
            engine = "ensemble"
        elif values.get("position") is not None:
            engine = "resnetgps"
        else:
            engine = "geoclip" if values.get("architecture") == "geoclip" else "country_classifier"
        return values | {"engine": engine}

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
        """Input of the network.

        Raises:
            ModelError: If the model is an ensemble.
        """
        if self.preprocessing is None:
            raise self._without_network()
        return self.preprocessing

    @property
    def network_weights_sha256(self) -> str:
        """Hash of `weights.safetensors`.

        Raises:
            ModelError: If the model is an ensemble.
        """
        if self.weights_sha256 is None:
            raise self._without_network()
        return self.weights_sha256

    def _without_network(self) -> ModelError:
        return ModelError(self.id, "is an ensemble and has no network of its own", "Choose one of its members")


def read_card(folder: Path, model_id: str | None = None) -> ModelCard:
    """Read and validate the `card.json` of a model folder.

    Args:
        folder: Folder of the model.
        model_id: Id that the card must have; None for any.

    Raises:
        ModelError: If the file is missing, is too large, is no JSON, lacks a field or has another id.
    """
    path = folder / CARD
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            reason = Message("is too large for a model card (more than {size} MB)", size=_MAX_BYTES // 1_000_000)
            raise ModelError(str(path), reason, RESTORE)
        card = ModelCard.model_validate_json(content)
        if model_id not in {None, card.id}:
            reason = Message("has the id {id} and not that of its folder, {folder}", id=card.id, folder=model_id)
            raise ModelError(str(path), reason, Message("Name the folder {id}", id=card.id))
        return card
    except OSError as exc:
        raise ModelError(str(path), Message("cannot be read ({why})", why=exc.strerror), RESTORE) from exc
    except ValidationError as exc:
        raise ModelError(
            str(path), Message("is not a valid model card ({faults})", faults=faults(exc)), RESTORE
        ) from exc


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
