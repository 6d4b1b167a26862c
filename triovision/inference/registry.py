"""The models on this machine, and how to get one of them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from triovision.bundle import MODELS
from triovision.errors import ModelError
from triovision.inference.cache import cache_folder
from triovision.inference.card import CARD, ModelCard, read_card
from triovision.inference.engine import CountryEngine
from triovision.inference.ensemble import EnsembleEngine, member_folder
from triovision.inference.geoclip import release
from triovision.inference.model import GeoModel
from triovision.inference.resnetgps import ResNetGpsEngine

_logger = logging.getLogger(__name__)

#: The model that answers when nobody names one and no other is installed.
EMBEDDED_MODEL = "ensemble.places10k"

#: The model that answers in its place once it is installed.
WORLDWIDE_MODEL = "geoclip.mp16"


def model_folders() -> tuple[Path, ...]:
    """Where models are looked for: `TRIOVISION_MODELS`, or those that come with the project and the user's cache."""
    configured = os.environ.get("TRIOVISION_MODELS")
    return (Path(configured),) if configured else (MODELS, cache_folder() / "models")


def install_folder() -> Path:
    """Where models are installed: the last of `model_folders()`."""
    return model_folders()[-1]


def found_models() -> dict[str, Path]:
    """Folder of each model on this machine, by id."""
    cards = (path for models in reversed(model_folders()) for path in models.glob(f"[!.]*/{CARD}"))
    return dict(sorted((path.parent.name, path.parent) for path in cards))


def default_model() -> str:
    """Id of the model that answers when nobody names one.

    The one that `TRIOVISION_MODEL` names, or the worldwide one where it and its packages are installed, or the
    embedded one.
    """
    worldwide = WORLDWIDE_MODEL in found_models() and not release.missing_packages()
    return os.environ.get("TRIOVISION_MODEL") or (WORLDWIDE_MODEL if worldwide else EMBEDDED_MODEL)


def list_models() -> tuple[ModelCard, ...]:
    """Cards of all models on this machine, by id.

    Raises:
        ModelError: If a card is damaged.
    """
    return tuple(read_card(folder) for folder in found_models().values())


def load_model(model_id: str | None = None, device: str | None = None) -> GeoModel:
    """Load a model from this machine; nothing is fetched.

    Args:
        model_id: Such as `"tf_efficientnet_lite0.places10k"`; the one of `load_default()` when None.
        device: `"cpu"`, `"cuda"`, `"cuda:1"` or `"mps"`; the fastest one present when None.

    Raises:
        ModelError: If there is no such model or device, or the model's files are damaged.
    """
    if model_id is not None:
        return _load(model_id, choose_device(device))
    model, fault = load_default(device)
    if fault is not None:
        _logger.warning("%s answers, because another model cannot be used. %s", model.card.id, fault)
    return model


def load_default(
    device: str | None = None, load: Callable[[str], GeoModel] | None = None
) -> tuple[GeoModel, ModelError | None]:
    """Load the model that answers when nobody names one; the embedded one where the installed one cannot be used.

    Args:
        device: As in `load_model`.
        load: Gives a model by its id, where the caller keeps those that are loaded; `device` is then its matter.

    Returns:
        The model, and what is wrong with the worldwide one where it is installed and cannot be used.

    Raises:
        ModelError: If there is no such device, or no model can be used, or not the one that `TRIOVISION_MODEL` names.
    """
    load, configured = load or partial(_load, device=choose_device(device)), os.environ.get("TRIOVISION_MODEL")
    if configured or WORLDWIDE_MODEL not in found_models():
        return load(configured or EMBEDDED_MODEL), None
    try:
        return load(WORLDWIDE_MODEL), None
    except ModelError as fault:
        return load(EMBEDDED_MODEL), fault


def model_folder(model_id: str) -> Path:
    """Folder of a model on this machine.

    Raises:
        ModelError: If there is no such model.
    """
    known = found_models()
    if model_id not in known:
        where = " and ".join(map(str, model_folders()))
        raise ModelError(model_id, "is no model on this machine", f"Models in {where}: {', '.join(known) or 'none'}")
    return known[model_id]


def _load(model_id: str, device: torch.device) -> GeoModel:
    return open_model(model_folder(model_id), device)


def open_model(folder: Path, device: torch.device) -> GeoModel:
    """The engine of a model folder, wherever it lies; members of an ensemble are looked for on this machine.

    Raises:
        ModelError: If the folder does not hold a usable model, or what the model needs is not installed.
    """
    card = read_card(folder)
    if card.ensemble is not None:
        known, members = found_models(), card.ensemble.members
        folders = [member_folder(folder, member, known) for member in members]
        return EnsembleEngine(card, [open_model(of_member, device) for of_member in folders])
    if card.position is not None:
        return ResNetGpsEngine(folder, device)
    if card.architecture != release.ARCHITECTURE:
        return CountryEngine(folder, device)
    release.package_folder()  # says what to install before anything is read
    from triovision.inference.geoclip.engine import GeoClipEngine  # noqa: PLC0415 - only for who has the extra

    return GeoClipEngine(folder, device)


def choose_device(name: str | None) -> torch.device:
    """The named device, or the fastest one present.

    Raises:
        ModelError: If the name is unknown to torch or there is no such device here.
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as exc:
        raise ModelError(f"device {name!r}", "cannot be used on this machine", "Choose cpu, cuda or mps") from exc
    return device
