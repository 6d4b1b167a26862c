"""What the worldwide engine is made of: files of a public hub and of the package `geoclip`, each with its hash."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from triovision import extras
from triovision.errors import ModelError, faults
from triovision.inference.card import ModelCard, read_card

#: The card's `architecture` by which the engine is known.
ARCHITECTURE: Final = "geoclip"

#: Names of the files that the engine asks for, below the folder of the model and of the package.
LOCATION_WEIGHTS: Final = "model/weights/location_encoder_weights.pth"
PROJECTION_WEIGHTS: Final = "model/weights/image_encoder_mlp_weights.pth"
SCALE: Final = "model/weights/logit_scale_weights.pth"
GALLERY: Final = "model/gps_gallery/coordinates_100K.csv"

EXTRA: Final = "Install the packages of the worldwide model: " + extras.install_command("geoclip")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HubFile(_Section):
    """A file of the hub's repository.

    Attributes:
        name: Its name there and in the model's folder.
        size_bytes: Its size.
        sha256: Its hash.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_]+\.(json|safetensors)$")
    size_bytes: int = Field(gt=0)
    sha256: Sha256


class Release(_Section):
    """The card's `architecture_args`: where the files come from and what they are.

    Attributes:
        repository: Repository of the hub, `owner/name`.
        revision: Its commit, so that nothing changes unseen.
        files: What is fetched from there.
        package_files: Hashes of what the package brings, by path below the package.
    """

    repository: str = Field(pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    files: tuple[HubFile, ...] = Field(min_length=1)
    package_files: dict[str, Sha256]


def released_card() -> ModelCard:
    """Card of the release that `triovision models install geoclip` installs."""
    return read_card(Path(__file__).parent)


def release_of(card: ModelCard) -> Release:
    """The files that a card of this architecture names.

    Raises:
        ModelError: If it names none, or not in this form.
    """
    try:
        return Release.model_validate(card.architecture_args)
    except ValidationError as exc:
        remedy = "Install the model anew with `triovision models install geoclip`"
        raise ModelError(card.id, f"its card does not name its files ({faults(exc)})", remedy) from exc


def missing_packages() -> tuple[str, ...]:
    """The packages of the extra that are not installed."""
    return extras.missing_packages("geoclip")


def package_folder() -> Path:
    """Where the package `geoclip` lies.

    Raises:
        ModelError: If a package of the extra is not installed.
    """
    if missing := missing_packages():
        raise ModelError(", ".join(missing), "is needed by the worldwide model and is not installed", EXTRA)
    spec = find_spec("geoclip")
    if spec is None or spec.origin is None:
        raise ModelError("geoclip", "is no ordinary package", EXTRA)
    return Path(spec.origin).parent
