"""Files of the worldwide engine, from a public hub and from the package `geoclip`, with their hashes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from triovision import extras
from triovision.errors import Message, ModelError, faults
from triovision.inference.card import SHA256, ModelCard, read_card
from triovision.inference.integrity import HashedFile

#: Files of the package, by their path below it.
LOCATION_WEIGHTS: Final = "model/weights/location_encoder_weights.pth"
PROJECTION_WEIGHTS: Final = "model/weights/image_encoder_mlp_weights.pth"
SCALE: Final = "model/weights/logit_scale_weights.pth"
GALLERY: Final = "model/gps_gallery/coordinates_100K.csv"

REINSTALL: Final = Message("Install the model again with `{command}`", command="triovision models install geoclip")
EXTRA: Final = Message(
    "Install the packages of the worldwide model: {command}", command=extras.install_command("geoclip")
)

OnProgress = Callable[[int, int], object]
"""Progress callback: called with the amount done and the total."""

Sha256 = Annotated[str, Field(pattern=SHA256)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HubFile(_Section):
    """A file of the hub's repository.

    Attributes:
        name: Name in the repository and in the model's folder.
        size_bytes: Size in bytes.
        sha256: Hash of the content.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_]+\.(json|safetensors)$")
    size_bytes: int = Field(gt=0)
    sha256: Sha256


class Release(_Section):
    """Origin and hashes of the files: the card's `architecture_args`.

    Attributes:
        repository: Repository of the hub, `owner/name`.
        revision: Commit of the repository, so that no change goes unseen.
        files: Files to fetch from the repository.
        package_files: Hashes of the package's files, by path below the package.
    """

    repository: str = Field(pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    files: tuple[HubFile, ...] = Field(min_length=1)
    package_files: dict[str, Sha256]


def released_card() -> ModelCard:
    """Return the card of the release that `triovision models install geoclip` installs."""
    return read_card(Path(__file__).parent)


def release_of(card: ModelCard) -> Release:
    """Return the files that a card of this engine names.

    Raises:
        ModelError: If it names no files, or not in this form.
    """
    try:
        return Release.model_validate(card.architecture_args)
    except ValidationError as exc:
        reason = Message("its card does not name its files ({faults})", faults=faults(exc))
        raise ModelError(card.id, reason, REINSTALL) from exc


def model_files(folder: Path, card: ModelCard) -> Iterator[HashedFile]:
    """Yield the files of the model's folder, then those of the package.

    Raises:
        ModelError: If the card does not name its files, or, after the first files, if the package is not installed.
    """
    release = release_of(card)
    for file in release.files:
        yield HashedFile(folder / file.name, file.sha256, REINSTALL)
    package = package_folder()
    for name, sha256 in release.package_files.items():
        yield HashedFile(package / name, sha256, EXTRA)


def missing_packages() -> tuple[str, ...]:
    """Return the packages of the extra that are not installed."""
    return extras.missing_packages("geoclip")


def package_folder() -> Path:
    """Return the folder of the package `geoclip`.

    Raises:
        ModelError: If a package of the extra is not installed.
    """
    if missing := missing_packages():
        reason = Message("is needed by the worldwide model and is not installed")
        raise ModelError(", ".join(missing), reason, EXTRA)
    spec = find_spec("geoclip")
    if spec is None or spec.origin is None:
        raise ModelError("geoclip", "is no ordinary package", EXTRA)
    return Path(spec.origin).parent
