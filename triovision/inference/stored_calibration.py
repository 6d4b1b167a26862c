"""Calibrations that a user fitted, stored by model and applied over those of the cards."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from triovision.errors import Message, ModelError, faults
from triovision.files import atomic_write
from triovision.inference.card import SHA256, Calibration, ModelCard


class StoredCalibration(BaseModel):
    """Content of the file of a calibration.

    Attributes:
        model: Id of the model.
        model_sha256: See `model_sha256`.
        calibration: Calibration in force for this model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str
    model_sha256: str = Field(pattern=SHA256)
    calibration: Calibration


def calibration_path(models: Path, model_id: str) -> Path:
    """Return the path of a model's calibration in a folder of models."""
    return models / "calibrations" / f"{model_id}.json"


def model_sha256(card: ModelCard) -> str:
    """Return the SHA-256 of a model's weights; for an ensemble, that of its members, their hashes and their weights."""
    if card.ensemble is None:
        return card.network_weights_sha256
    return hashlib.sha256(card.ensemble.model_dump_json().encode()).hexdigest()


def write_calibration(models: Path, card: ModelCard, calibration: Calibration) -> Path:
    """Store a calibration and return its path.

    Args:
        models: Folder of models.
        card: Card of the calibrated model.
        calibration: Calibration to be in force from now on.

    Raises:
        ModelError: If the file cannot be written.
    """
    path = calibration_path(models, card.id)
    stored = StoredCalibration(model=card.id, model_sha256=model_sha256(card), calibration=calibration)
    try:
        atomic_write(path, stored.model_dump_json(indent=2) + "\n")
    except OSError as exc:
        raise ModelError(
            str(path),
            f"cannot be written ({exc.strerror})",
            "Check the folder's permissions and the free space, or name another folder in TRIOVISION_MODELS",
        ) from exc
    return path


def read_calibration(models: Path, card: ModelCard) -> Calibration | None:
    """Return the stored calibration of a model, None without one.

    Args:
        models: Folder of models.
        card: Card of the model as it is installed.

    Raises:
        ModelError: If the file is damaged, or was fitted with other weights.
    """
    path = calibration_path(models, card.id)
    remedy = Message(
        "Calibrate again with `{fit}`, or remove the file with `{reset}`",
        fit=f"triovision models calibrate {card.id} --manifest ...",
        reset=f"triovision models calibrate {card.id} --reset",
    )
    try:
        stored = StoredCalibration.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise ModelError(str(path), Message("cannot be read ({why})", why=exc.strerror), remedy) from exc
    except ValidationError as exc:
        raise ModelError(
            str(path), Message("is not a valid calibration ({faults})", faults=faults(exc)), remedy
        ) from exc
    if stored.model != card.id or stored.model_sha256 != model_sha256(card):
        reason = Message("was fitted with other weights than those of {model}", model=card.id)
        raise ModelError(str(path), reason, remedy)
    return stored.calibration
